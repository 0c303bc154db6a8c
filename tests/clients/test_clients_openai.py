"""OpenAI's own SDK against the gateway."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = "How long does the warranty of the KX-200 pump last?"


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models_begin_with_trivium(client: openai.OpenAI) -> None:
    assert next(iter(client.models.list())).id == "trivium"


def test_chat_answers_from_the_documents_with_citations(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="trivium", messages=[{"role": "user", "content": QUESTION}])

    message = answer.choices[0].message
    assert "24 months" in (message.content or "")
    assert message.annotations is not None
    assert message.annotations[0].type == "url_citation"
    assert message.annotations[0].url_citation.url == "https://example.org/kx-200/warranty"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None


def test_chat_streams_the_same_answer_and_its_usage(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="trivium", messages=[{"role": "user", "content": QUESTION}])
    chunks = list(
        client.chat.completions.create(
            model="trivium",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None
    assert not chunks[-1].choices


def test_chat_stream_helper_ends_with_the_whole_answer(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with client.chat.completions.stream(model="trivium", messages=messages) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()

    assert {"chunk", "content.delta"} <= kinds
    assert "24 months" in (final.choices[0].message.content or "")


async def test_chat_streams_to_the_asynchronous_client(base_url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="trivium", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert "24 months" in text


def test_responses_answers_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="trivium", input=QUESTION)
    events = list(client.responses.create(model="trivium", input=QUESTION, stream=True))

    assert "24 months" in whole.output_text
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text


def test_embeddings_are_the_same_as_numbers_and_as_base64(client: openai.OpenAI) -> None:
    texts = ["the warranty", "the filter"]
    encoded = client.embeddings.create(model="trivium", input=texts)  # the SDK asks for base64 by itself
    numbers = client.embeddings.create(model="trivium", input=texts, encoding_format="float")
    raw = client.embeddings.with_raw_response.create(model="trivium", input=texts[0], encoding_format="base64")

    assert [item.index for item in encoded.data] == [0, 1]
    assert encoded.data[0].embedding == pytest.approx(numbers.data[0].embedding, abs=1e-6)
    assert len(base64.b64decode(raw.http_response.json()["data"][0]["embedding"])) == 4 * len(encoded.data[0].embedding)
    assert encoded.usage.total_tokens > 0


def test_errors_are_those_of_the_sdk(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": QUESTION}])
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="trivium", messages=[])

    assert unknown.value.code == "model_not_found"
    assert empty.value.message


def test_vector_store_of_a_collection_is_searched(client: openai.OpenAI) -> None:
    found = client.vector_stores.search("default", query=QUESTION, max_num_results=2)

    assert "24 months" in found.data[0].content[0].text
    assert 0 <= found.data[0].score <= 1
