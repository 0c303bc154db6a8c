"""Embeddings as Cohere's own client asks for them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cohere
import numpy as np
import pytest
import pytest_asyncio
from cohere.core.api_error import ApiError
from trivium.embed.v1 import embed_service_pb2 as embed_pb
from trivium_gateway.surfaces.http.cohere_embed import CohereEmbedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["Herons eat fish.", "Otters sleep."]


@pytest_asyncio.fixture(loop_scope="module")
async def client(stack: Stack) -> AsyncIterator[cohere.AsyncClientV2]:
    async with cohere.AsyncClientV2("any key", base_url=str(stack.http.base_url)) as opened:
        yield opened


async def test_cohere_client_gets_the_vectors_that_openais_gets(stack: Stack, client: cohere.AsyncClientV2) -> None:
    found = await client.embed(
        model="trivium", input_type="search_document", texts=TEXTS, embedding_types=["float", "base64"]
    )

    other = (await stack.http.post("/v1/embeddings", json={"model": "trivium", "input": TEXTS})).json()
    assert found.embeddings.float_ == [one["embedding"] for one in other["data"]]
    coded = np.frombuffer(base64.b64decode((found.embeddings.base64 or [])[1]), "<f4")
    np.testing.assert_allclose(coded, (found.embeddings.float_ or [])[1], rtol=1e-6)
    assert found.texts == TEXTS
    assert found.meta is not None
    assert found.meta.billed_units is not None
    assert found.meta.billed_units.input_tokens == other["usage"]["prompt_tokens"]


async def test_inputs_and_options_reach_the_embedding_model(stack: Stack) -> None:
    inputs = [{"content": [{"type": "text", "text": "What"}, {"type": "text", "text": "now?"}]}]
    body = {"model": "words", "input_type": "search_query", "inputs": inputs, "output_dimension": 16}
    cut = await stack.http.post("/v2/embed", json=body)
    CohereEmbedResponse.model_validate(cut.json())
    request = stack.embed.called("Embed")[-1].request
    assert list(request.texts) == ["What now?"]
    assert (request.role, request.dimension, request.truncate) == (embed_pb.EMBED_ROLE_QUERY, 16, True)
    await stack.http.post("/v2/embed", json={**body, "truncate": "NONE"})
    assert not stack.embed.called("Embed")[-1].request.truncate


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"texts": None}, "texts"),
        ({"texts": []}, "texts"),
        ({"texts": [" "]}, "texts[0]"),
        ({"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}], "texts": None}, "inputs"),
        ({"input_type": "image"}, "input_type"),
        ({"embedding_types": ["int8"]}, "embedding_types"),
        ({"truncate": "START"}, "truncate"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"output_dimension": 0}, "output_dimension"),
    ],
)
async def test_body_that_cannot_be_honoured_is_refused(stack: Stack, fields: dict[str, Any], field: str) -> None:
    body = {"model": "trivium", "input_type": "search_document", "texts": TEXTS, **fields}
    response = await stack.http.post("/v2/embed", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["field"].startswith(field)


async def test_cohere_client_learns_which_model_there_is(client: cohere.AsyncClientV2) -> None:
    with pytest.raises(ApiError) as caught:
        await client.embed(model="embed-v4.0", input_type="search_query", texts=TEXTS)
    assert caught.value.status_code == 404
    assert "trivium" in caught.value.body["message"]
