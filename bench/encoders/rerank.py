"""100 passages, reranked by a cross-encoder: the service over gRPC, and `CrossEncoder.predict` in process."""

from __future__ import annotations

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
_PAIRS_TO_FIT = 3
"""Questions, besides those that are measured, whose pairs the model's last layer is fitted to."""


def measure(
    results: Results, plain: Peer, folder: Path, data: Path | None, tokenizer: Any, queries: int, rounds: int
) -> None:
    """Compares both on the same questions, turn by turn."""
    questions = passages_to_rerank(data, tokenizer, queries + _PAIRS_TO_FIT, PASSAGES)
    fitting, questions = questions[:_PAIRS_TO_FIT], questions[_PAIRS_TO_FIT:]
    model = folder / "cross-encoder"
    pairs = [(query, passage) for query, passages in fitting for passage in passages]
    fit = plain.ask("write_cross_encoder", folder=str(model), pairs=pairs)["fit"]
    say(f"made a cross-encoder of MiniLM-L12's shape; correlation with the cosines it was fitted to: {fit:.2f}")
    tokens = statistics.mean(len(tokenizer.encode(passage).ids) for _, passages in questions for passage in passages)
    settings = {
        "TRIVIUM_RERANK_BACKEND": "cross-encoder",
        "TRIVIUM_RERANK_MODEL": str(model),
        "TRIVIUM_RERANK_CACHE_BYTES": "0",
    }
    service = Service("trivium_rerank", folder, settings)
    try:
        service.pause()
        with grpc.insecure_channel(service.target) as channel:
            _compare(results, service, RerankServiceStub(channel), plain, str(model), questions, rounds, tokens)
    finally:
        service.stop()


def _compare(
    results: Results,
    service: Service,
    stub: Any,
    plain: Peer,
    model: str,
    questions: list[tuple[str, list[str]]],
    rounds: int,
    tokens: float,
) -> None:
    ours_seconds: list[float] = []
    theirs_seconds: list[float] = []
    same, most = 0, 0.0
    for query, passages in questions[-2:]:  # warms both
        _served(service, stub, query, passages)
        plain.ask("rerank", folder=model, query=query, passages=passages)
    for number in range(rounds):
        for query, passages in questions:
            if number % 2:
                theirs = plain.ask("rerank", folder=model, query=query, passages=passages)
                seconds, ours = _served(service, stub, query, passages)
            else:
                seconds, ours = _served(service, stub, query, passages)
                theirs = plain.ask("rerank", folder=model, query=query, passages=passages)
            ours_seconds.append(seconds)
            theirs_seconds.append(theirs["seconds"])
            if not number:
                scores = theirs["scores"]
                order = sorted(range(len(passages)), key=lambda index: -scores[index])
                same += list(ours)[:TOP] == order[:TOP]
                most = max(most, *(abs(score - scores[index]) for index, score in ours.items()))
    ratios = [theirs / ours for ours, theirs in zip(ours_seconds, theirs_seconds, strict=True)]
    results.add(
        f"rerank of {PASSAGES} passages of {tokens:.0f} tokens: `CrossEncoder.predict` defaults / served",
        f"{spread(ratios)}; {statistics.median(ours_seconds):.2f} s and {statistics.median(theirs_seconds):.2f} s",
        ">= 4",
        rerank_ratios=ratios,
    )
    results.add(
        f"questions whose first {TOP} passages are the same, in the same order",
        f"{same} of {len(questions)}; scores differ by {most:.4f} at most",
        "all",
        rerank_same=same / len(questions),
        rerank_score_difference=most,
    )


def _served(service: Service, stub: Any, query: str, passages: list[str]) -> tuple[float, dict[int, float]]:
    """Seconds, and the scores by passage, best first."""
    with service.running():
        start = time.perf_counter()
        response = stub.Rerank(pb.RerankRequest(query=query, texts=passages), wait_for_ready=True)
        seconds = time.perf_counter() - start
    return seconds, {ranking.index: ranking.score for ranking in response.rankings}
