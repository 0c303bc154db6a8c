"""The HTTP surface's limits and errors, each crossed over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.surfaces.http.openai import shapes
from trivium_gateway.surfaces.http.shapes.answers import AnswerResponse, RetrieveResponse
from trivium_gateway.surfaces.http.shapes.collections import (
    CollectionResponse,
    DeleteCollectionResponse,
    ListCollectionsResponse,
)
from trivium_gateway.surfaces.http.shapes.documents import (
    AddDocumentsResponse,
    DeleteDocumentResponse,
    DocumentResponse,
    ListDocumentsResponse,
)
from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse
from trivium_gateway.surfaces.http.shapes.readiness import ReadinessResponse
from trivium_serving.errors import Overloaded
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}

_OPENAI_PATHS = {"/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/vector_stores/{id}/search"}
_QUESTION_PATHS = _OPENAI_PATHS | {
    "/v1/answer",
    "/v1/retrieve",
    "/v2/embed",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
}


def check_error(response: httpx.Response, code: int, reason: str, field: str | None = None) -> str:
    """Checks an error body and returns its message."""
    assert response.status_code == code, response.text
    body = response.json()
    ErrorResponse.model_validate(body)
    error = body["error"]
    assert body["message"] == body["detail"] == error["message"]
    assert (error["code"], error["reason"], error.get("field")) == (code, reason, field)
    message: str = error["message"]
    assert message
    return message


@pytest.mark.parametrize("path", ["/v1/answer", "/v1/retrieve"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"top_n": 0}, "top_n"),
        ({"top_n": -1}, "top_n"),
        ({"top_n": 101}, "top_n"),
        ({"top_n": 1_000_000}, "top_n"),
        ({"top_n": 10**30}, "top_n"),
        ({"top_n": "5"}, "top_n"),
        ({"top_n": 5.0}, "top_n"),
        ({"top_n": True}, "top_n"),
        ({"candidates": 0}, "candidates"),
        ({"candidates": 1001}, "candidates"),
        ({"candidates": []}, "candidates"),
        ({"collection": 7}, "collection"),
        ({"filter": "year > 2020"}, "filter"),
        ({"filter": [1]}, "filter"),
    ],
)
async def test_question_with_a_bad_field_is_a_400_that_names_it(
    stack: Stack, path: str, fields: dict[str, Any], field: str
) -> None:
    query = {"question": "What?"} if path == "/v1/answer" else {"query": "What?"}

    message = check_error(await stack.http.post(path, json={**query, **fields}), 400, "INVALID_FIELD", field)

    assert field in message


@pytest.mark.parametrize(
    ("path", "body", "reason", "field"),
    [
        ("/v1/answer", {}, "MISSING_FIELD", "question"),
        ("/v1/answer", {"question": None}, "INVALID_FIELD", "question"),
        ("/v1/answer", {"question": 3}, "INVALID_FIELD", "question"),
        ("/v1/answer", {"question": ""}, "EMPTY_QUERY", "question"),
        ("/v1/answer", {"question": " \n\t\u3000"}, "EMPTY_QUERY", "question"),
        ("/v1/answer", {"question": "q", "mode": "fast"}, "INVALID_FIELD", "mode"),
        ("/v1/answer", {"question": "q", "stream": "yes"}, "INVALID_FIELD", "stream"),
        ("/v1/answer", {"question": "q", "temperature": 1}, "UNKNOWN_FIELD", "temperature"),
        ("/v1/answer", {"question": "q", "history": {}}, "INVALID_FIELD", "history"),
        ("/v1/answer", {"question": "q", "history": [{"role": "user"}]}, "MISSING_FIELD", "history[0].content"),
        (
            "/v1/answer",
            {"question": "q", "history": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]},
            "INVALID_FIELD",
            "history[1].role",
        ),
        (
            "/v1/answer",
            {"question": "q", "history": [{"role": "user", "content": " "}]},
            "INVALID_FIELD",
            "history[0].content",
        ),
        ("/v1/retrieve", {"query": ""}, "EMPTY_QUERY", "query"),
        ("/v1/retrieve", {"query": "q", "rerank": 1}, "INVALID_FIELD", "rerank"),
        ("/v1/retrieve", {"query": "q", "stream": True}, "UNKNOWN_FIELD", "stream"),
        ("/v1/retrieve", ["q"], "INVALID_FIELD", "body"),
        ("/v1/documents", {"documents": {}}, "INVALID_FIELD", "documents"),
        ("/v1/documents", {"documents": [{"text": 1}]}, "INVALID_FIELD", "documents[0].text"),
        ("/v1/documents", {"documents": [{"text": "a"}, {"txt": "b"}]}, "UNKNOWN_FIELD", "documents[1].txt"),
        ("/v1/collections", {"name": "bad name"}, "INVALID_FIELD", "name"),
    ],
)
async def test_body_that_breaks_a_rule_is_a_400_that_names_the_field(
    stack: Stack, path: str, body: Any, reason: str, field: str
) -> None:
    check_error(await stack.http.post(path, json=body), 400, reason, field)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"question": "a",}',
        b'{"question": NaN}',
        b'{"question": "a", "top_n": Infinity}',
        b'{"question": "a", "top_n": ' + b"9" * 5000 + b"}",
        b'{"question": "\xff"}',
        b"[" * 100_000,
    ],
)
async def test_body_that_is_not_json_is_a_400(stack: Stack, raw: bytes) -> None:
    check_error(await stack.http.post("/v1/answer", content=raw, headers=JSON), 400, "INVALID_JSON", "body")


async def test_body_with_half_a_surrogate_pair_is_a_400(stack: Stack) -> None:
    raw = b'{"question": "a\\ud800b"}'

    check_error(await stack.http.post("/v1/answer", content=raw, headers=JSON), 400, "INVALID_FIELD", "question")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_body_of_another_content_type_is_a_400(stack: Stack, kind: str) -> None:
    response = await stack.http.post("/v1/answer", content=b'{"question": "a"}', headers={"Content-Type": kind})

    check_error(response, 400, "WRONG_CONTENT_TYPE", "Content-Type")


async def test_question_of_10_mb_is_a_413_that_names_the_limit(stack: Stack) -> None:
    response = await stack.ask("a" * 10_000_000)

    assert "8000" in check_error(response, 413, "QUERY_TOO_LONG", "question")


async def test_question_at_the_limit_is_answered(stack: Stack) -> None:
    assert (await stack.ask("a" * 8000)).status_code == 200
    check_error(await stack.ask("a" * 8001), 413, "QUERY_TOO_LONG", "question")


@pytest.mark.parametrize(
    "history",
    [[{"role": "user", "content": "a"}] * 65, [{"role": "user", "content": "a" * 32_001}] * 2],
)
async def test_history_over_a_limit_is_a_413(stack: Stack, history: list[dict[str, str]]) -> None:
    check_error(await stack.ask(history=history), 413, "HISTORY_TOO_LONG", "history")


async def test_body_declared_over_the_limit_is_a_413_before_it_is_sent(stack: Stack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.process.http_port)
    writer.write(
        b"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n"
    )
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()

    assert b" 413 " in status


async def test_body_that_grows_over_the_limit_is_a_413(stack: Stack) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"documents": [{"text": "'
        for _ in range(33):
            yield b"a" * (1 << 20)
        yield b'"}]}'

    response = await stack.http.post("/v1/documents", content=chunks(), headers=JSON)

    check_error(response, 413, "BODY_TOO_LARGE", "body")
    assert (await stack.http.get("/healthz")).status_code == 200


async def test_too_many_documents_in_one_call_are_a_413(stack: Stack) -> None:
    response = await stack.http.post("/v1/documents", json={"documents": [{"text": "a"}] * 10_000})

    assert "1000" in check_error(response, 413, "TOO_MANY_DOCUMENTS", "documents")


@pytest.mark.parametrize("path", ["/v1/answer", "/v1/retrieve"])
async def test_unknown_collection_is_a_404(stack: Stack, path: str) -> None:
    query = {"question": "q"} if path == "/v1/answer" else {"query": "q"}

    response = await stack.http.post(path, json={**query, "collection": "nowhere"})

    assert "nowhere" in check_error(response, 404, "COLLECTION_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/v1/documents/nothing?collection=nowhere", 404, "COLLECTION_NOT_FOUND"),
        ("DELETE", "/v1/documents/nothing?collection=nowhere", 404, "COLLECTION_NOT_FOUND"),
        ("GET", "/v1/documents?collection=nowhere", 404, "COLLECTION_NOT_FOUND"),
        ("GET", "/v1/collections/nowhere", 404, "COLLECTION_NOT_FOUND"),
        ("DELETE", "/v1/collections/nowhere", 404, "COLLECTION_NOT_FOUND"),
        ("GET", "/v1/nothing", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/answer/", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/answer", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/v1/documents/a", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_request_for_what_is_not_there_says_so(
    stack: Stack, method: str, path: str, code: int, reason: str
) -> None:
    response = await stack.http.request(method, path)

    check_error(response, code, reason)
    if code == 405:
        assert response.headers["allow"]


@pytest.mark.parametrize("page_size", ["0", "-1", "1001", "many", "1.5", ""])
async def test_page_size_out_of_range_is_a_400(stack: Stack, page_size: str) -> None:
    response = await stack.http.get("/v1/documents", params={"page_size": page_size})

    check_error(response, 400, "INVALID_FIELD", "page_size")


async def test_page_token_of_somebody_else_is_a_400(stack: Stack) -> None:
    response = await stack.http.get("/v1/documents", params={"page_token": "?!", "collection": stack.collection})

    check_error(response, 400, "INVALID_FIELD", "page_token")


async def test_filter_on_an_unknown_field_is_a_400_and_no_empty_result(stack: Stack) -> None:
    for response in (
        await stack.retrieve(filter={"metadata.yaer": 2021}),
        await stack.ask(filter={"metadata.yaer": 2021}),
    ):
        assert "yaer" in check_error(response, 400, "UNKNOWN_FILTER_FIELD", response.json()["error"]["field"])


async def _words_of_mcp(url: str) -> str:
    """What the protocol's own client says of a search that fails."""
    words = ""
    try:
        async with Client(url) as client:
            await client.call_tool("search", {"query": "What do herons eat?"})
    except* MCPError as failures:
        words = repr(failures)
    return words


