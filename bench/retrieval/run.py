"""How often the right passage is found, and what ingestion costs above the bare encoder.

Needs a running stack (`make up`) and a data set in three files: `corpus.jsonl` with `{id, title, text}`,
`queries.jsonl` with `{id, text}`, `qrels.tsv` with query, document and grade separated by tabs.

    .venv/bin/python bench/retrieval/run.py --data DIR [--queries 500]

Writes to a collection of its own and deletes it at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress
from trivium_client import Answer, Trivium

if TYPE_CHECKING:
    from collections.abc import Iterator

COLLECTION = "bench-retrieval"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON lines file."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def bare_encoder_seconds(texts: list[str], model_cache: Path) -> float:
    """Seconds that the encoder alone takes for the texts, in this process, with no service around it."""
    from prometheus_client import CollectorRegistry
    from trivium_encoders import EncoderOptions, Priority, Role, TextEncoder

    async def measure() -> float:
        options = EncoderOptions(model="sentence-transformers/all-MiniLM-L6-v2", cache_dir=model_cache)
        encoder = await TextEncoder.load(options, registry=CollectorRegistry(), service="bench")
        try:
            await encoder.encode(texts[:64], role=Role.DOCUMENT, truncate=True, priority=Priority.BULK)
            start = time.perf_counter()
            await encoder.encode(texts, role=Role.DOCUMENT, truncate=True, priority=Priority.BULK)
            return time.perf_counter() - start
        finally:
            await encoder.close()

    return asyncio.run(measure())


def ingest(trivium: Trivium, documents: list[dict[str, Any]]) -> float:
    """Ingests through the public API; seconds from the first call to the last acknowledgement."""
    with Progress() as progress:
        task = progress.add_task("ingesting", total=len(documents))
        start = time.perf_counter()
        results = trivium.ingest(
            documents, collection=COLLECTION, on_progress=lambda done: progress.update(task, completed=done.done_count)
        )
        seconds = time.perf_counter() - start
    failed = [result for result in results if result.status == "failed"]
    if failed:
        sys.exit(f"{len(failed)} documents failed, the first one: {failed[0].error}")
    return seconds


def ask_all(trivium: Trivium, questions: list[tuple[str, str]], callers: int) -> list[Answer]:
    """Asks every question as `trivium ask` does."""
    with Progress() as progress, ThreadPoolExecutor(callers) as pool:
        task = progress.add_task("asking", total=len(questions))

        def ask(question: str) -> Answer:
            answer = trivium.ask(question, collection=COLLECTION)
            progress.advance(task)
            return answer

        return list(pool.map(ask, (text for _, text in questions)))


def report(answers: list[Answer], right: list[set[str]]) -> None:
    """Prints the share of questions whose source is found, and the time per stage."""
    found = [[passage.document_id for passage in answer.passages] for answer in answers]
    first = sum(bool(ids) and ids[0] in wanted for ids, wanted in zip(found, right, strict=True))
    in_five = sum(bool(set(ids[:5]) & wanted) for ids, wanted in zip(found, right, strict=True))
    cited = sum(
        bool({citation.document_id for citation in answer.citations} & wanted)
        for answer, wanted in zip(answers, right, strict=True)
    )
    print(f"questions: {len(answers)}; degraded: {sum(bool(answer.degraded) for answer in answers)}")
    print(f"source passage first: {first / len(answers):.3f}, in the first five: {in_five / len(answers):.3f}")
    print(f"answer cites the source passage: {cited / len(answers):.3f}")
    for stage in ("embed", "search", "rerank", "generate", "total"):
        milliseconds = sorted(getattr(answer.timings, stage) or 0.0 for answer in answers)
        p95 = milliseconds[int(len(milliseconds) * 0.95)]
        print(f"{stage:9} p50 {statistics.median(milliseconds):7.1f} ms   p95 {p95:7.1f} ms")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--queries", type=int, default=500, help="how many judged queries to ask")
    parser.add_argument("--callers", type=int, default=1, help="how many ask at once")
    parser.add_argument("--gateway", default=None, help="HOST:PORT of the gateway's gRPC")
    parser.add_argument("--model-cache", type=Path, default=Path(".data/models"), help="cache of converted models")
    arguments = parser.parse_args()

    documents = list(read_lines(arguments.data / "corpus.jsonl"))
    judgements: dict[str, set[str]] = {}
    for line in (arguments.data / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            judgements.setdefault(query, set()).add(document)
    queries = [
        (row["id"], row["text"]) for row in read_lines(arguments.data / "queries.jsonl") if row["id"] in judgements
    ]
    step = max(1, len(queries) // arguments.queries)  # spread over the whole file, the same ones in each run
    chosen = queries[::step][: arguments.queries]

    texts = [f"{row['title']}\n{row['text']}" if row["title"] else row["text"] for row in documents]
    bare = bare_encoder_seconds(texts, arguments.model_cache)
    with Trivium(arguments.gateway) as trivium:
        trivium.create_collection(COLLECTION)
        taken = ingest(trivium, documents)
        rate = f"{taken:.1f} s, {taken / bare:.2f}x the encoder alone ({bare:.1f} s)"
        print(f"ingestion of {len(documents)} documents: {rate}")
        try:
            answers = ask_all(trivium, chosen, arguments.callers)
        finally:
            trivium.delete_collection(COLLECTION)
    report(answers, [judgements[query] for query, _ in chosen])


if __name__ == "__main__":
    main()
