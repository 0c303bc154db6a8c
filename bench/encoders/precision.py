"""What precision costs and brings: speed, cosine to fp32, ranking, and dependence on the rest of the batch.

    .venv/bin/python bench/encoders/precision.py [--texts 480] [--retrieval FOLDER [FOLDER ...]]

The encoder in process with one worker, tokenising included, the same texts for all; --texts 0 for no speeds.
--retrieval adds nDCG@10 on folders with corpus.jsonl, queries.jsonl and qrels.tsv (id, title, text; id, text; query,
document, grade), like SciFact, also with queries and documents in different precisions, each with the range that the
difference to fp32 has over queries drawn again and again.
Needs the extra int8 of trivium-encoders. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, Role, TextEncoder
from trivium_encoders.quality import ranking_numbers
from workload import mixed_texts, short_queries

PRECISIONS = ("fp32", "bf16", "int8")
PAIRS = (("fp32", "fp32"), ("bf16", "bf16"), ("int8", "int8"), ("int8", "fp32"), ("fp32", "int8"))
"""Precisions of queries and documents; the first is what others are compared with."""


async def vectors_of(encoder: TextEncoder, texts: list[str], role: Role) -> np.ndarray[Any, Any]:
    """`[texts, dimension]`, cut where they are too long."""
    return (await encoder.encode(texts, role=role, truncate=True)).vectors


async def compare(encoders: dict[str, TextEncoder], count: int, rounds: int) -> None:
    """Speed, cosine and ranking on texts of mixed lengths."""
    texts, queries = mixed_texts(count, seed=5), short_queries(50, seed=5)
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for _ in range(rounds + 1):  # the first one warms up
        for name, encoder in encoders.items():
            start = time.perf_counter()
            found[name] = await vectors_of(encoder, texts, Role.DOCUMENT)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    asked = {name: await vectors_of(encoder, queries + texts[:50], Role.QUERY) for name, encoder in encoders.items()}
    rankings = {name: asked[name] @ found[name].T for name in encoders}
    for name, encoder in encoders.items():
        cosines = (found[name] * found["fp32"]).sum(axis=1)
        alone = np.concatenate([await vectors_of(encoder, [text], Role.DOCUMENT) for text in texts[:100]])
        ranking = ranking_numbers(rankings["fp32"], rankings[name])
        print(
            f"{name}: {medians['fp32'] / medians[name]:.2f} times fp32; cosine mean {cosines.mean():.5f}, "
            f"least {cosines.min():.5f}; first ten shared {ranking['top_10_overlap']:.3f}, nDCG@10 of the order "
            f"{ranking['ndcg_10']:.4f}; alone or in a batch differs by {np.abs(alone - found[name][:100]).max():.6f}",
            flush=True,
        )


async def retrieve(encoders: dict[str, TextEncoder], folder: Path, query_count: int, document_count: int) -> None:
    """nDCG@10 by vectors alone, over the judged documents of some queries and others drawn at random."""
    grades: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text().splitlines():
        query, document, grade = line.split("\t")
        grades.setdefault(query, {})[document] = float(grade)
    queries = {entry["id"]: entry["text"] for entry in _lines(folder / "queries.jsonl") if entry["id"] in grades}
    chosen = random.Random(3).sample(sorted(queries), min(query_count, len(queries)))
    corpus = {entry["id"]: f"{entry.get('title', '')}\n{entry['text']}" for entry in _lines(folder / "corpus.jsonl")}
    judged = {document for query in chosen for document in grades[query] if document in corpus}
    others = [document for document in corpus if document not in judged]
    drawn = random.Random(4).sample(others, min(len(others), max(0, document_count - len(judged))))
    documents = sorted(judged | set(drawn))
    print(f"{folder.name}: {len(chosen)} queries, {len(documents)} documents", flush=True)
    passages = {
        name: await vectors_of(encoder, [corpus[document] for document in documents], Role.DOCUMENT)
        for name, encoder in encoders.items()
    }
    asked = {
        name: await vectors_of(encoder, [queries[query] for query in chosen], Role.QUERY)
        for name, encoder in encoders.items()
    }
    whole: np.ndarray[Any, Any] | None = None
    for of_queries, of_documents in PAIRS:
        orders = np.argsort(-(asked[of_queries] @ passages[of_documents].T), axis=1)[:, :10]
        values = np.array(
            [
                _ndcg([grades[query].get(documents[at], 0.0) for at in order], sorted(grades[query].values())[::-1])
                for query, order in zip(chosen, orders.tolist(), strict=True)
            ]
        )
        whole = values if whole is None else whole
        low, high = _range(values - whole)
        print(
            f"queries {of_queries}, documents {of_documents}: nDCG@10 {values.mean():.4f}, "
            f"difference {(values - whole).mean():+.4f} ({low:+.4f} to {high:+.4f})",
            flush=True,
        )


def _range(differences: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Between which values the mean lies in 95 of 100 draws of the queries."""
    draws = np.random.default_rng(5).integers(0, len(differences), (10_000, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _ndcg(gains: list[float], best: list[float]) -> float:
    discounts = 1 / np.log2(np.arange(10) + 2)
    ideal = float(np.dot(best[:10], discounts[: len(best[:10])]))
    return float(np.dot(gains, discounts[: len(gains)])) / ideal if ideal else 0.0


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def measure(arguments: argparse.Namespace) -> None:
    """Loads the model once per precision and measures."""
    encoders = {
        name: await TextEncoder.load(
            EncoderOptions(
                model=arguments.model, runtime="openvino", precision=name, workers=1, cache_dir=arguments.cache
            ),
            registry=CollectorRegistry(),
            service="bench",
        )
        for name in PRECISIONS
    }
    try:
        if arguments.texts:
            await compare(encoders, arguments.texts, arguments.rounds)
        for folder in arguments.retrieval:
            await retrieve(encoders, folder, arguments.queries, arguments.documents)
    finally:
        for encoder in encoders.values():
            await encoder.close()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="a sentence embedding model")
    parser.add_argument("--texts", type=int, default=480, help="texts of mixed lengths; 0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are taken")
    parser.add_argument("--retrieval", type=Path, nargs="*", default=[], help="folders of data sets with judgements")
    parser.add_argument("--queries", type=int, default=200, help="most queries of it")
    parser.add_argument("--documents", type=int, default=1500, help="most documents of it")
    parser.add_argument("--cache", type=Path, default=Path(".data/cache"), help="folder for converted models")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
