"""What a flood of requests does: how much is answered, how fast the rest is refused, and who has the processor."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc
from callers import CALLERS, embed, embed_stub, numbered, own_processor_seconds
from results import percentile, spread
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceServicer, add_EmbedServiceServicer_to_server
from workload import mixed_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processes import Service
    from results import Results

_TIMES = 10
_REQUEST_TEXTS = 32
_PATIENCE = 5.0
_SETTLING_SECONDS = 4.0
_CAPACITY_SECONDS = 14.0
_FLOOD_SECONDS = 20.0
_REFUSALS_PER_SECOND = 50.0


@dataclass(slots=True)
class _Load:
    """What became of the calls of some seconds."""

    answered: list[float] = field(default_factory=list)
    """When calls were answered, in seconds from the beginning."""
    refusals: list[float] = field(default_factory=list)
    """Seconds until each refusal."""
    expired: int = 0
    """Calls whose deadline passed."""
    cores: dict[str, float] = field(default_factory=dict)
    """Processors that each part had on average."""

    def rate(self, seconds: float) -> float:
        """Texts answered per second, once the load was settled."""
        counted = sum(_SETTLING_SECONDS < moment <= seconds for moment in self.answered)
        return counted * _REQUEST_TEXTS / (seconds - _SETTLING_SECONDS)


def measure(results: Results, service: Service, cores: int, rounds: int) -> None:
    """Ten times the load that the service can carry, with callers who wait for ever and with ones who do not."""
    for patience in (None, _PATIENCE):
        with service.running():
            pairs = asyncio.run(_rounds(service, rounds, patience))
        goodput = [flood.rate(_FLOOD_SECONDS) / able.rate(_CAPACITY_SECONDS) for able, flood in pairs]
        refusals = [seconds for _, flood in pairs for seconds in flood.refusals]
        expired = sum(flood.expired for _, flood in pairs)
        late = f"{percentile(refusals, 0.99) * 1000:.1f} ms at p99" if refusals else "none"
        title = f"{_TIMES} times the load" + (f", callers give up after {patience:.0f} s" if patience else "")
        results.add(
            title,
            f"goodput {spread(goodput)} of capacity; refusals {late} ({len(refusals)} refused, {expired} gave up)",
            ">= 0.95; <= 20 ms",
            **{f"flood_goodput_{patience}": goodput, f"flood_refusals_{patience}": refusals},
        )
        for name in pairs[0][0].cores:
            before, then = (statistics.median(pair[which].cores[name] for pair in pairs) for which in (0, 1))
            results.add(
                f"cores that {name} had",
                f"{then:.3f} in the flood, {before:.3f} at capacity",
                **{f"flood_cores_{name}_{patience}": [before, then]},
            )
    empty = asyncio.run(_empty_refusal_seconds())
    left = 1 - _REFUSALS_PER_SECOND * empty / cores
    results.add(
        "a refusal by a server that does nothing else, processor time of both sides",
        f"{empty * 1000:.2f} ms; {_REFUSALS_PER_SECOND:.0f} a second leave {left:.3f} of the cores",
        empty_refusal=empty,
    )


async def _rounds(service: Service, rounds: int, patience: float | None) -> list[tuple[_Load, _Load]]:
    """Capacity and flood in turns, after a second that warms."""
    texts = mixed_texts(_REQUEST_TEXTS, seed=99)
    async with embed_stub(service.target) as stub:
        await _capacity(stub, texts, _Load(), 1.0)
        pairs = []
        for _ in range(rounds):
            able, flood = _Load(), _Load()
            with _watched(service, able):
                await _capacity(stub, texts, able, _CAPACITY_SECONDS)
            with _watched(service, flood):
                await _flood(stub, texts, flood, able.rate(_CAPACITY_SECONDS) * _TIMES, patience)
            pairs.append((able, flood))
        return pairs


@contextlib.contextmanager
def _watched(service: Service, load: _Load) -> Iterator[None]:
    """Notes who had the processor during a load."""
    start, loop, others, own = time.perf_counter(), *service.processor_seconds(), own_processor_seconds()
    yield
    seconds = time.perf_counter() - start
    loop_then, others_then = service.processor_seconds()
    load.cores = {
        "the service's workers": (others_then - others) / seconds,
        "its event loop": (loop_then - loop) / seconds,
        "the callers": (own_processor_seconds() - own) / seconds,
    }


async def _capacity(stub: Any, texts: list[str], load: _Load, seconds: float) -> None:
    """16 callers who ask for the same texts over and over, numbered so that each is new."""
    start, numbers = time.perf_counter(), count()

    async def call() -> None:
        while time.perf_counter() - start < seconds:
            await embed(stub, numbered(texts, next(numbers)))
            load.answered.append(time.perf_counter() - start)

    await asyncio.gather(*(call() for _ in range(CALLERS)))


async def _flood(stub: Any, texts: list[str], load: _Load, offered: float, patience: float | None) -> None:
    """Offers so many texts a second, whatever becomes of them; calls end after `patience` seconds."""
    calls: set[asyncio.Task[None]] = set()
    start = time.perf_counter()

    async def call(number: int) -> None:
        begin = time.perf_counter()
        try:
            await stub.Embed(pb.EmbedRequest(texts=numbered(texts, number), truncate=True), timeout=patience)
            load.answered.append(time.perf_counter() - start)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                load.refusals.append(time.perf_counter() - begin)
            elif error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                load.expired += 1
            else:
                raise

    for number in range(int(_FLOOD_SECONDS * offered / len(texts))):
        await asyncio.sleep(start + number * len(texts) / offered - time.perf_counter())
        task = asyncio.ensure_future(call(number))
        calls.add(task)
        task.add_done_callback(calls.discard)
    for task in calls:
        task.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


class _Refuses(EmbedServiceServicer):
    async def Embed(self, request: pb.EmbedRequest, context: Any) -> None:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")


async def _empty_refusal_seconds() -> float:
    """Processor time of one refused call with the flood's texts, gRPC's client and server together."""
    calls = 400
    server = grpc.aio.server()
    add_EmbedServiceServicer_to_server(_Refuses(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = pb.EmbedRequest(texts=mixed_texts(_REQUEST_TEXTS, seed=99))
    async with embed_stub(f"127.0.0.1:{port}") as stub:
        before = own_processor_seconds()
        for _ in range(calls):
            await asyncio.sleep(1 / _REFUSALS_PER_SECOND)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Embed(request)
        spent = own_processor_seconds() - before
    await server.stop(None)
    return spent / calls
