"""What late chunking gains or costs: documents cut into pieces, whose vectors are made of each alone, and of the whole.

    python bench/encoders/late_chunking.py DATA [--tokens 64] [--documents 1000] [--questions 300] [--model NAME]

DATA is a folder with `corpus.jsonl` {id, title, text}, `queries.jsonl` {id, text} and `qrels.tsv` (question, document,
grade). A document is as good as its best piece; all that are asked for are there, and others up to `--documents`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, PartedText, Priority, Role, TextEncoder
from trivium_gateway.ingestion.chunking import ChunkingSettings, ChunkSpan, chunk_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TOP, DRAWS, AT_ONCE = 10, 5_000, 64


async def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--model", default=EncoderOptions().model)
    arguments = parser.parse_args()

    grades = _grades(arguments.data / "qrels.tsv")
    draw = np.random.default_rng(0).permutation
    questions = [line for line in _lines(arguments.data / "queries.jsonl") if line["id"] in grades]
    questions = [questions[place] for place in draw(len(questions))[: arguments.questions]]
    wanted = {document for line in questions for document in grades[line["id"]]}
    corpus = _lines(arguments.data / "corpus.jsonl")
    documents = [line for line in corpus if line["id"] in wanted]
    others = [line for line in corpus if line["id"] not in wanted]
    documents += [others[place] for place in draw(len(others))[: max(0, arguments.documents - len(documents))]]

    encoder = await TextEncoder.load(EncoderOptions(arguments.model), registry=CollectorRegistry(), service="embed")
    starts = await encoder.tokenize([line["text"] for line in documents])
    settings = ChunkingSettings(arguments.tokens, arguments.tokens // 7)
    cuts = [chunk_spans(line["text"], one, settings) for line, one in zip(documents, starts, strict=True)]
    asked = (await encoder.encode([line["text"] for line in questions], role=Role.QUERY, truncate=True)).vectors
    owners = np.repeat(np.arange(len(documents)), list(map(len, cuts)))
    right = [[grades[line["id"]].get(one["id"], 0.0) for one in documents] for line in questions]
    print(
        f"{len(documents)} documents in {len(owners)} pieces, {len(questions)} questions, {arguments.model},", end=" "
    )
    print(f"which reads {encoder.info.max_tokens} tokens")
    print("| pieces are read | tokens computed | nDCG@10 |\n|---|---|---|")
    results = []
    for name, way in (("each alone", _alone), ("in the whole", _in_the_whole)):
        vectors, tokens = await way(encoder, documents, cuts)
        scores = np.full((len(questions), len(documents)), -np.inf, np.float32)
        for row, likeness in zip(scores, asked @ vectors.T, strict=True):
            np.maximum.at(row, owners, likeness)
        results.append(np.array([_ndcg(*one) for one in zip(scores, right, strict=True)]))
        print(f"| {name} | {tokens:,} | {results[-1].mean():.4f} |")
    await encoder.close()
    change = results[1] - results[0]
    chance = np.random.default_rng(0)
    means = [chance.choice(change, len(change)).mean() for _ in range(DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    print(f"change {change.mean():+.4f}, in 95 of 100 draws of the questions between {low:+.4f} and {high:+.4f}")


async def _alone(
    encoder: TextEncoder, documents: Sequence[dict[str, Any]], cuts: Sequence[Sequence[ChunkSpan]]
) -> tuple[NDArray[np.float32], int]:
    found, tokens = [], 0
    for start in range(0, len(documents), AT_ONCE):
        texts = [
            _heading(line) + line["text"][span.start : span.end]
            for line, spans in zip(documents[start : start + AT_ONCE], cuts[start : start + AT_ONCE], strict=True)
            for span in spans
        ]
        made = await encoder.encode(texts, truncate=True, priority=Priority.BULK)
        found.append(made.vectors)
        tokens += sum(made.token_counts)
    return np.concatenate(found), tokens


async def _in_the_whole(
    encoder: TextEncoder, documents: Sequence[dict[str, Any]], cuts: Sequence[Sequence[ChunkSpan]]
) -> tuple[NDArray[np.float32], int]:
    found, tokens = [], 0
    for start in range(0, len(documents), AT_ONCE):
        texts = []
        for line, spans in zip(documents[start : start + AT_ONCE], cuts[start : start + AT_ONCE], strict=True):
            begin = len(heading := _heading(line))
            parts = [(begin + span.start, begin + span.end) for span in spans]
            texts.append(PartedText(heading + line["text"], parts, begin))
        made = await encoder.encode_parts(texts)
        found.append(made.vectors)
        tokens += sum(made.token_counts)
    return np.concatenate(found), tokens


def _heading(line: dict[str, Any]) -> str:
    return f"{line['title']}\n" if line["title"] else ""


def _ndcg(scores: NDArray[np.float32], right: Sequence[float]) -> float:
    """nDCG of the first ten (Järvelin and Kekäläinen, 2002)."""
    gains = np.asarray(right)
    first = np.argsort(-scores, kind="stable")[:TOP]
    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    best = np.sort(gains)[::-1][:TOP]
    return float((gains[first] * discounts[: len(first)]).sum() / (best * discounts[: len(best)]).sum())


def _grades(path: Path) -> dict[str, dict[str, float]]:
    grades: dict[str, dict[str, float]] = {}
    for line in path.read_text().splitlines():
        question, document, grade = line.split("\t")
        if float(grade) > 0:
            grades.setdefault(question, {})[document] = float(grade)
    return grades


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    asyncio.run(main())
