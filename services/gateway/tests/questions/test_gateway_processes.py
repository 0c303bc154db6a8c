"""The gateway while what is behind it comes and goes, and as a process that is started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.connections import ConnectionLimits, Connections
from trivium_gateway.surfaces.http.server import HttpServer
from trivium_gateway.surfaces.metrics import DoorMetrics
from trivium_serving.background import Background
from trivium_serving.server import ListenError

from .conftest import DOCUMENTS, HANG, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Peer, Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


def connections() -> Connections:
    """Of a server that nobody calls."""
    return Connections(ConnectionLimits(8), DoorMetrics(CollectorRegistry()), FastAPI())


async def stages(stack: Stack) -> tuple[int, dict[str, Any]]:
    """What /readyz says."""
    response = await stack.http.get("/readyz")
    return response.status_code, {one["stage"]: one for one in response.json()["stages"]}


async def test_readyz_lists_each_stage_with_its_model(stack: Stack) -> None:
    code, seen = await stages(stack)

    assert code == 200
    assert {name: one["model"] for name, one in seen.items() if name != "search"} == {
        "embed": "words",
        "rerank": "word-share",
        "generate": "writer",
    }
    assert seen["search"]["model"].startswith("qdrant ")
    assert all(one["ready"] for one in seen.values())
    assert all(one["detail"] == "" for name, one in seen.items() if name not in ("embed", "rerank"))
    assert "not calibrated" in seen["embed"]["detail"]  # for the model of these tests
    assert "reads the candidates" in seen["rerank"]["detail"]  # the one of these tests takes no token codes


async def test_readyz_tells_that_the_language_model_is_loading(stack: Stack) -> None:
    stack.generate.state = generate_pb.MODEL_STATE_LOADING
    stack.generate.detail = "3 of 8 files"
    described = len(stack.generate.called("GetModel"))
    await stack.until(lambda: len(stack.generate.called("GetModel")) > described + 1)

    seen = (await stages(stack))[1]["generate"]
    assert seen["ready"]
    assert "3 of 8 files" in seen["detail"]


@pytest.mark.parametrize(
    ("name", "degraded"),
    [
        ("embed", "embed:unavailable:sparse"),
        ("rerank", "rerank:unavailable:fused-order"),
        ("generate", "generate:unavailable:passages"),
    ],
)
async def test_service_that_goes_is_replaced_and_used_again_after_its_return(
    stack: Stack, name: str, degraded: str
) -> None:
    peer: Peer = getattr(stack, name)
    await peer.stop()
    await stack.until(lambda: not stack.stage(name))

    response = await stack.ask(f"What do herons eat without {name}?")
    assert response.headers["x-trivium-degraded"] == degraded
    code, seen = await stages(stack)
    assert code == 200
    assert name in seen[name]["detail"]

    await peer.start()
    await stack.until(lambda: stack.stage(name))
    response = await stack.ask(f"What do herons eat with {name}?")
    assert "x-trivium-degraded" not in response.headers


async def test_qdrant_that_goes_is_a_clear_503_until_it_returns(own_qdrant: Qdrant) -> None:
    async with running_stack(own_qdrant) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        assert (await stages(stack))[0] == 200

        own_qdrant.kill()
        await stack.until(lambda: not stack.stage("search"))
        for response in (await stack.ask(), await stack.retrieve(), await stack.ask(stream=True)):
            assert response.status_code == 503
            assert response.json()["error"]["status"] == "UNAVAILABLE"
            assert "Qdrant" in response.json()["message"]
        code, seen = await stages(stack)
        assert code == 503
        assert "Qdrant" in seen["search"]["detail"]
        assert (await stack.http.get("/healthz")).status_code == 200

        await asyncio.to_thread(own_qdrant.start)
        await stack.until(lambda: stack.stage("search"))
        assert (await stages(stack))[0] == 200
        assert (await stack.ask()).json()["answer"].startswith("Herons eat fish.")


async def test_qdrant_that_hangs_is_a_503_before_any_time_is_over_until_it_goes_on(own_qdrant: Qdrant) -> None:
    settings = GatewaySettings(search_timeout_seconds=600.0, request_timeout_seconds=600.0)
    async with running_stack(own_qdrant, settings) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        assert own_qdrant.process is not None
        own_qdrant.process.send_signal(signal.SIGSTOP)
        try:
            await stack.until(lambda: not stack.stage("search"))
            response = await asyncio.wait_for(stack.ask(), 60)
            assert response.status_code == 503
            assert "Qdrant" in response.json()["message"]
        finally:
            own_qdrant.process.send_signal(signal.SIGCONT)
        await stack.until(lambda: stack.stage("search"))
        assert (await stack.ask()).status_code == 200


async def test_services_that_hang_hold_an_answer_up_for_a_moment_only(qdrant: Qdrant) -> None:
    async with running_stack(qdrant) as stack, AsyncExitStack() as silent:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        for peer in (stack.embed, stack.rerank, stack.generate):
            await peer.stop()
            server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", peer.port)
            silent.callback(server.close)
        await stack.until(lambda: not any(stack.stage(name) for name in ("embed", "rerank", "generate")))

        response = await stack.ask()

        assert [entry.rpartition(":")[2] for entry in response.headers["x-trivium-degraded"].split(", ")] == [
            "sparse",
            "fused-order",
            "passages",
        ]
        timings = response.json()["timings"]
        assert all(timings[stage] < 2000 for stage in ("embed", "rerank", "generate"))


async def test_default_collection_before_its_first_use_is_empty(own_qdrant: Qdrant) -> None:
    async with running_stack(own_qdrant) as stack:
        await stack.http.delete("/v1/collections/default")
        answer = (await stack.http.post("/v1/answer", json={"question": "What?"})).json()
        assert answer["answerable"] is False
        assert (await stack.http.post("/v1/retrieve", json={"query": "q"})).json()["passages"] == []
        assert (await stack.http.get("/v1/documents")).json() == {"documents": [], "next_page_token": ""}
        assert (await stack.http.get("/v1/documents/a")).status_code == 404
        assert (await stack.http.delete("/v1/documents/a")).json() == {"deleted_ids": []}
        collections = (await stack.http.get("/v1/collections")).json()["collections"]
        assert "default" not in {collection["name"] for collection in collections}


async def test_default_collection_deleted_under_a_gateway_is_empty_again(own_qdrant: Qdrant) -> None:
    async with running_stack(own_qdrant) as one, running_stack(own_qdrant) as other:
        documents = {"documents": list(DOCUMENTS)}
        assert (await one.http.post("/v1/documents", json=documents)).status_code == 200
        question = {"question": "What do herons eat?"}
        assert (await other.http.post("/v1/answer", json=question)).json()["answerable"] is True

        assert (await one.http.delete("/v1/collections/default")).status_code == 200
        assert (await other.http.post("/v1/answer", json=question)).json()["answerable"] is False
        assert (await one.http.post("/v1/documents", json=documents)).status_code == 200
        assert (await other.http.post("/v1/answer", json=question)).json()["answerable"] is True


class Command:
    """`python -m trivium_gateway` with nothing behind it."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        nothing = "127.0.0.1:1"
        environ = {
            **os.environ,
            "TRIVIUM_DATA_DIR": str(data_dir),
            "TRIVIUM_GATEWAY_GRPC_LISTEN": "127.0.0.1:0",
            "TRIVIUM_GATEWAY_HTTP_LISTEN": "127.0.0.1:0",
            "TRIVIUM_GATEWAY_EMBED_TARGET": nothing,
            "TRIVIUM_GATEWAY_RERANK_TARGET": nothing,
            "TRIVIUM_GATEWAY_GENERATE_TARGET": nothing,
            "TRIVIUM_GATEWAY_QDRANT_URL": "http://127.0.0.1:1",
            "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT": "1",
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trivium_gateway"], env=environ, stderr=subprocess.PIPE, text=True
        )

    def http_port(self) -> int:
        """The port that it says it listens on."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "HTTP on port" in line:
                return int(line.rsplit(" ", 1)[1])
        raise AssertionError("it ended without listening")


async def test_process_with_nothing_behind_it_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = Command(tmp_path)
    port = await asyncio.to_thread(command.http_port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/healthz")).status_code == 200
        ready = await http.get("/readyz")
        assert ready.status_code == 503
        assert {one["stage"]: one["ready"] for one in ready.json()["stages"]} == dict.fromkeys(
            ("embed", "search", "rerank", "generate"), False
        )

    command.process.send_signal(signal.SIGTERM)
    _, log = await asyncio.to_thread(command.process.communicate, timeout=60)
    assert command.process.returncode == 0
    assert "Traceback" not in log


async def test_process_on_a_taken_port_ends_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = Command(tmp_path, TRIVIUM_GATEWAY_GRPC_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
        _, log = await asyncio.to_thread(command.process.communicate, timeout=60)

    assert command.process.returncode == 1
    assert "TRIVIUM_GATEWAY_GRPC_LISTEN" in log
    assert "Traceback" not in log


async def test_process_with_a_bad_qdrant_address_ends_with_one_line(tmp_path: Path) -> None:
    command = Command(tmp_path, TRIVIUM_GATEWAY_QDRANT_URL="127.0.0.1:6333")
    _, log = await asyncio.to_thread(command.process.communicate, timeout=60)

    assert command.process.returncode == 2
    assert "TRIVIUM_GATEWAY_QDRANT_URL" in log
    assert len(log.strip().splitlines()) == 1


@pytest.mark.parametrize("listen", ["taken", "192.0.2.1:0", "8080", ":8080", "127.0.0.1:many", "127.0.0.1:99999"])
async def test_http_server_that_cannot_listen_says_which_setting_to_change(listen: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        if listen == "taken":
            listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match="TRIVIUM_GATEWAY_HTTP_LISTEN"):
            await HttpServer(FastAPI(), listen, Background("gateway", CollectorRegistry()), connections()).start()


async def test_responses_do_not_wait_for_acknowledgements() -> None:
    server = HttpServer(FastAPI(), "127.0.0.1:0", Background("gateway", CollectorRegistry()), connections())
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await client.get("/")
        without_delay = list(_accepted_without_delay(port))
    await server.stop(1)

    assert without_delay == [True]  # with Nagle's algorithm each response takes 40 ms more


def _accepted_without_delay(port: int) -> Iterator[bool]:
    """For each connection that this process accepted at a port whether Nagle's algorithm is off."""
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor))) as one:
            if one.getpeername() and one.getsockname()[1] == port:
                yield one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_stop_lets_running_requests_end_and_refuses_new_ones(qdrant: Qdrant) -> None:
    async with running_stack(qdrant) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        stack.rerank.faults["Rerank"] = HANG
        calls = len(stack.rerank.called("Rerank"))
        asking = asyncio.create_task(stack.ask())
        await stack.until(lambda: len(stack.rerank.called("Rerank")) > calls)

        stopping = asyncio.create_task(stack.process.stop(10))
        async with httpx.AsyncClient(base_url=stack.http.base_url) as newcomer:
            async with asyncio.timeout(10):
                while True:
                    try:
                        await newcomer.get("/healthz")
                    except httpx.TransportError:
                        break
        assert not asking.done()
        await stack.rerank.stop()  # ends the hanging call

        assert (await asking).headers["x-trivium-degraded"] == "rerank:unavailable:fused-order"
        await asyncio.wait_for(stopping, 10)


async def test_settings_have_their_documented_defaults() -> None:
    settings = GatewaySettings()

    assert settings.grpc_listen == "127.0.0.1:50050"
    assert settings.http_listen == "127.0.0.1:8080"
    assert settings.qdrant_grpc_port == 6334
