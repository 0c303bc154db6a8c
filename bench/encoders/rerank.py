"""100 passages, reranked by a cross-encoder: the service over gRPC, and `CrossEncoder.predict` in process."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Any

import grpc
from processes import Service
from results import say, spread
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from workload import passages_to_rerank

if TYPE_CHECKING:
    from pathlib import Path

    from processes import Peer
    from results import Results

PASSAGES = 100
TOP = 10
_QUESTIONS_TO_DERIVE = 3
"""Questions, besides those that are measured, that the model's last layer is derived from."""


def measure(results: Results, plain: Peer, folder: Path, data: Path | None, tokenizer: Any, queries: int) -> None:
    """Compares both on the same questions, turn by turn; first as the service comes, then held to fp32."""
    questions = passages_to_rerank(data, tokenizer, queries + _QUESTIONS_TO_DERIVE, PASSAGES)
    deriving, questions = questions[:_QUESTIONS_TO_DERIVE], questions[_QUESTIONS_TO_DERIVE:]
    model = folder / "cross-encoder"
    plain.ask("write_cross_encoder", folder=str(model), questions=deriving)
    tokens = statistics.mean(len(tokenizer.encode(passage).ids) for _, passages in questions for passage in passages)
    results.add(f"rerank of {PASSAGES} passages", f"{tokens:.0f} tokens each, {len(questions)} questions")
    for precision in ("auto", "fp32"):
        settings = {
            "TRIVIUM_RERANK_BACKEND": "cross-encoder",
            "TRIVIUM_RERANK_MODEL": str(model),
            "TRIVIUM_RERANK_CACHE_BYTES": "0",
            "TRIVIUM_RERANK_PRECISION": precision,
        }
        service = Service("trivium_rerank", folder, settings)
        try:
            service.pause()
            with grpc.insecure_channel(service.target) as channel:
                _compare(results, service, RerankServiceStub(channel), plain, str(model), questions, precision)
        finally:
            service.stop()


def _compare(
    results: Results,
    service: Service,
    stub: Any,
    plain: Peer,
    model: str,
    questions: list[tuple[str, list[str]]],
    precision: str,
) -> None:
    def theirs(query: str, passages: list[str]) -> tuple[float, list[float]]:
        answered = plain.ask("rerank", folder=model, query=query, passages=passages)
        return answered["seconds"], answered["scores"]

    for query, passages in questions[-2:]:  # warms both
        used = _served(service, stub, query, passages)[2]
        theirs(query, passages)
    ours_seconds, theirs_seconds, changed = [], [], []
    for number, (query, passages) in enumerate(questions):
        if number % 2:
            seconds, reference = theirs(query, passages)
            our_seconds, ours, _ = _served(service, stub, query, passages)
        else:
            our_seconds, ours, _ = _served(service, stub, query, passages)
            seconds, reference = theirs(query, passages)
        ours_seconds.append(our_seconds)
        theirs_seconds.append(seconds)
        order = sorted(range(len(passages)), key=lambda index: -reference[index])
        changed.append(max(abs(_logit(reference[ours[at]]) - _logit(reference[order[at]])) for at in range(TOP)))
        say(f"question {number + 1}: served {our_seconds:.2f} s, CrossEncoder.predict {seconds:.2f} s")
    ratios = [theirs / ours for ours, theirs in zip(ours_seconds, theirs_seconds, strict=True)]
    results.add(
        f"served in {used} / `CrossEncoder.predict` with its defaults, in process",
        f"{spread(ratios)}; {statistics.median(ours_seconds):.2f} s and {statistics.median(theirs_seconds):.2f} s",
        ">= 4" if precision == "auto" else "",
        **{f"rerank_{used}": ratios},
    )
    same = sum(gap == 0 for gap in changed)
    results.add(
        f"questions whose first {TOP} passages come in the same order, in {used}",
        f"{same} of {len(questions)}; those that changed places were within {max(changed):.3f} of each other's logit",
        "all",
        **{f"rerank_changed_{used}": changed},
    )


def _logit(score: float) -> float:
    return math.log(score / (1 - score))


def _served(service: Service, stub: Any, query: str, passages: list[str]) -> tuple[float, list[int], str]:
    """Seconds, the passages best first, and the precision."""
    with service.running():
        start = time.perf_counter()
        response = stub.Rerank(pb.RerankRequest(query=query, texts=passages), wait_for_ready=True)
        seconds = time.perf_counter() - start
    return seconds, [ranking.index for ranking in response.rankings], response.model.precision
