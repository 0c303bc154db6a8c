"""`trivium mcp` as the programs that start it see it: a process that speaks over standard input and output."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters
from ports import free_port
from trivium_gateway.app import GatewayProcess
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.errors import error_response
from trivium_gateway.surfaces.http.mcp.errors import mcp_error_response
from trivium_serving.errors import Overloaded, TriviumError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.responses import Response

COMMAND = [sys.executable, "-m", "trivium_client.cli.app", "mcp"]


async def _started(http_port: int = 0) -> GatewayProcess:
    """A gateway that no service stands behind: the protocol works, and questions say what is missing."""
    nowhere = f"127.0.0.1:{free_port()}"
    process = GatewayProcess(
        GatewaySettings(
            grpc_listen="127.0.0.1:0",
            http_listen=f"127.0.0.1:{http_port}",
            embed_target=nowhere,
            rerank_target=nowhere,
            generate_target=nowhere,
            qdrant_url=f"http://{nowhere}",
            qdrant_grpc_port=free_port(),
        )
    )
    await process.start()
    return process


def _command(gateway: GatewayProcess) -> StdioServerParameters:
    environ = {**os.environ, "TRIVIUM_MCP_URL": f"http://127.0.0.1:{gateway.http_port}/mcp"}
    return StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environ)


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[GatewayProcess]:
    process = await _started()
    yield process
    await process.stop(0)


async def test_mcp_command_outlives_a_gateway_that_is_restarted(gateway: GatewayProcess) -> None:
    async with Client(_command(gateway)) as client:
        await gateway.stop(0)
        gone = await client.call_tool("search", {"query": "q"})
        again = await _started(gateway.http_port)
        tools = (await client.list_tools(cache_mode="bypass")).tools
        await again.stop(0)

    assert gone.is_error
    assert "trivium up" in str(gone.content)
    assert tools


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_command_passes_the_gateways_tools_and_errors_on(gateway: GatewayProcess, mode: str) -> None:
    async with Client(_command(gateway), mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("search", {"query": "q"})
        wrong = await client.call_tool("search", {"query": " "})
        templates = (await client.list_resource_templates()).resource_templates
        assert client.instructions

    assert {"search", "answer", "ingest"} <= set(tools)
    assert tools["search"].output_schema is not None
    assert [one.uri_template for one in templates] == ["trivium://{collection}/{id}"]
    assert result.is_error
    assert "UPSTREAM_UNAVAILABLE" in str(result.content)
    assert wrong.is_error
    assert "EMPTY_QUERY" in str(wrong.content)


async def test_mcp_command_says_that_an_address_does_not_speak_the_protocol(gateway: GatewayProcess) -> None:
    url = f"http://127.0.0.1:{gateway.http_port}/nothing"

    ended = await asyncio.to_thread(
        subprocess.run, [*COMMAND, "--url", url], stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )

    assert ended.returncode == 3, ended.stderr
    assert f"{url} does not speak" in " ".join(ended.stderr.decode().split())


def test_mcp_command_without_a_gateway_says_what_to_do_on_standard_error_alone() -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp"

    ended = subprocess.run([*COMMAND, "--url", url], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    assert ended.returncode == 3, ended.stderr
    assert ended.stdout == b""
    assert url in ended.stderr.decode()
    assert "trivium up" in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr


@contextmanager
def _refusing(response: Response, port: int = 0) -> Iterator[str]:
    """The endpoint of a gateway that refuses everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("shown", [mcp_error_response, error_response], ids=["of the protocol", "of HTTP"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Overloaded("All places are taken. Try again shortly."), 4),
        (Unavailable("The gateway is stopping. Send the request again."), 4),
        (Unauthenticated("This gateway asks for a key."), 6),
    ],
    ids=["overloaded", "stopping", "without a key"],
)
def test_mcp_command_that_the_gateway_refuses_says_so_in_its_words(
    shown: Callable[[TriviumError], Response], error: TriviumError, status: int
) -> None:
    with _refusing(shown(error)) as url:
        ended = subprocess.run([*COMMAND, "--url", url], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    said = " ".join(ended.stderr.decode().split())
    assert ended.returncode == status, said
    assert error.message in said
    assert error.reason in said
    assert "trivium up" not in said
    assert "does not speak" not in said


async def test_mcp_command_tells_a_model_that_the_gateway_is_overloaded(gateway: GatewayProcess) -> None:
    async with Client(_command(gateway)) as client:
        await gateway.stop(0)
        with _refusing(error_response(Overloaded("All connections are at work.")), gateway.http_port):
            refused = await client.call_tool("search", {"query": "q"})

    assert refused.is_error
    assert "All connections are at work. (OVERLOADED)" in str(refused.content)
