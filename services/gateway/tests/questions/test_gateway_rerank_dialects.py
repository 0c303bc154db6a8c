"""Rerank in the dialects of Cohere, Jina and text-embeddings-inference: their clients, limits, and failures."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import cohere
import pytest
import pytest_asyncio
from cohere.core.api_error import ApiError
from trivium_gateway.surfaces.http.rerank import shapes
from trivium_serving.errors import Overloaded, TooLarge, Unavailable

from .conftest import HANG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "herons eat"
TEXTS = ["otters sleep", "herons eat fish", "herons fly"]
ORDER = [(1, 1.0), (2, 0.5), (0, 0.0)]
PATHS = {"/v2/rerank": "documents", "/v1/rerank": "documents", "/rerank": "texts"}


@pytest_asyncio.fixture(loop_scope="module")
async def cohere_client(stack: Stack) -> AsyncIterator[cohere.AsyncClientV2]:
    client = cohere.AsyncClientV2("any key", base_url=str(stack.http.base_url))
    async with client:
        yield client


async def post(stack: Stack, path: str, **fields: Any) -> httpx.Response:
    """Asks in the dialect of a path for TEXTS, unless the fields say otherwise."""
    body = json.dumps({"query": QUERY, PATHS[path]: TEXTS, **fields})  # in ASCII, which can say half a surrogate pair
    return await stack.http.post(path, content=body, headers={"Content-Type": "application/json"})


def message_of(path: str, response: httpx.Response, code: int, reason: str) -> str:
    """Checks an error in a path's dialect and returns its message."""
    assert response.status_code == code, response.text
    body = response.json()
    if path == "/rerank":
        shapes.TeiErrorResponse.model_validate(body)
        assert body["reason"] == reason
        message: str = body["error"]
    else:
        assert body["error"]["reason"] == reason
        message = body["message"]
    assert body["message"] == body["detail"] == message
    return message


# Cohere


async def test_cohere_client_gets_the_best_documents_first(cohere_client: cohere.AsyncClientV2) -> None:
    response = await cohere_client.rerank(model="trivium", query=QUERY, documents=TEXTS, top_n=2)

    assert [(one.index, one.relevance_score) for one in response.results] == ORDER[:2]
    assert response.id
    assert response.meta is not None
    assert response.meta.api_version is not None
    assert response.meta.api_version.version == "2"


async def test_cohere_client_of_version_1_gets_documents_when_it_asks_for_them(stack: Stack) -> None:
    async with cohere.AsyncClient("any key", base_url=str(stack.http.base_url)) as client:
        response = await client.rerank(
            model="trivium",
            query=QUERY,
            documents=[{"text": text} for text in TEXTS],
            return_documents=True,
            rank_fields=["text"],
            max_chunks_per_doc=1,
        )

    assert [(one.index, one.relevance_score) for one in response.results] == ORDER
    assert [one.document.text for one in response.results if one.document] == [TEXTS[index] for index, _ in ORDER]


async def test_cohere_client_learns_which_model_there_is(cohere_client: cohere.AsyncClientV2) -> None:
    with pytest.raises(ApiError) as caught:
        await cohere_client.rerank(model="rerank-v3.5", query=QUERY, documents=TEXTS)

    assert caught.value.status_code == 404
    assert "'word-share', also called 'trivium'" in caught.value.body["message"]
    response = await cohere_client.rerank(model="word-share", query=QUERY, documents=TEXTS)
    assert len(response.results) == 3


async def test_cohere_request_to_read_less_of_a_document_is_refused_only_where_the_model_reads_more(
    stack: Stack,
) -> None:
    assert (await post(stack, "/v2/rerank", max_tokens_per_doc=4096)).status_code == 200

    message = message_of("/v2/rerank", await post(stack, "/v2/rerank", max_tokens_per_doc=100), 400, "INVALID_FIELD")

    assert "512" in message


# Jina, and those who speak like it


async def test_jina_response_has_what_its_clients_read(stack: Stack) -> None:
    response = await post(stack, "/v1/rerank", model="trivium", top_n=2, return_documents=True)

    body = response.json()
    shapes.JinaResponse.model_validate(body)
    assert (body["model"], body["object"]) == ("word-share", "list")
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] > 0
    assert body["results"][0] == {"index": 1, "relevance_score": 1.0, "document": {"text": TEXTS[1]}}


async def test_open_webui_gets_a_score_for_every_document_also_blank_and_equal_ones(stack: Stack) -> None:
    documents = ["herons fly", "", "herons eat fish", "herons fly", "  "]
    request = {"model": "trivium", "query": QUERY, "documents": documents, "top_n": len(documents)}

    response = await stack.http.post("/v1/rerank", json=request, headers={"X-OpenWebUI-User-Name": "A"})

    by_index = sorted(response.json()["results"], key=lambda one: one["index"])
    assert [one["relevance_score"] for one in by_index] == [0.5, 0.0, 1.0, 0.5, 0.0]