async def test_more_questions_than_the_limit_are_a_429(qdrant: Any) -> None:
    from trivium_gateway.settings import GatewaySettings

    from .conftest import HANG, running_stack

    async with running_stack(qdrant, GatewaySettings(max_questions=1)) as stack:
        await stack.create_collection()
        await stack.add({"text": "Herons eat fish."})
        stack.rerank.faults["Rerank"] = HANG
        calls = len(stack.rerank.called("Rerank"))
        first = asyncio.create_task(stack.retrieve())
        await stack.until(lambda: len(stack.rerank.called("Rerank")) > calls)

        response = await stack.retrieve()

        check_error(response, 429, "OVERLOADED")
        assert int(response.headers["retry-after"]) >= 1
        assert stack.metric("trivium_gateway_questions_refused_total") == 1
        for path in _QUESTION_PATHS | {"/v1/traces/{request_id}/replay", "/mcp"}:
            unread = await stack.http.post(
                path.replace("{id}", "any").replace("{request_id}", "r"), content=b"no JSON", headers=JSON
            )
            assert (path, unread.status_code) == (path, 429), unread.text
            assert int(unread.headers["retry-after"]) >= 1
            body = unread.json()
            shown = body if path == "/rerank" else body["error"]["data"] if path == "/mcp" else body["error"]
            assert shown["reason"] == "OVERLOADED"
            labels = {"method": "POST", "route": path, "status": "429"}
            assert stack.metric("trivium_gateway_http_requests_total", **labels) >= 1
            if path in _OPENAI_PATHS:
                assert shown["type"] == "rate_limit_error"
        assert "one more would not be answered in time" in await _words_of_mcp(
            f"{stack.http.base_url}/mcp".replace("//mcp", "/mcp")
        )
        assert stack.metric("trivium_gateway_questions_total", operation="answer", outcome="overloaded") == 3
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stack.stub.Retrieve(pb.RetrieveRequest(query="q"))
        refusal = error_from_rpc(caught.value)
        assert isinstance(refusal, Overloaded)
        assert refusal.retry_after_seconds >= 1
        first.cancel()
        await asyncio.wait_for(stack.rerank.cancelled.wait(), 10)
        stack.rerank.faults.clear()
        await stack.until(lambda: stack.metric("trivium_gateway_questions_in_flight") == 0)
        assert (await stack.retrieve()).status_code == 200


