"""What a cached retrieval and a cached answer take of the time that they take anew.

Needs a running stack on this machine (`make up`) and a data set as bench/questions/run.py does.

    .venv/bin/python bench/questions/caches.py --data DIR

One caller asks different questions, each several times, and then as many while a document is written before each.
Writes to a collection of its own and deletes it at the end.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from run import cpu_since, metric_of_each, percentile, read_lines
from trivium_client import Trivium

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_client import Answer, Retrieval

COLLECTION = "bench-caches"
_TIMES = 4


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--documents", type=int, default=300, help="how many documents to ingest")
    parser.add_argument("--questions", type=int, default=60, help="how many different questions")
    parser.add_argument("--port-offset", type=int, default=0, help="as given to trivium up")
    arguments = parser.parse_args()
    documents = read_lines(arguments.data / "corpus.jsonl")[: arguments.documents]
    queries = read_lines(arguments.data / "queries.jsonl")
    questions = [row["text"] for row in queries[:: max(1, len(queries) // arguments.questions)]][: arguments.questions]
    with Trivium(f"127.0.0.1:{50050 + arguments.port_offset}") as trivium:
        trivium.create_collection(COLLECTION)
        try:
            trivium.ingest(documents, collection=COLLECTION)
            time.sleep(3)  # until the gateway asks Qdrant anew about the collection
            asks: dict[str, Callable[[str], Answer | Retrieval]] = {
                "retrieve": lambda one: trivium.retrieve(one, collection=COLLECTION),
                "answer": lambda one: trivium.ask(one, collection=COLLECTION),
            }
            for name, ask in asks.items():
                for written, title in ((False, "asked again"), (True, "asked again after a write each time")):
                    _measure(f"{name}, {title}", trivium, ask, questions, arguments.port_offset, written=written)
        finally:
            trivium.delete_collection(COLLECTION)


def _measure(
    title: str,
    trivium: Trivium,
    ask: Callable[[str], Answer | Retrieval],
    questions: list[str],
    offset: int,
    *,
    written: bool,
) -> None:
    seconds: dict[str, list[float]] = {"anew": [], "cached": []}
    before = metric_of_each("process_cpu_seconds_total", offset)
    for number in range(_TIMES):
        for question in questions:
            if written:
                trivium.ingest([{"id": "bench", "text": f"Text {number} {question}"}], collection=COLLECTION)
            begin = time.perf_counter()
            found = ask(question)
            lasted = time.perf_counter() - begin
            seconds["cached" if found.cached.retrieval else "anew"].append(lasted)
    parts = []
    for kind, some in seconds.items():
        p50, p95 = (percentile(sorted(some), share) * 1e3 for share in (0.5, 0.95))
        parts.append(f"{kind} {len(some)} x, p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    print(f"{title}: {'; '.join(parts)}")
    print(f"  processor milliseconds a question: {cpu_since(before, offset, _TIMES * len(questions))}", flush=True)


if __name__ == "__main__":
    main()
