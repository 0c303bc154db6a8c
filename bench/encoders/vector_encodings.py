"""How much of the ranking is left when vectors are sent as int8 or bits, or cut, with a model not trained for the last.

    python bench/encoders/vector_encodings.py DATA [--questions 300] [--model NAME]

DATA is a folder with `corpus.jsonl` {id, title, text}, `queries.jsonl` {id, text} and `qrels.tsv` (question, passage,
grade). Every passage is compared with every question.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_embed.encodings import to_binary, to_int8
from trivium_encoders import EncoderOptions, Role, TextEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

TOP = 10


async def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--model", default=EncoderOptions().model)
    arguments = parser.parse_args()

    passages = _lines(arguments.data / "corpus.jsonl")
    grades = _grades(arguments.data / "qrels.tsv")
    questions = [line for line in _lines(arguments.data / "queries.jsonl") if line["id"] in grades]
    questions = questions[:: max(1, len(questions) // arguments.questions)][: arguments.questions]
    encoder = await TextEncoder.load(
        EncoderOptions(model=arguments.model), registry=CollectorRegistry(), service="embed"
    )
    documents = await _vectors(encoder, [f"{line['title']}\n{line['text']}" for line in passages], Role.DOCUMENT)
    queries = await _vectors(encoder, [line["text"] for line in questions], Role.QUERY)
    await encoder.close()

    places = {line["id"]: place for place, line in enumerate(passages)}
    wanted = [{places[passage] for passage in grades[line["id"]] if passage in places} for line in questions]
    whole = _first(queries @ documents.T)
    print(f"{len(passages)} passages, {len(questions)} questions, {arguments.model}")
    print("| vectors | bytes | cosine to float32 (mean, least) | same first 10 | nDCG@10 |")
    print("|---|---|---|---|---|")
    for name, size, kept, scores in _ways(queries, documents):
        found = _first(scores)
        same = np.mean([len(set(a) & set(b)) / TOP for a, b in zip(found, whole, strict=True)])
        print(f"| {name} | {size} | {kept} | {same:.3f} | {_ndcg(found, wanted):.4f} |")


def _ways(queries: Scores, documents: Scores) -> list[tuple[str, int, str, Scores]]:
    """Name, bytes of a vector, cosines of the passages' vectors to the whole ones, and all scores of each way."""
    width = documents.shape[1]
    numbers = to_int8(documents)[0].astype(np.float32)
    bits = np.unpackbits(to_binary(documents), axis=1).astype(np.float32) * 2 - 1
    query_bits = np.unpackbits(to_binary(queries), axis=1).astype(np.float32) * 2 - 1
    ways: list[tuple[str, int, str, Scores]] = [
        ("float32", 4 * width, "1", queries @ documents.T),
        ("int8, both sides", width, _cosines(numbers, documents), to_int8(queries)[0] @ _unit(numbers).T),
        ("bits of passages, float32 questions", width // 8, _cosines(bits, documents), queries @ bits.T),
        ("bits, both sides", width // 8, _cosines(bits, documents), query_bits @ bits.T),
    ]
    for part in (2, 4):
        short = width // part
        scores = _unit(queries[:, :short]) @ _unit(documents[:, :short]).T
        ways.append((f"float32, first {short} numbers", 4 * short, "-", scores))
    return ways


def _cosines(some: Scores, others: Scores) -> str:
    cosines = (_unit(some) * _unit(others)).sum(axis=1)
    return f"{cosines.mean():.5f}, {cosines.min():.5f}"


def _unit(rows: Scores) -> Scores:
    result: Scores = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def _first(scores: Scores) -> Any:
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]


def _ndcg(found: Any, wanted: list[set[int]]) -> float:
    gain: Callable[[int], float] = lambda place: 1 / float(np.log2(place + 2))  # noqa: E731
    values = [
        sum(gain(place) for place, passage in enumerate(passages) if int(passage) in right)
        / sum(gain(place) for place in range(min(TOP, len(right))))
        for passages, right in zip(found, wanted, strict=True)
        if right
    ]
    return float(np.mean(values))


async def _vectors(encoder: TextEncoder, texts: list[str], role: Role) -> Scores:
    return (await encoder.encode(texts, role=role, truncate=True)).vectors


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _grades(path: Path) -> dict[str, set[str]]:
    grades: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        question, passage, grade = line.split("\t")
        if grade.isdecimal() and int(grade) > 0:
            grades.setdefault(question, set()).add(passage)
    return grades


if __name__ == "__main__":
    asyncio.run(main())
