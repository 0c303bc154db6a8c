"""How many questions a second the stack answers, and what each costs, with so many callers and so many candidates.

Needs a running stack on this machine (`TRIVIUM_GATEWAY_CACHE=off make up`) and a data set in two files: `corpus.jsonl`
with `{id, title, text}` and `queries.jsonl` with `{id, text}`.

    .venv/bin/python bench/questions/run.py --data DIR

In each step, so many callers ask for some seconds, each again as soon as it has its answer. Before them, one caller
searches without and with reranking and asks, by turns and never twice for the same, among passages that no reranker has
read: their token vectors came with their ingestion. For what reranking costs without these, start the stack with
TRIVIUM_EMBED_TOKEN_CODES=off and TRIVIUM_RERANK_CACHE_BYTES=0. Writes to a collection of its own and deletes it at the
end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import resource
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium_client import Answer, Trivium, TriviumError

if TYPE_CHECKING:
    from collections.abc import Callable

COLLECTION = "bench-questions"
_MOST_CALLERS = 64
_LONGEST_STEP_SECONDS = 60.0
_LIMITED = ("requests", "embedded_tokens", "reranked_tokens", "prompt_tokens", "completion_tokens")
_METRICS_PORTS = {"gateway": 8080, "embed": 9101, "rerank": 9102, "generate": 9103, "qdrant_edge": 6333}


@dataclass(slots=True)
class Step:
    """What one step saw; the callers add to it, each in its own list.

    Attributes:
        seconds: Duration of each answered question.
        rerank: Milliseconds of each one's reranking.
        own: Milliseconds of each one that no stage took: the gateway's own.
        degraded: How many were degraded.
        refused: How many were refused or failed.
        cached: How many came from a cache.
    """

    seconds: list[float] = field(default_factory=list)
    rerank: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    degraded: int = 0
    refused: int = 0
    cached: int = 0


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def metric_of_each(name: str, offset: int) -> dict[str, float]:
    """A metric of each process."""
    values = {}
    for process, port in _METRICS_PORTS.items():
        request = urllib.request.Request(f"http://127.0.0.1:{port + offset}/metrics")
        if key := os.environ.get("TRIVIUM_API_KEY"):
            request.add_header("Authorization", f"Bearer {key}")
        with urllib.request.urlopen(request, timeout=5) as response:
            found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)
        values[process] = float(found[1]) if found else math.nan
    return values


def processor_seconds(offset: int) -> dict[str, float]:
    """Processor time of each process so far, and of this one, which asks."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"asker": used.ru_utime + used.ru_stime, **metric_of_each("process_cpu_seconds_total", offset)}


def cost_since(before: dict[str, float], offset: int, divisor: int) -> dict[str, float]:
    """Milliseconds of processor time that each process has used since, for each of so many things."""
    now = processor_seconds(offset)
    return {process: (now[process] - before[process]) * 1e3 / max(1, divisor) for process in now}


def told(cost: dict[str, float]) -> str:
    """The stack's sum, and what each had of it; the asker's is not the stack's."""
    stack = sum(cost.values()) - cost["asker"]
    return f"{stack:.1f} = " + ", ".join(f"{process} {cost[process]:.1f}" for process in _METRICS_PORTS)


def memory(offset: int) -> str:
    """MB that each process has in memory."""
    values = metric_of_each("process_resident_memory_bytes", offset)
    return ", ".join(f"{process} {size / 1e6:.0f}" for process, size in values.items())


def own_milliseconds(answer: Answer) -> float:
    """What of an answer's time no stage took."""
    covered, end = 0.0, 0.0
    for stage in sorted(answer.stages, key=lambda one: one.start_ms):
        covered += max(0.0, stage.start_ms + stage.duration_ms - max(end, stage.start_ms))
        end = max(end, stage.start_ms + stage.duration_ms)
    return (answer.timings.total or 0.0) - covered


def ask(trivium: Trivium, questions: list[str], *, callers: int, candidates: int, seconds: float) -> tuple[Step, float]:
    """Has so many callers ask for some seconds; what they saw, and the time until the last one had its answer."""
    steps = [Step() for _ in range(callers)]
    start = time.perf_counter()
    end = start + seconds

    def caller(number: int) -> None:
        order = random.Random(number)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            try:
                answer = trivium.ask(order.choice(questions), collection=COLLECTION, candidates=candidates)
            except TriviumError:
                steps[number].refused += 1
                time.sleep(0.1)
                continue
            steps[number].seconds.append(time.perf_counter() - begin)
            steps[number].rerank.append(answer.timings.rerank or 0.0)
            steps[number].own.append(own_milliseconds(answer))
            steps[number].degraded += bool(answer.degraded)
            steps[number].cached += answer.cached.retrieval

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Step(
        seconds=sorted(second for step in steps for second in step.seconds),
        rerank=sorted(millisecond for step in steps for millisecond in step.rerank),
        own=sorted(millisecond for step in steps for millisecond in step.own),
        degraded=sum(step.degraded for step in steps),
        refused=sum(step.refused for step in steps),
        cached=sum(step.cached for step in steps),
    )
    return whole, time.perf_counter() - start


