"""Embeddings as OpenAI's own client asks for them, and as LangChain does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import pytest
import pytest_asyncio
from trivium.embed.v1 import embed_service_pb2 as embed_pb
from trivium.type.v1.model_info_pb2 import ModelInfo
from trivium_gateway.surfaces.http.openai.shapes import EmbeddingsResponse
from trivium_serving.errors import InvalidField, Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def client(stack: Stack) -> AsyncIterator[Any]:
    """OpenAI's client, which does not try again."""
    async with openai.AsyncOpenAI(base_url=f"{stack.http.base_url}/v1", api_key="any", max_retries=0) as opened:
        yield opened


async def test_texts_are_embedded_alike_as_numbers_and_as_base64(stack: Stack, client: Any) -> None:
    texts = ["Herons eat fish.", "Otters sleep."]
    coded = await client.embeddings.create(model="trivium", input=texts)  # the client asks for base64 itself
    plain = await client.embeddings.create(model="words", input=texts, encoding_format="float")
    single = await client.embeddings.create(model="trivium", input=texts[0])

    assert [one.index for one in plain.data] == [0, 1]
    assert len(plain.data[0].embedding) == 32
    np.testing.assert_array_equal(
        np.array([one.embedding for one in coded.data]), np.array([one.embedding for one in plain.data])
    )
    assert single.data[0].embedding == coded.data[0].embedding
    assert (plain.model, plain.usage.prompt_tokens, plain.usage.total_tokens) == ("words", 9, 9)
    raw = await stack.http.post(
        "/v1/embeddings", json={"model": "trivium", "input": texts, "encoding_format": "base64"}
    )
    EmbeddingsResponse.model_validate_json(raw.content)


async def test_many_texts_are_embedded_in_several_calls_and_in_order(stack: Stack, client: Any) -> None:
    texts = [f"word{number}" for number in range(300)]
    found = await client.embeddings.create(model="trivium", input=texts, encoding_format="float")
    last = await client.embeddings.create(model="trivium", input=texts[-1], encoding_format="float")

    assert [one.index for one in found.data] == list(range(300))
    assert found.data[-1].embedding == last.data[0].embedding
    assert [len(call.request.request.texts) for call in stack.embed.called("EmbedStream")] == [64, 64, 64, 64, 44]


async def test_sparse_vectors_come_in_order_if_a_model_makes_them(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    body: dict[str, Any] = {"model": "trivium", "input": ["word " * (place + 1) for place in range(70)], "sparse": True}
    refused = await stack.http.post("/v1/embeddings", json=body)
    model = ModelInfo(name="words", fingerprint="0123456789abcdef" * 4, sparse_fingerprint="ef" * 32)
    monkeypatch.setattr(stack.embed, "model", model)
    found = EmbeddingsResponse.model_validate_json((await stack.http.post("/v1/embeddings", json=body)).content)
    plain = await stack.http.post("/v1/embeddings", json=body | {"sparse": False})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "sparse")
    assert "TRIVIUM_EMBED_SPARSE_MODEL" in refused.json()["error"]["message"]
    sparse = [one.sparse_embedding for one in found.data]
    assert [(one.indices, one.values) for one in sparse if one] == [([4], [place + 1.0]) for place in range(70)]
    assert "sparse_embedding" not in plain.json()["data"][0]


async def test_options_reach_the_embedding_model(stack: Stack, client: Any) -> None:
    await client.embeddings.create(
        model="trivium", input="What?", dimensions=16, extra_body={"input_type": "query", "truncate": True}
    )

    request = stack.embed.called("Embed")[-1].request
    assert (request.role, request.dimension, request.truncate) == (embed_pb.EMBED_ROLE_QUERY, 16, True)


@pytest.mark.parametrize(
    ("fields", "param", "code", "status"),
    [
        ({"input": [[9906, 1917]]}, "input", "unsupported_field", 400),
        ({"input": [9906, 1917]}, "input", "unsupported_field", 400),
        ({"input": []}, "input", "no_texts", 400),
        ({"input": ["a", " "]}, "input[1]", "blank_text", 400),
        ({"input": {"text": "a"}}, "input", "invalid_field", 400),
        ({"input": ["a", None]}, "input[1]", "invalid_field", 400),
        ({"input": ["a"] * 2049}, "input", "too_many_texts", 413),
        ({"input": "a" * 100_001}, "input[0]", "text_too_long", 413),
        ({"input": ["é" * 90_000] * 90}, "input", "call_too_large", 413),
        ({"dimensions": 0}, "dimensions", "invalid_field", 400),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_field", 400),
    ],
)
async def test_input_that_breaks_a_rule_is_an_error_of_openais(
    stack: Stack, fields: dict[str, Any], param: str, code: str, status: int
) -> None:
    response = await stack.http.post("/v1/embeddings", json={"model": "trivium", "input": "a", **fields})

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (status, param, code)
    if code == "unsupported_field":
        assert "check_embedding_ctx_length=False" in error["message"]


async def test_errors_of_the_embedding_model_name_the_callers_fields(stack: Stack, client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="text-embedding-3-small", input="a")
    stack.embed.faults["Embed"] = InvalidField("dimension", "No.", reason="DIMENSION_NOT_SUPPORTED")
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="trivium", input="a", dimensions=7)
    assert (caught.value.param, caught.value.code) == ("dimensions", "dimension_not_supported")
    stack.embed.faults["Embed"] = Overloaded("Full.", retry_after_seconds=2)
    with pytest.raises(openai.RateLimitError):
        await client.embeddings.create(model="trivium", input="a")
