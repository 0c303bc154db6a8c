"""Trivium's retrieval beside the hybrid search of txtai, LlamaIndex and Haystack: the same passages, the same model.

    scripts/setup bench-peers    # in .venv-bench-peers
    make up                      # in another window
    .venv/bin/python bench/peers/run.py --data squad-v2.0-dev

The others run within one process of theirs, with everything in memory; Trivium is asked over gRPC, and has written
everything to the disk. They take turns, a part of the questions each, and no question is asked twice of the same one:
what Trivium reranks, it has not read before. Then so many callers ask each of them for some seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from trivium_client import Trivium

COLLECTION = "bench-peers"
_ROOT = Path(__file__).parents[2]
_PYTHON = _ROOT / ".venv-bench-peers/bin/python"
_PEERS = ("txtai", "llamaindex", "haystack")
_ROUNDS = 3


class Searched(Protocol):
    """What is compared."""

    name: str

    def ingest(self, documents: list[dict[str, str]]) -> float:
        """Seconds until all are found."""

    def search(self, queries: list[str]) -> tuple[list[list[str]], list[float]]:
        """What each query finds, and its milliseconds."""

    def crowd(self, queries: list[str], callers: int, seconds: float) -> float:
        """Queries a second."""


class Peer:
    """One of systems.py's, in a process of its own."""

    def __init__(self, name: str) -> None:
        command = [str(_PYTHON), str(Path(__file__).parent / "systems.py"), name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        versions = self._answer()["versions"]
        self.name = ", ".join(f"{package} {version}" for package, version in versions.items())

    def ingest(self, documents: list[dict[str, str]]) -> float:
        return float(self._ask(do="ingest", documents=documents)["seconds"])

    def search(self, queries: list[str]) -> tuple[list[list[str]], list[float]]:
        answer = self._ask(do="search", queries=queries)
        return answer["found"], answer["milliseconds"]

    def crowd(self, queries: list[str], callers: int, seconds: float) -> float:
        return float(self._ask(do="crowd", queries=queries, callers=callers, seconds=seconds)["a_second"])

    def close(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(30)

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a peer ended; its log is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Ours:
    """Trivium, with or without its reranker."""

    def __init__(self, trivium: Trivium, *, rerank: bool) -> None:
        self._trivium, self._rerank = trivium, rerank
        self.name = f"Trivium, {'reranked, passages never read' if rerank else '`rerank: false`'}"

    def ingest(self, documents: list[dict[str, str]]) -> float:
        if self._rerank:
            return math.nan  # the same collection
        begin = time.perf_counter()
        results = self._trivium.ingest(documents, collection=COLLECTION)
        if any(result.status == "failed" for result in results):
            raise SystemExit(f"documents failed: {next(one.error for one in results if one.status == 'failed')}")
        return time.perf_counter() - begin

    def search(self, queries: list[str]) -> tuple[list[list[str]], list[float]]:
        found, milliseconds = [], []
        for query in queries:
            begin = time.perf_counter()
            found.append(self._once(query))
            milliseconds.append((time.perf_counter() - begin) * 1e3)
        return found, milliseconds

    def crowd(self, queries: list[str], callers: int, seconds: float) -> float:
        done = [0] * callers
        begin = time.perf_counter()

        def caller(number: int) -> None:
            while time.perf_counter() - begin < seconds:
                self._once(queries[(number + callers * done[number]) % len(queries)])
                done[number] += 1

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / (time.perf_counter() - begin)

    def _once(self, query: str) -> list[str]:
        return [
            one.document_id
            for one in self._trivium.retrieve(query, collection=COLLECTION, rerank=self._rerank).passages
        ]


def measure(system: Searched, turns: list[tuple[list[list[str]], list[float]]], judged: dict[str, str]) -> str:
    """Times and quality of what a system found in its turns."""
    found = [ids for turn, _ in turns for ids in turn]
    times = [millisecond for _, turn in turns for millisecond in turn]
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    first = statistics.mean(ids[:1] == [answer] for ids, answer in zip(found, judged.values(), strict=True))
    in_five = statistics.mean(answer in ids[:5] for ids, answer in zip(found, judged.values(), strict=True))
    return f"{p50:.1f} / {p95:.1f} | {first:.3f} / {in_five:.3f}"


def questions(folder: Path, count: int) -> dict[str, str]:
    """Judged questions, drawn at random, and the document that answers each."""
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    judged = dict(line.split("\t")[:2] for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines())
    answered = {row["text"]: judged[row["id"]] for row in rows if row["id"] in judged}
    return dict(random.Random(3).sample(sorted(answered.items()), count))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with corpus.jsonl, queries.jsonl and qrels.tsv"
    )
    parser.add_argument("--questions", type=int, default=300, help="how many of one caller")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long they ask each")
    parser.add_argument("--peers", default=",".join(_PEERS), help="which, separated by commas")
    parser.add_argument("--gateway", default=None, help="HOST:PORT of the gateway's gRPC")
    arguments = parser.parse_args()
    lines = (arguments.data / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [{key: row[key] for key in ("id", "title", "text")} for row in map(json.loads, lines)]
    judged = questions(arguments.data, arguments.questions)
    asked = list(judged)
    crowd = list(questions(arguments.data, arguments.questions * 3).keys() - judged.keys())
    peers = [Peer(name) for name in filter(None, arguments.peers.split(","))]
    with Trivium(arguments.gateway) as trivium:
        systems: list[Searched] = [Ours(trivium, rerank=False), Ours(trivium, rerank=True), *peers]
        trivium.create_collection(COLLECTION)
        try:
            ingested = [system.ingest(documents) for system in systems]
            for system in systems:
                system.search(crowd[:10])  # what is loaded with the first question
            turns: list[list[tuple[list[list[str]], list[float]]]] = [[] for _ in systems]
            size = math.ceil(len(asked) / _ROUNDS)
            for part in range(_ROUNDS):
                for offset in range(len(systems)):
                    at = (part + offset) % len(systems)
                    turns[at].append(systems[at].search(asked[part * size : (part + 1) * size]))
            rates = [system.crowd(crowd, arguments.callers, arguments.seconds) for system in systems]
            print(f"| | ingest s | p50 / p95 ms | first / in five | questions/s, {arguments.callers} callers |")
            for system, seconds, taken, rate in zip(systems, ingested, turns, rates, strict=True):
                print(f"| {system.name} | {seconds:.1f} | {measure(system, taken, judged)} | {rate:.0f} |")
        finally:
            trivium.delete_collection(COLLECTION)
            for peer in peers:
                peer.close()


if __name__ == "__main__":
    main()
