"""Texts per second of the service and of what it is compared with, turn by turn; and how good the vectors are."""

from __future__ import annotations

import asyncio
import base64
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from callers import embed, embed_all, embed_stub, own_processor_seconds
from results import say, spread
from workload import mixed_texts, requests_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from processes import Peer, Service
    from results import Results

ON_CPU = {
    "bare": "0.90",
    "sentence-transformers": "3.6",
    "infinity": "7",
    "vllm": "1.8",
}
_NAMES = {
    "bare": "bare forward pass over the same texts, best batching, no server",
    "sentence-transformers": "`SentenceTransformer.encode` with its defaults, in process",
    "infinity": "infinity's torch engine, the same requests over its HTTP",
    "vllm": "vLLM's pooling runner, in process",
}


@dataclass(frozen=True, slots=True)
class Run:
    """All texts of a round, once."""

    seconds: float
    vectors: NDArray[np.float32] | None = None
    client_seconds: float = 0.0
    """Processor time of the callers."""


def measure(
    results: Results,
    service: Service,
    peers: Mapping[str, Peer],
    cores: int,
    texts: int,
    rounds: int,
    aims: Mapping[str, str],
) -> None:
    """Compares over some rounds, after one that is not counted; each starts with another one of them."""
    names = ["served", *peers]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(rounds + 1):
        requests = requests_of(mixed_texts(texts, seed=number))
        turn = number % len(names)
        this = {name: _run(name, service, peers, requests) for name in names[turn:] + names[:turn]}
        rates = ", ".join(f"{name} {texts / this[name].seconds:.0f}" for name in names)
        say(f"{f'round {number}' if number else 'warm-up'}: {rates} texts/s")
        if number:
            for name in names:
                runs[name].append(this[name])

    served = runs["served"]
    for name in peers:
        ratios = [other.seconds / ours.seconds for ours, other in zip(served, runs[name], strict=True)]
        rate = statistics.median(texts / run.seconds for run in runs[name])
        results.add(
            f"served / {_NAMES[name]}",
            f"{spread(ratios)}; {rate:.0f} texts/s",
            f">= {aims[name]}",
            **{f"served_over_{name}": ratios},
        )
    rates = [texts / run.seconds for run in served]
    results.add("served", f"{statistics.median(rates):.0f} texts/s", served_rates=rates)
    for name, title in (("served", "our"), ("infinity", "infinity's")):
        if name in runs:
            share = statistics.median(run.client_seconds / (run.seconds * cores) for run in runs[name])
            results.add(f"{title} callers' share of the cores", f"{share:.3f}", **{f"client_share_{name}": share})
    reference = [run.vectors for run in runs["sentence-transformers"]]
    for name, title, aim in (
        ("served", "cosine to fp32", "mean >= 0.9999, least >= 0.999"),
        ("infinity", "infinity's", ""),
        ("vllm", "vLLM's", ""),
    ):
        if name in runs:
            cosines = np.concatenate(
                [_cosines(run.vectors, fp32) for run, fp32 in zip(runs[name], reference, strict=True)]
            )
            value = f"mean {cosines.mean():.6f}, least {cosines.min():.6f}"
            results.add(title, value, aim, **{f"cosines_{name}": [float(cosines.mean()), float(cosines.min())]})


def measure_company(results: Results, service: Service) -> None:
    """Whether a text's vector depends on what it is computed beside."""
    texts = mixed_texts(320, seed=1000)
    alone_of = list(range(0, len(texts), 8))

    async def both() -> float:
        async with embed_stub(service.target) as stub:
            together = await embed_all(stub, requests_of(texts))
            alone = np.concatenate([await embed(stub, [texts[number]]) for number in alone_of])
            return float(np.abs(together[alone_of] - alone).max())

    with service.running():
        most = asyncio.run(both())
    results.add(
        "greatest difference of a vector's number, alone and in company",
        f"{most:.1g}",
        "<= 1e-3",
        company_difference=most,
    )


def _run(name: str, service: Service, peers: Mapping[str, Peer], requests: list[list[str]]) -> Run:
    if name == "served":
        with service.running():
            return asyncio.run(_served(service.target, requests))
    texts = [text for request in requests for text in request]
    answered: dict[str, Any] = (
        peers[name].ask("embed", requests=requests) if name == "infinity" else peers[name].ask("embed", texts=texts)
    )
    vectors = None
    if "vectors" in answered:
        vectors = np.frombuffer(base64.b64decode(answered["vectors"]), "<f4").reshape(len(texts), -1)
    return Run(answered["seconds"], vectors, answered.get("client_seconds", 0.0))


async def _served(target: str, requests: list[list[str]]) -> Run:
    async with embed_stub(target) as stub:
        before, start = own_processor_seconds(), time.perf_counter()
        vectors = await embed_all(stub, requests)
        seconds, spent = time.perf_counter() - start, own_processor_seconds() - before
    return Run(seconds, vectors, spent)


def _cosines(one: Any, other: Any) -> NDArray[np.float32]:
    return np.asarray((one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1))