async def test_request_id_is_taken_over_and_returned(stack: Stack) -> None:
    response = await stack.http.post(
        "/v1/answer",
        json={"question": "What do herons eat?", "collection": stack.collection},
        headers={"X-Request-Id": "abc-1"},
    )

    assert response.headers["x-request-id"] == response.json()["request_id"] == "abc-1"
    for peer, method in ((stack.embed, "Embed"), (stack.rerank, "Rerank"), (stack.generate, "Generate")):
        assert peer.called(method)[-1].request_id == "abc-1"


async def test_request_id_that_is_not_fit_for_logs_is_replaced(stack: Stack) -> None:
    response = await stack.http.get("/healthz", headers={"X-Request-Id": "a b\x7f" + "c" * 500})

    assert len(response.headers["x-request-id"]) == 32


async def test_internal_error_says_nothing_about_its_cause(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from trivium_gateway.library.collections import Collections

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(Collections, "find", broken)
    response = await stack.ask()

    message = check_error(response, 500, "INTERNAL")
    assert "secret" not in message
    assert "the secret cause" in caplog.text
    assert response.headers["x-request-id"]
    assert stack.metric("trivium_gateway_http_requests_total", method="POST", route="/v1/answer", status="500") == 1


async def test_metrics_count_by_route_template_and_not_by_path(stack: Stack) -> None:
    def counted(route: str, status: str) -> float:
        labels = {"method": "GET", "route": route, "status": status}
        return stack.process.registry.get_sample_value("trivium_gateway_http_requests_total", labels) or 0

    before = counted("/v1/documents/{id}", "200"), counted("unknown", "404")
    await stack.http.get(f"/v1/documents/heron?collection={stack.collection}")
    await stack.http.get("/nowhere/1")
    await stack.http.get("/nowhere/2")

    assert (counted("/v1/documents/{id}", "200"), counted("unknown", "404")) == (before[0] + 1, before[1] + 2)
    text = (await stack.http.get("/metrics")).text
    assert 'route="/v1/documents/{id}"' in text
    assert "nowhere" not in text
    assert "heron" not in text


async def test_openapi_and_docs_need_nothing_from_elsewhere(stack: Stack) -> None:
    description = (await stack.http.get("/openapi.json")).json()
    page = await stack.http.get("/docs")

    assert "question" in json.dumps(description["paths"]["/v1/answer"]["post"]["requestBody"])
    assert "$defs" not in json.dumps(description)
    assert all(
        set(operation["responses"]) <= {"200", "201", "202", "default"}
        for methods in description["paths"].values()
        for operation in methods.values()
    )
    assert page.headers["content-type"].startswith("text/html")
    for path in description["paths"]:
        assert path in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert re.findall(r"<script\b([^>]*)>", page.text) == re.findall(r'<script\b( src="\w[^":]*")>', page.text)


async def test_responses_look_as_the_description_says(stack: Stack) -> None:
    where = {"collection": stack.collection}
    query = {"query": "herons", **where}
    for method, path, body, shape in (
        ("POST", "/v1/retrieve", query, RetrieveResponse),
        ("POST", "/v1/retrieve", {**query, "rerank": False}, RetrieveResponse),
        ("POST", "/v1/answer", {"question": "herons?", **where}, AnswerResponse),
        ("POST", "/v1/documents", {"documents": [{"id": "s", "text": "S."}], **where}, AddDocumentsResponse),
        ("POST", "/v1/documents", {"documents": [{"text": ""}], **where}, AddDocumentsResponse),
        ("GET", f"/v1/documents?collection={stack.collection}", None, ListDocumentsResponse),
        ("GET", f"/v1/documents/heron?collection={stack.collection}", None, DocumentResponse),
        ("DELETE", f"/v1/documents/s?collection={stack.collection}", None, DeleteDocumentResponse),
        ("POST", "/v1/collections", {"name": f"{stack.collection}-s"}, CollectionResponse),
        ("GET", f"/v1/collections/{stack.collection}", None, CollectionResponse),
        ("GET", "/v1/collections", None, ListCollectionsResponse),
        ("DELETE", f"/v1/collections/{stack.collection}-s", None, DeleteCollectionResponse),
        ("GET", "/readyz", None, ReadinessResponse),
        ("GET", "/v1/models", None, shapes.ListModelsResponse),
        ("GET", "/v1/models/trivium", None, shapes.ModelShape),
    ):
        response = await stack.http.request(method, path, json=body)
        assert response.is_success, response.text
        shape.model_validate_json(response.content)


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/v1/documents?colection=a", "colection"),
        ("GET", "/v1/documents/a?colection=a", "colection"),
        ("DELETE", "/v1/documents/a?colection=a", "colection"),
        ("POST", "/v1/documents?collection=a", "collection"),
        ("POST", "/v1/answer?stream=true", "stream"),
        ("GET", "/v1/collections?page=2", "page"),
    ],
)
async def test_parameter_that_does_not_exist_is_a_400_and_not_passed_over(
    stack: Stack, method: str, path: str, field: str
) -> None:
    check_error(await stack.http.request(method, path), 400, "UNKNOWN_FIELD", field)


