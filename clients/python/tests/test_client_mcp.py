"""`trivium mcp` as the programs that start it see it: a process that speaks over standard input and output."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from mcp import Client, StdioServerParameters
from trivium_gateway.app import GatewayProcess
from trivium_gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMMAND = [sys.executable, "-m", "trivium_client.cli.app", "mcp"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def gateway_url() -> AsyncIterator[str]:
    """A gateway that no service stands behind: the protocol works, and questions say what is missing."""
    nowhere = f"127.0.0.1:{_free_port()}"
    process = GatewayProcess(
        GatewaySettings(
            grpc_listen="127.0.0.1:0",
            http_listen="127.0.0.1:0",
            embed_target=nowhere,
            rerank_target=nowhere,
            generate_target=nowhere,
            qdrant_url=f"http://{nowhere}",
            qdrant_grpc_port=_free_port(),
        )
    )
    await process.start()
    yield f"http://127.0.0.1:{process.http_port}/mcp"
    await process.stop(0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_command_passes_the_gateways_tools_and_errors_on(gateway_url: str, mode: str) -> None:
    environ = {**os.environ, "TRIVIUM_MCP_URL": gateway_url}
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environ)

    async with Client(server, mode=mode) as client:
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


def test_mcp_command_without_a_gateway_says_what_to_do_on_standard_error_alone() -> None:
    url = f"http://127.0.0.1:{_free_port()}/mcp"

    ended = subprocess.run([*COMMAND, "--url", url], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    assert ended.returncode == 3, ended.stderr
    assert ended.stdout == b""
    assert url in ended.stderr.decode()
    assert "trivium up" in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