def compare_stages(trivium: Trivium, questions: list[str], candidates: int) -> str:
    """Median and 95th percentile of retrieval without and with reranking, and of an answer, by turns.

    And how the second compares to the first, and the third to the second.
    """
    asking: list[Callable[[str], object]] = [
        lambda text: trivium.retrieve(text, collection=COLLECTION, candidates=candidates, rerank=False),
        lambda text: trivium.retrieve(text, collection=COLLECTION, candidates=candidates, rerank=True),
        lambda text: trivium.ask(text, collection=COLLECTION, candidates=candidates),
    ]
    taken: list[list[float]] = [[] for _ in asking]
    for number, question in enumerate(questions):
        begin = time.perf_counter()
        asking[number % len(asking)](question)
        taken[number % len(asking)].append((time.perf_counter() - begin) * 1e3)
    each = [sorted(one) for one in taken]
    plain, reranked, answered = (percentile(one, 0.5) for one in each)
    times = [f"p50 {percentile(one, 0.5):.1f} ms, p95 {percentile(one, 0.95):.1f} ms" for one in each]
    return (
        f"retrieval, {candidates} candidates: {times[0]}; reranked: {times[1]}, {reranked / plain:.1f}x; "
        f"answer: {times[2]}, {answered - reranked:+.1f} ms"
    )


def percentile(ordered: list[float], share: float) -> float:
    """The value that this share of an ordered list does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else math.nan


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--documents", type=int, default=1204, help="how many documents to ingest")
    parser.add_argument("--questions", type=int, default=500, help="how many different questions")
    parser.add_argument("--callers", default="1,2,4,8", help=f"how many ask at once, up to {_MOST_CALLERS}")
    parser.add_argument("--candidates", default="100", help="how many candidates are reranked")
    parser.add_argument("--retrievals", type=int, default=300, help="how many searches and answers, by turns")
    parser.add_argument("--seconds", type=float, default=8.0, help=f"of each step, up to {_LONGEST_STEP_SECONDS:.0f}")
    parser.add_argument(
        "--quotas",
        action="store_true",
        help="limit the key's tenant by far more than is used, so that limits are looked at; it takes TRIVIUM_API_KEY "
        "with the scope operator",
    )
    parser.add_argument("--json", type=Path, help="file to write the steps to, for bench/capacity/simulate.py")
    parser.add_argument("--port-offset", type=int, default=0, help="as given to trivium up")
    arguments = parser.parse_args()
    callers = [min(int(number), _MOST_CALLERS) for number in arguments.callers.split(",")]
    depths = [int(number) for number in arguments.candidates.split(",")]
    seconds = min(arguments.seconds, _LONGEST_STEP_SECONDS)

    documents = read_lines(arguments.data / "corpus.jsonl")[: arguments.documents]
    queries = read_lines(arguments.data / "queries.jsonl")
    questions = [row["text"] for row in queries[:: max(1, len(queries) // arguments.questions)]]
    offset, steps = arguments.port_offset, list[dict[str, Any]]()
    with Trivium(f"127.0.0.1:{50050 + offset}") as trivium:
        if arguments.quotas:
            trivium.set_quota(dict.fromkeys(_LIMITED, "1000000000/m"))
        print(f"MB in memory before: {memory(offset)}")
        trivium.create_collection(COLLECTION)
        try:
            before, start = processor_seconds(offset), time.perf_counter()
            results = trivium.ingest(documents, collection=COLLECTION)
            taken = time.perf_counter() - start
            if any(result.status == "failed" for result in results):
                sys.exit("documents failed")
            chunks = sum(result.chunk_count for result in results)
            print(f"ingested {len(results)} documents, {chunks} pieces in {taken:.1f} s: {chunks / taken:.0f} pieces/s")
            print(f"processor milliseconds a piece: {told(cost_since(before, offset, chunks))}")
            for depth in depths:
                fresh = [row["text"] for row in random.Random(depth).sample(queries, arguments.retrievals)]
                print(compare_stages(trivium, fresh, depth), flush=True)
            ask(trivium, questions, callers=2, candidates=max(depths), seconds=min(seconds, 5.0))  # warm up
            for depth in depths:
                for count in callers:
                    before = processor_seconds(offset)
                    step, lasted = ask(trivium, questions, callers=count, candidates=depth, seconds=seconds)
                    cost = cost_since(before, offset, len(step.seconds))
                    p50, p95 = (percentile(step.seconds, share) * 1e3 for share in (0.5, 0.95))
                    print(
                        f"{depth} candidates, {count} callers: {len(step.seconds) / lasted:.1f} questions/s, "
                        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, of it rerank {percentile(step.rerank, 0.5):.0f} ms "
                        f"and no stage {percentile(step.own, 0.5):.1f} ms; "
                        f"degraded {step.degraded}, refused {step.refused}, from a cache {step.cached}"
                    )
                    print(f"  processor milliseconds a question: {told(cost)}", flush=True)
                    rate = len(step.seconds) / lasted
                    steps.append({"callers": count, "candidates": depth, "rate": rate, "p50_ms": p50, "cost_ms": cost})
            print(f"MB in memory after: {memory(offset)}")
            if arguments.json:
                run = {"cores": len(os.sched_getaffinity(0)), "steps": steps}
                arguments.json.write_text(json.dumps(run, indent=1) + "\n")
        finally:
            trivium.delete_collection(COLLECTION)


if __name__ == "__main__":
    main()