async def test_models_are_listed_in_openais_shape_with_any_token(stack: Stack) -> None:
    headers = {"Authorization": "Bearer whatever"}
    listed = (await stack.http.get("/v1/models", headers=headers)).json()

    assert listed["object"] == "list"
    assert listed["data"][0]["id"] == "trivium"
    assert set(listed["data"][0]) == {"id", "object", "created", "owned_by", "calibration", "settings_version"}
    assert (await stack.http.get("/v1/models/trivium")).json() == listed["data"][0]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/collections", "/docs"])
async def test_head_is_a_get_without_its_body(stack: Stack, path: str) -> None:
    head, got = await stack.http.head(path), await stack.http.get(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert stack.metric("trivium_gateway_http_requests_total", method="HEAD", route=path, status="200") >= 1


async def test_head_of_what_is_not_there_or_has_no_get_is_refused_like_the_get(stack: Stack) -> None:
    missing, refused = await stack.http.head("/nowhere"), await stack.http.head("/v1/answer")

    assert (missing.status_code, missing.content) == (404, b"")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_slash_at_the_end_of_a_path_changes_nothing_but_an_id(stack: Stack) -> None:
    for path in ("/healthz/", "/v1/models/", "/v1/collections/"):
        assert (await stack.http.get(path)).status_code == 200, path
    pinged = await stack.http.post(
        "/mcp/",
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
        headers={"Accept": "application/json, text/event-stream"},
    )
    assert pinged.status_code == 200
    check_error(
        await stack.http.get("/v1/documents/a/", params={"collection": stack.collection}), 404, "DOCUMENT_NOT_FOUND"
    )


async def test_method_that_a_path_lacks_is_told_all_that_it_has(stack: Stack) -> None:
    for path, allowed in (("/v1/documents/a/b", "DELETE, GET, HEAD, PATCH"), ("/v1/documents", "GET, HEAD, POST")):
        response = await stack.http.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("text", ["\x00", "\x00 \x07\n", "\u200b\ufeff"])
async def test_question_that_nobody_sees_is_blank(stack: Stack, text: str) -> None:
    check_error(await stack.ask(text), 400, "EMPTY_QUERY", "question")
    check_error(await stack.retrieve(text), 400, "EMPTY_QUERY", "query")


async def test_number_beyond_any_float_is_a_400_in_a_filter_and_its_documents_own_in_metadata(stack: Stack) -> None:
    huge = 10**400
    for wanted in (huge, [huge], {"gte": huge}, {"lt": -huge}):
        check_error(
            await stack.retrieve(filter={"metadata.year": wanted}), 400, "INVALID_FIELD", "filter.metadata.year"
        )
    raw = f'{{"query": "q", "filter": {{"metadata.year": {{"gte": 1e400}}}}, "collection": "{stack.collection}"}}'
    check_error(await stack.http.post("/v1/retrieve", content=raw, headers=JSON), 400, "INVALID_JSON", "body")

    good, bad = await stack.add({"id": "fine", "text": "fine"}, {"id": "huge", "text": "a", "metadata": {"n": huge}})
    assert (good["status"], bad["status"], bad["error"]["reason"]) == ("indexed", "failed", "INVALID_FIELD")
