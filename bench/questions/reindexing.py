"""What questions notice while a collection gets another embedding model, and what a rollback takes.

Needs a running stack on this machine whose gateway knows a second embed service as `new`, and a data set as
bench/questions/run.py does, with judgements. For example the first 128 numbers of each vector, and then all 384:

    TRIVIUM_EMBED_LISTEN=127.0.0.1:50061 TRIVIUM_EMBED_METRICS_PORT=0 python -m trivium_embed
    TRIVIUM_EMBED_DIMENSION=128 TRIVIUM_EMBED_LEAST_DIMENSION=128 \
        TRIVIUM_GATEWAY_EMBED_TARGETS=new=127.0.0.1:50061 TRIVIUM_GATEWAY_CACHE=off trivium up
    python bench/questions/reindexing.py --data DIR

One caller asks one question after the other, another writes a document every half second and deletes every tenth of
them. Each question that was asked on the way is compared with what the two indexes answer at rest. Writes to a
collection of its own and deletes it at the end.
"""

from __future__ import annotations

import argparse
import itertools
import math
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from run import percentile, read_lines
from trivium_client import Trivium

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLLECTION = "bench-reindexing"
_PLACES = 10
_WRITE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked at some moment, how long it took, and the nDCG@10 of its answer."""

    question: str
    at: float
    seconds: float
    score: float


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--documents", type=int, default=1000, help="how many documents to ingest")
    parser.add_argument("--questions", type=int, default=150, help="how many different questions")
    parser.add_argument("--model", default="new", help="the model to change to, or the name of its service")
    parser.add_argument("--port-offset", type=int, default=0, help="as given to trivium up")
    arguments = parser.parse_args()
    judged = _judgements(arguments.data / "qrels.tsv")
    questions = [row for row in read_lines(arguments.data / "queries.jsonl") if row["id"] in judged]
    questions = questions[: arguments.questions]
    wanted = {document for row in questions for document in judged[row["id"]]}
    corpus = read_lines(arguments.data / "corpus.jsonl")
    documents = sorted(corpus, key=lambda row: row["id"] not in wanted)[: arguments.documents]
    address = f"127.0.0.1:{50050 + arguments.port_offset}"
    with Trivium(address) as trivium:
        trivium.create_collection(COLLECTION)
        try:
            for start in range(0, len(documents), 100):
                trivium.ingest(documents[start : start + 100], collection=COLLECTION)
            _measure(trivium, address, {row["text"]: judged[row["id"]] for row in questions}, arguments.model)
        finally:
            trivium.delete_collection(COLLECTION)


def _measure(trivium: Trivium, address: str, questions: Mapping[str, frozenset[str]], model: str) -> None:
    pieces = trivium.get_collection(COLLECTION).chunk_count
    _ask_all(trivium, questions)  # so that all is loaded, and the reranker knows what it can know
    before = _ask_all(trivium, questions)
    print(f"{pieces} pieces; {len(questions)} questions; one caller")
    _say("before", before)

    writer = _Writer(address)
    with _Asker(address, questions) as asker, writer:
        begin = time.perf_counter()
        while not (progress := trivium.reindex_collection(COLLECTION, model=model)).done:
            if progress.held:
                raise SystemExit(f"the new index does not answer: {progress.comparison}")
        moved = time.perf_counter()
    on_the_way = [one for one in asker.asked if begin <= one.at < moved]
    time.sleep(3)  # until the gateway asks Qdrant anew about the collection
    after = _ask_all(trivium, questions)
    _say("on the way", on_the_way)
    _say("after", after)
    print(f"the change took {moved - begin:.0f} s; {progress.comparison}")
    better = max((before, after), key=_mean)
    _say_tenths(on_the_way, begin, moved, {one.question: one.score for one in before}, better)
    print(f"p99 on the way is {_p99(on_the_way) / _p99(before):.2f} times that before")

    begin = time.perf_counter()
    trivium.roll_back_index(COLLECTION)
    rolled_back = time.perf_counter() - begin
    while not trivium.reindex_collection(COLLECTION).done:
        pass
    print(f"rollback: {rolled_back:.3f} s, and {time.perf_counter() - begin:.1f} s with all that was written since")
    stored = {one.id for one in trivium.list_documents(collection=COLLECTION)}
    lost, undone = writer.written - stored, writer.deleted & stored
    print(f"{len(writer.written)} documents acknowledged, {len(lost)} lost; {len(writer.deleted)} deleted, "
          f"{len(undone)} undone")  # fmt: skip


def _say_tenths(
    asked: Sequence[Asked], begin: float, end: float, before: Mapping[str, float], better: Sequence[Asked]
) -> None:
    """The nDCG of each tenth of the way, against that of the same questions at rest."""
    best = {one.question: one.score for one in better}
    tenths: defaultdict[int, list[Asked]] = defaultdict(list)
    for one in asked:
        tenths[int(10 * (one.at - begin) / (end - begin))].append(one)
    for tenth, some in sorted(tenths.items()):
        here = _mean(some)
        old, top = (sum(scores[one.question] for one in some) / len(some) for scores in (before, best))
        print(f"tenth {tenth + 1}: {len(some)} questions, nDCG@10 {here:.3f}; of the index before {here / old:.3f}, of "
              f"the better one {here / top:.3f}; p99 {_p99(some) * 1e3:.0f} ms")  # fmt: skip


class _Asker:
    """Asks without pause, in a thread of its own."""

    def __init__(self, address: str, questions: Mapping[str, frozenset[str]]) -> None:
        self.asked: list[Asked] = []
        self._address, self._questions = address, questions
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Trivium(self._address) as trivium:
            for question in itertools.cycle(self._questions):
                if self._stop.is_set():
                    return
                self.asked.append(_ask(trivium, question, self._questions[question]))


class _Writer:
    """Writes and deletes documents, in a thread of its own."""

    def __init__(self, address: str) -> None:
        self.written: set[str] = set()
        self.deleted: set[str] = set()
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Trivium(self._address) as trivium:
            for number in itertools.count():
                if self._stop.wait(_WRITE_SECONDS):
                    return
                name = f"written-{number}"
                (result,) = trivium.ingest(
                    [{"id": name, "text": f"Ferry {number} calls at the northern harbour."}], collection=COLLECTION
                )
                if result.status != "failed":
                    self.written.add(name)
                if number % 10 == 9 and name in self.written:
                    trivium.delete_documents([name], collection=COLLECTION)
                    self.written.discard(name)
                    self.deleted.add(name)


def _ask(trivium: Trivium, question: str, relevant: frozenset[str]) -> Asked:
    begin = time.perf_counter()
    found = trivium.retrieve(question, collection=COLLECTION, top_n=_PLACES)
    seconds = time.perf_counter() - begin
    ranked = list(dict.fromkeys(one.document_id for one in found.passages))
    gain = sum(1 / math.log2(place + 2) for place, one in enumerate(ranked) if one in relevant)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(len(relevant), _PLACES)))
    return Asked(question, begin, seconds, gain / ideal)


def _ask_all(trivium: Trivium, questions: Mapping[str, frozenset[str]]) -> list[Asked]:
    return [_ask(trivium, question, relevant) for question, relevant in questions.items()]


def _say(title: str, asked: Sequence[Asked]) -> None:
    seconds = sorted(one.seconds for one in asked)
    print(f"{title}: {len(asked)} questions, p50 {percentile(seconds, 0.5) * 1e3:.0f} ms, p99 {_p99(asked) * 1e3:.0f} "
          f"ms, nDCG@10 {_mean(asked):.4f}")  # fmt: skip


def _p99(asked: Sequence[Asked]) -> float:
    return percentile(sorted(one.seconds for one in asked), 0.99)


def _mean(asked: Sequence[Asked]) -> float:
    return sum(one.score for one in asked) / len(asked)


def _judgements(path: Path) -> dict[str, frozenset[str]]:
    """The documents that answer each question."""
    judged: defaultdict[str, set[str]] = defaultdict(set)
    for line in path.read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if float(grade) > 0:
            judged[query].add(document)
    return {query: frozenset(documents) for query, documents in judged.items()}


if __name__ == "__main__":
    main()
