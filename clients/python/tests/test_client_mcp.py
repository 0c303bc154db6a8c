"""`trivium mcp` as the programs that start it see it: a process that speaks over standard input and output."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters
from ports import free_port
from trivium_gateway.app import GatewayProcess
from trivium_gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
