"""The Model Context Protocol at /mcp, with the SDK's own client, in both of its generations."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import mcp_types as types
import pytest
import pytest_asyncio
from mcp import Client
from mcp.shared.exceptions import MCPError
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint
from trivium_serving.errors import Unavailable

from .conftest import HANG, delta, finish, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = {"search", "answer", "list_documents", "read_document", "ingest", "list_collections"}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def url_of(stack: Stack) -> str:
    return f"{stack.http.base_url}/mcp".replace("//mcp", "/mcp")


@pytest_asyncio.fixture(loop_scope="module", params=["auto", "legacy"])
async def client(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client that speaks the protocol's present generation, or the one before."""
    connecting: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:  # a client is left by the task that entered it, which a fixture's halves are not
        async with Client(url_of(stack), mode=request.param) as connected:
            connecting.set_result(connected)
            await done.wait()

    holding = asyncio.create_task(hold())
    yield await asyncio.wait_for(connecting, 60)
    done.set()
    await holding


def text_of(result: types.CallToolResult) -> str:
    """The text of a result."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


async def call(client: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    """Calls a tool, whose result the client checks against the tool's schema."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, types.CallToolResult)
    return result


async def test_client_sees_what_each_tool_does_and_whether_it_changes_anything(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == TOOLS
    assert client.instructions
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (tool.name != "ingest")
        assert tool.output_schema is not None
        assert "$ref" not in json.dumps(tool.input_schema)


async def test_search_gives_passages_as_text_and_as_data(stack: Stack, client: Client) -> None:
    result = await call(client, "search", query="What do herons eat?", collection=stack.collection, top_n=1)

    assert result.structured_content["passages"][0]["document_id"] == "heron"
    assert result.structured_content["degraded"] == []
    assert '[1] The heron, document "heron" <https://x.org/heron>' in text_of(result)
    assert "Herons eat fish and frogs." in text_of(result)


async def test_search_obeys_a_filter_with_not_and_null(stack: Stack, client: Client) -> None:
    conditions = {"not": {"metadata.year": None}, "any": [{"metadata.lang": None}]}
    result = await call(client, "search", query="otters", collection=stack.collection, filter=conditions)

    assert [passage["document_id"] for passage in result.structured_content["passages"]] == ["heron"]


async def test_answer_names_its_sources(stack: Stack, client: Client) -> None:
    result = await call(client, "answer", question="What do herons eat?", collection=stack.collection)

    assert result.structured_content["answer"] == "Herons eat fish. [1] And frogs. [1]"
    assert result.structured_content["answerable"] is True
    assert [one["index"] for one in result.structured_content["sources"]] == [1]
    assert text_of(result).startswith("Herons eat fish. [1] And frogs. [1]\n\nSources:\n[1] ")


async def test_answer_says_which_stage_was_replaced(stack: Stack, client: Client) -> None:
    stack.rerank.faults["Rerank"] = Unavailable("It is down.")

    result = await call(client, "answer", question="What do herons eat?", collection=stack.collection)

    assert not result.is_error
    assert result.structured_content["degraded"] == [
        {"stage": "rerank", "reason": "unavailable", "fallback": "fused-order"}
    ]
    assert "Note: rerank is not available now (unavailable); fused-order was used" in text_of(result)


async def test_documents_are_added_listed_and_read_in_parts(stack: Stack, client: Client) -> None:
    await stack.http.post("/v1/collections", json={"name": "mcp-documents"})
    reports: list[tuple[float, float | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total))

    documents = [{"id": "a/b c", "title": "Swans", "text": "Swans eat weed. " * 10}, {"id": "d", "text": "Coots dive."}]
    result = await client.call_tool(
        "ingest", {"documents": documents, "collection": "mcp-documents"}, progress_callback=on_progress
    )
    assert isinstance(result, types.CallToolResult)
    assert [one["id"] for one in result.structured_content["documents"]] == ["a/b c", "d"]
    assert not any("error" in one and one["error"] for one in result.structured_content["documents"])
    assert reports == [(1, 2), (2, 2)]

    listed = await call(client, "list_documents", collection="mcp-documents")
    assert {one["id"] for one in listed.structured_content["documents"]} == {"a/b c", "d"}
    part = await call(client, "read_document", id="a/b c", collection="mcp-documents", start=6, max_characters=3)
    assert (part.structured_content["text"], part.structured_content["next_start"]) == ("eat", 9)
    assert part.structured_content["total_characters"] == 160
    assert "go on with start 9" in text_of(part)
    resource = await client.read_resource("trivium://mcp-documents/a%2Fb%20c")
    (contents,) = resource.contents
    assert isinstance(contents, types.TextResourceContents)
    assert contents.text == documents[0]["text"]
    collections = (await call(client, "list_collections")).structured_content["collections"]
    assert "mcp-documents" in {one["name"] for one in collections}


async def test_documents_of_the_default_collection_are_listed_as_resources(stack: Stack, client: Client) -> None:
    await stack.http.post("/v1/documents", json={"documents": [{"id": "grebe?", "text": "Grebes dive."}]})

    listed = (await client.list_resources()).resources

    assert "trivium://default/grebe%3F" in {one.uri for one in listed}
    (template,) = (await client.list_resource_templates()).resource_templates
    assert template.uri_template == "trivium://{collection}/{id}"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {"query": "q", "collection": "nowhere"}, "COLLECTION_NOT_FOUND"),
        ("search", {"query": " "}, "EMPTY_QUERY"),
        ("search", {"query": "q", "top_n": 101}, "top_n is 101; it must lie between 1 and 100"),
        ("search", {"question": "q"}, "(MISSING_FIELD)"),
        ("read_document", {"id": "nothing"}, "DOCUMENT_NOT_FOUND"),
        ("read_document", {"id": "a", "max_characters": 100_001}, "max_characters"),
        ("ingest", {"documents": []}, "documents"),
        ("ingest", {"documents": [{"text": "t"}] * 101}, "documents"),
        ("ingest", {"documents": [{"text": " "}]}, "failed"),
        ("list_documents", {"page_size": 1001}, "page_size"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_tool_that_cannot_do_it_tells_the_model_why(
    client: Client, tool: str, arguments: dict[str, Any], said: str
) -> None:
    result = await call(client, tool, **arguments)

    assert result.is_error
    assert said in text_of(result)


async def test_tool_and_document_that_do_not_exist_are_errors_of_the_protocol(client: Client) -> None:
    with pytest.raises(MCPError, match="there are search, answer"):
        await client.call_tool("delete_everything", {})
    with pytest.raises(MCPError, match="There is no document 'nothing'"):
        await client.read_resource("trivium://default/nothing")
    with pytest.raises(MCPError, match="trivium://COLLECTION/ID"):
        await client.read_resource("file:///etc/passwd")


async def test_answer_whose_client_leaves_is_cancelled(stack: Stack) -> None:
    stack.generate.script = [delta("Herons "), HANG, finish()]
    arguments = {"question": "What do herons eat?", "collection": stack.collection}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "answer", "arguments": arguments}}
    asking = asyncio.create_task(stack.http.post("/mcp", json=request, headers=HEADERS))
    await stack.until(lambda: len(stack.generate.called("script")) == 1)

    asking.cancel()

    await asyncio.wait_for(stack.generate.cancelled.wait(), 10)
    await stack.until(lambda: stack.metric("trivium_gateway_questions_in_flight") == 0)


