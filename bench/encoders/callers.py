"""Callers of the embedding service."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

CALLERS = 16
_BULK_TEXTS = 64


@asynccontextmanager
async def embed_stub(target: str) -> AsyncIterator[Any]:
    """A caller's end of a connection that stands."""
    async with grpc.aio.insecure_channel(target, options=[("grpc.max_receive_message_length", 64 << 20)]) as channel:
        await channel.channel_ready()
        yield EmbedServiceStub(channel)


async def embed(stub: Any, texts: Sequence[str], role: int = pb.EMBED_ROLE_DOCUMENT) -> NDArray[np.float32]:
    """One request; `[texts, dimension]`."""
    response = await stub.Embed(pb.EmbedRequest(texts=texts, role=role, truncate=True))
    return np.frombuffer(response.vectors_f32, "<f4").reshape(len(texts), response.dimension)


async def embed_all(stub: Any, requests: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """All requests, 16 at a time; `[texts, dimension]`."""
    waiting = iter(enumerate(requests))
    answers: dict[int, NDArray[np.float32]] = {}

    async def call() -> None:
        for number, texts in waiting:
            answers[number] = await embed(stub, texts)

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return np.concatenate([answers[number] for number in range(len(requests))])


async def query_seconds(stub: Any, queries: Sequence[str]) -> list[float]:
    """Seconds of each query, one after the other."""
    durations = []
    for query in queries:
        start = time.perf_counter()
        await embed(stub, [query], pb.EMBED_ROLE_QUERY)
        durations.append(time.perf_counter() - start)
    return durations


async def query_seconds_under_bulk(stub: Any, queries: Sequence[str], bulk: Sequence[str]) -> tuple[list[float], float]:
    """The same while a stream of bulk work keeps the service busy; and the stream's texts per second."""

    async def requests() -> Any:
        number = 0
        while True:
            texts = numbered(random.Random(number).sample(bulk, _BULK_TEXTS), number)
            yield pb.EmbedStreamRequest(sequence=number, request=pb.EmbedRequest(texts=texts, truncate=True))
            number += 1

    stream = stub.EmbedStream(requests())
    first, done = asyncio.Event(), 0

    async def drain() -> None:
        nonlocal done
        async for _ in stream:
            done += _BULK_TEXTS
            first.set()

    draining = asyncio.ensure_future(drain())
    await first.wait()
    before, start = done, time.perf_counter()
    durations = await query_seconds(stub, queries)
    rate = (done - before) / (time.perf_counter() - start)
    stream.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    return durations, rate


def own_processor_seconds() -> float:
    """Processor time of this process so far: the callers'."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def numbered(texts: Sequence[str], number: int) -> list[str]:
    """The texts made new, so that equal ones are not computed once for all; by numbers that are equally long."""
    return [f"{1000 + number} {text}" for text in texts]
