"""The official client of the Model Context Protocol against the gateway's `/mcp`."""

from __future__ import annotations

from mcp import Client

QUESTION = "How long does the warranty of the KX-200 pump last?"


async def test_client_finds_the_tools_and_gets_an_answer(base_url: str) -> None:
    async with Client(f"{base_url}/mcp") as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        answer = await client.call_tool("answer", {"question": QUESTION})
        found = await client.call_tool("search", {"query": QUESTION})

    assert {"search", "answer", "list_documents", "read_document", "ingest"} <= tools
    assert "24 months" in str(answer.content)
    assert not found.is_error
    assert "kx-200/warranty" in str(found.structured_content)