async def test_body_over_the_limit_is_refused(stack: Stack) -> None:
    response = await stack.http.post("/mcp", content=b" " * (4 * 1024 * 1024 + 1), headers=HEADERS)

    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "BODY_TOO_LARGE"


async def test_page_of_another_site_and_a_rebound_name_are_refused(stack: Stack) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        response = await stack.http.post("/mcp", json=request, headers={**HEADERS, **headers})
        assert response.status_code == 403, response.text


async def test_there_are_no_sessions_to_open_or_to_end(stack: Stack) -> None:
    for method in ("GET", "DELETE"):
        response = await stack.http.request(method, "/mcp", headers=HEADERS)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("setting", ["read-only", "off"])
async def test_setting_takes_tools_away(qdrant: Qdrant, setting: str) -> None:
    async with running_stack(qdrant, replace(GatewaySettings(), mcp=setting)) as stack:
        if setting == "off":
            assert (await stack.http.post("/mcp", json={}, headers=HEADERS)).status_code == 404
            return
        async with Client(url_of(stack)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS - {"ingest"}
            with pytest.raises(MCPError):
                await client.call_tool("ingest", {"documents": [{"text": "t"}]})


async def test_what_runs_requests_is_started_again_after_a_failure(
    qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, failures = McpEndpoint._made, iter([MemoryError("for the moment")])

    def made_in_the_end(endpoint: McpEndpoint) -> Any:
        for failure in failures:
            raise failure
        return made(endpoint)

    monkeypatch.setattr(McpEndpoint, "_made", made_in_the_end)
    async with running_stack(qdrant, GatewaySettings()) as stack:
        async with Client(url_of(stack)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        assert stack.metric("trivium_gateway_background_failures_total", task="mcp") == 1
