"""Connections of clients that are silent, slow, too many, or ambiguous, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from ports import free_ports
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from trivium_gateway.surfaces.http.connections import (
    MOST_HEAD_BYTES,
    ConnectionLimits,
    Connections,
    grpc_connections_within,
    http_connections_within,
)
from trivium_gateway.surfaces.http.middleware import ProbesOnly, RequestMiddleware
from trivium_gateway.surfaces.http.server import HttpServer
from trivium_gateway.surfaces.metrics import DoorMetrics, HttpMetrics
from trivium_serving.background import Background
from trivium_serving.body_budget import BodyBudget
from trivium_serving.slow_readers import SlowReaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.requests import Request

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n"
PIECE = b"x" * 65_536


@dataclass
class Served:
    """A server, and what has happened in it."""

    port: int
    registry: CollectorRegistry
    release: asyncio.Event = field(default_factory=asyncio.Event)
    working: int = 0
    pieces: int = 0
    abandoned: bool = False

    def closed(self, reason: str) -> float:
        """How many connections were closed for a reason."""
        value = self.registry.get_sample_value("trivium_gateway_http_connections_closed_total", {"reason": reason})
        assert value is not None
        return value

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Opens a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, data: bytes) -> bytes:
        """What comes for some bytes until the server closes the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what it waits for is on the other side of a socket
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(max_connections: int = 100, max_slow_readers: int = 100, **limits: float) -> AsyncIterator[Served]:
    """A server with three routes: one that answers at once, one that waits, one that streams without end."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    async def wait(_request: Request) -> Response:
        served.working += 1
        await served.release.wait()
        return PlainTextResponse("done")

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                served.pieces += 1
                yield PIECE
                await asyncio.sleep(0)
        finally:
            served.abandoned = True

    async def stream(_request: Request) -> Response:
        return StreamingResponse(endless())

    app = Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET", "POST"]),
            Route("/wait", wait),
            Route("/stream", stream),
        ]
    )
    registry = CollectorRegistry()
    guard = Connections(
        ConnectionLimits(max_connections, **limits),
        DoorMetrics(registry),
        ProbesOnly(app),
        SlowReaders(max_slow_readers),
    )
    server = HttpServer(app, "127.0.0.1:0", Background("gateway", CollectorRegistry()), guard)
    served = Served(await server.start(), registry)
    try:
        yield served
    finally:
        served.release.set()
        await server.stop(1)


async def test_request_that_is_not_done_when_the_server_stops_is_told_to_come_again() -> None:
    working = asyncio.Event()

    async def for_ever(_request: Request) -> Response:
        working.set()
        await asyncio.Event().wait()
        raise AssertionError

    registry = CollectorRegistry()
    bodies = BodyBudget(1 << 20, lambda: None)
    app = RequestMiddleware(Starlette(routes=[Route("/wait", for_ever)]), HttpMetrics(registry), bodies)
    guard = Connections(ConnectionLimits(100), DoorMetrics(registry), ProbesOnly(app))
    server = HttpServer(app, "127.0.0.1:0", Background("gateway", CollectorRegistry()), guard)
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        asking = asyncio.create_task(http.get("/wait"))
        await asyncio.wait_for(working.wait(), 20)
        await server.stop(1)
        response = await asking
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "The gateway is stopping. Send the request again."
    assert response.headers["connection"] == "close"


async def test_silent_connections_beyond_the_limit_give_way_to_new_ones() -> None:
    async with serving(max_connections=8) as served:
        silent = [await served.connect() for _ in range(30)]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
            assert (await http.get("/healthz")).status_code == 200

        assert await asyncio.wait_for(silent[0][0].read(), 20) == b""
        await until(lambda: served.closed("evicted") >= 22)
        for _, writer in silent:
            writer.close()


async def test_connections_that_are_all_at_work_leave_room_for_probes_only() -> None:
    async with serving(max_connections=4) as served:
        working = [await served.connect() for _ in range(4)]
        for _, writer in working:
            writer.write(GET.replace(b"/healthz", b"/wait"))
        await until(lambda: served.working == 4)

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
            probe, other = await http.get("/healthz"), await http.get("/wait")
        assert probe.status_code == 200
        assert other.status_code == 429
        assert other.json()["error"]["reason"] == "TOO_MANY_CONNECTIONS"
        assert other.headers["connection"] == "close"
        assert "retry-after" in other.headers

        served.release.set()
        for reader, writer in working:
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"done"), 20)
            writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HT", GET[:-2]])
async def test_head_that_does_not_come_ends_its_connection(begun: bytes) -> None:
    async with serving(head_seconds=0.2) as served:
        assert await served.talk(begun) == b""
        assert served.closed("head") == 1


async def test_head_beyond_the_limit_is_refused_however_it_comes() -> None:
    begin, end = GET[:-2] + b"X: ", b"\r\n\r\n"
    room = MOST_HEAD_BYTES - len(begin)
    async with serving(keep_alive_seconds=0.3) as served:
        assert b"200 OK" in await served.talk(begin + b"a" * room + end)
        for beyond in (b"a" * (room + 1), b"a" * (1 << 20), b"a\r\nX: " * 20_000):
            with contextlib.suppress(ConnectionError):  # it is closed before all is read
                assert (await served.talk(begin + beyond + end)).startswith(b"HTTP/1.1 400")


async def test_head_that_comes_a_byte_at_a_time_ends_its_connection() -> None:
    async with serving(head_seconds=0.5) as served:
        reader, writer = await served.connect()
        ended = asyncio.ensure_future(reader.read())
        for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 1000:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait([ended], timeout=0.05)
        assert await asyncio.wait_for(ended, 20) == b""
        writer.close()


async def test_connection_between_requests_is_kept_and_then_closed() -> None:
    async with serving(keep_alive_seconds=2, head_seconds=0.2) as served:
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(GET)
            assert await asyncio.wait_for(reader.readuntil(b"ok"), 20)
        ended = asyncio.ensure_future(reader.read())
        # It outlives the time for a head, which runs only once there is a beginning of one.
        await asyncio.wait([ended], timeout=0.6)
        assert not ended.done()

        assert await asyncio.wait_for(ended, 20) == b""
        assert (served.closed("keep_alive"), served.closed("head")) == (1, 0)
        writer.close()


async def test_body_that_nobody_reads_ends_its_connection() -> None:
    async with serving(head_seconds=0.2) as served:
        head = POST + b"Content-Length: 100000\r\n\r\n"
        assert b"200 OK" in await served.talk(head + b"a")
        assert served.closed("head") == 1


async def test_reader_that_reads_nothing_loses_its_stream_and_little_was_made_for_it() -> None:
    async with serving(stall_seconds=0.3) as served:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", served.port))
        client.sendall(GET.replace(b"/healthz", b"/stream"))

        await until(lambda: served.abandoned)
        assert served.closed("slow_reader") == 1
        # The kernel's own buffer of some megabytes, and no more than two pieces in the process.
        assert served.pieces * len(PIECE) < 16_000_000
        client.close()


async def test_readers_that_read_nothing_beyond_the_most_are_given_up_longest_first() -> None:
    clients = []
    async with serving(max_slow_readers=3) as served:
        for _ in range(5):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            client.sendall(GET.replace(b"/healthz", b"/stream"))
            clients.append(client)
            await asyncio.sleep(0)

        await until(lambda: served.closed("slow_reader") == 2)
        await until(lambda: served.abandoned)
        for client in clients:
            client.close()
    assert served.closed("slow_reader") == 2


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
        POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
        POST + b"TRANSFER-ENCODING: chunked\r\nContent-length: 6\r\n\r\n0\r\n\r\n" + GET,
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    ],
)
async def test_request_that_others_may_read_in_another_way_is_refused(request_bytes: bytes) -> None:
    async with serving() as served:
        answer = await served.talk(request_bytes)

    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))


async def test_requests_in_one_piece_are_all_answered() -> None:
    async with serving(keep_alive_seconds=1) as served:
        post = POST + b"Content-Length: 3\r\n\r\na\nb"
        answer = await served.talk(GET + post + GET)

    assert answer.count(b"200 OK") == 3


def test_limits_leave_files_for_everything_else() -> None:
    for files in (256, 1024, 65_536):
        assert http_connections_within(files) + grpc_connections_within(files) < 0.9 * files


FILES = 256


@asynccontextmanager
async def gateway_with_few_files(folder: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    """A gateway that answers, and its ports; what it logs is in `log`."""
    ports = dict(zip(("http", "grpc"), free_ports(2), strict=True))
    with (folder / "log").open("wb") as log:
        gateway = subprocess.Popen(  # noqa: ASYNC220  # it takes milliseconds
            [sys.executable, "-m", "trivium_gateway"],
            env={
                **os.environ,
                "TRIVIUM_DATA_DIR": str(folder),
                "TRIVIUM_GATEWAY_HTTP_LISTEN": f"127.0.0.1:{ports['http']}",
                "TRIVIUM_GATEWAY_GRPC_LISTEN": f"127.0.0.1:{ports['grpc']}",
            },
            stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['http']}", timeout=30) as http:
            await until_answered(http)
        yield gateway, ports
    finally:
        gateway.kill()
        gateway.wait()


@pytest.mark.parametrize("stands_still", [False, True], ids=["one by one", "all at once"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_gateway_with_more_silent_connections_than_files_answers(
    protocol: str, stands_still: bool, tmp_path: Path
) -> None:
    silent: list[socket.socket] = []
    async with gateway_with_few_files(tmp_path) as (gateway, ports):
        try:
            if stands_still:  # as on a busy machine: they wait in the queue, and are there all together
                gateway.send_signal(signal.SIGSTOP)
            silent += [socket.create_connection(("127.0.0.1", ports[protocol]), 20) for _ in range(FILES + 100)]
            gateway.send_signal(signal.SIGCONT)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['http']}", timeout=30) as http:
                assert (await http.get("/healthz")).status_code == 200
                metrics = (await http.get("/metrics")).text
            opened = next(
                float(line.split()[1]) for line in metrics.splitlines() if line.startswith("process_open_fds")
            )
            assert opened < FILES
            assert "out of system resource" not in (tmp_path / "log").read_text()
        finally:
            for one_socket in silent:
                one_socket.close()


async def until_answered(http: httpx.AsyncClient) -> None:
    """Waits until a server answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await http.get("/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