async def test_rerank_with_top_n_above_the_documents_returns_all(stack: Stack) -> None:
    assert len((await post(stack, "/v1/rerank", top_n=1_000_000)).json()["results"]) == 3


# TEI


async def test_tei_response_is_a_bare_list(stack: Stack) -> None:
    response = await post(stack, "/rerank", raw_scores=False, return_text=True, truncate=True)

    body = response.json()
    shapes.TeiResponse.model_validate(body)
    assert body == [{"index": index, "score": score, "text": TEXTS[index]} for index, score in ORDER]
    assert (await post(stack, "/rerank")).json() == [{"index": index, "score": score} for index, score in ORDER]


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("/rerank", {"raw_scores": True}, "raw_scores"),
        ("/rerank", {"truncate": False}, "truncate"),
        ("/rerank", {"truncation_direction": "Left"}, "truncation_direction"),
        ("/v1/rerank", {"rank_fields": ["title"]}, "rank_fields"),
        ("/v1/rerank", {"documents": ["a", {"image": "https://x.org/a.png"}]}, "documents[1]"),
        ("/v2/rerank", {"documents": ["a", 5]}, "documents[1]"),
        ("/v2/rerank", {"top_n": 0}, "top_n"),
        ("/v2/rerank", {"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
    ],
)
async def test_what_a_dialect_asks_for_in_vain_is_refused_by_name(
    stack: Stack, path: str, fields: dict[str, Any], field: str
) -> None:
    response = await post(stack, path, **fields)

    assert field in message_of(path, response, 400, "INVALID_FIELD")
    assert stack.rerank.called("Rerank") == []


# Limits and failures, the same in every dialect


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"query": " "}, 400, "EMPTY_QUERY"),
        ({"query": "q" * 8_001}, 413, "QUERY_TOO_LONG"),
        ({"texts": []}, 400, "NO_TEXTS"),
        ({"texts": ["t"] * 1_001}, 413, "TOO_MANY_TEXTS"),
        ({"texts": ["t", "t" * 100_001]}, 413, "TEXT_TOO_LONG"),
        ({"texts": ["t" * 100_000] * 161}, 413, "CALL_TOO_LARGE"),
        ({"texts": ["\ud800"]}, 400, "INVALID_FIELD"),
        ({"model_name": "x"}, 400, "UNKNOWN_FIELD"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value),
)
async def test_rerank_over_a_limit_is_refused(
    stack: Stack, path: str, fields: dict[str, Any], code: int, reason: str
) -> None:
    fields = {PATHS[path] if name == "texts" else name: value for name, value in fields.items()}

    message = message_of(path, await post(stack, path, **fields), code, reason)

    assert message
    assert stack.rerank.called("Rerank") == []


@pytest.mark.parametrize("path", PATHS)
async def test_rerank_at_its_limits_is_served(stack: Stack, path: str) -> None:
    response = await post(stack, path, **{PATHS[path]: ["t" * 100_000] + ["t"] * 999})

    assert response.status_code == 200
    body = response.json()
    assert len(body if path == "/rerank" else body["results"]) == 1_000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Unavailable("The model is still loading.", reason="LOADING"), 503, "LOADING"),
        (Overloaded("Too much to do.", retry_after_seconds=3), 429, "OVERLOADED"),
    ],
    ids=["loading", "overloaded"],
)
async def test_rerank_without_a_reranker_is_an_error_and_no_order(
    stack: Stack, path: str, fault: Unavailable | Overloaded, code: int, reason: str
) -> None:
    stack.rerank.faults["Rerank"] = fault

    response = await post(stack, path)

    assert message_of(path, response, code, reason) == fault.message
    assert response.headers["retry-after"] == ("3" if code == 429 else "1")
    if path == "/rerank":
        assert response.json()["error_type"] == {503: "Unhealthy", 429: "Overloaded"}[code]


async def test_refusal_by_the_rerank_service_names_the_callers_field(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = TooLarge("texts[1] is too long.", reason="TEXT_TOO_LONG", field="texts[1]")

    response = await post(stack, "/v2/rerank")

    assert response.status_code == 413
    assert response.json()["error"]["field"] == "documents[1]"


async def test_rerank_whose_client_leaves_is_cancelled_and_counted(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = HANG
    cancelled = stack.metric("trivium_gateway_questions_total", operation="rerank", outcome="cancelled")
    asking = asyncio.create_task(post(stack, "/v1/rerank"))
    await stack.until(lambda: len(stack.rerank.called("Rerank")) == 1)
    assert stack.metric("trivium_gateway_questions_in_flight") == 1

    asking.cancel()

    await asyncio.wait_for(stack.rerank.cancelled.wait(), 10)
    await stack.until(
        lambda: (
            stack.metric("trivium_gateway_questions_total", operation="rerank", outcome="cancelled") == cancelled + 1
        )
    )
    assert stack.metric("trivium_gateway_questions_in_flight") == 0
