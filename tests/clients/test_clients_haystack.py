"""Haystack's own integrations against the gateway, and Trivium's component in a pipeline."""

from __future__ import annotations

from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.jina import JinaRanker
from trivium_client.haystack import TriviumRetriever, trivium_filter

QUESTION = "How long does the warranty of the KX-200 pump last?"
NO_KEY = Secret.from_token("none")


def documents() -> list[Document]:
    return [Document(content="Basel lies on the Rhine."), Document(content="The warranty lasts 24 months.")]


def generator(base_url: str, **options: Any) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(model="trivium", api_base_url=f"{base_url}/v1", api_key=NO_KEY, max_retries=0, **options)


def test_chat_generator_answers_and_streams(base_url: str) -> None:
    pieces: list[str] = []
    messages = [ChatMessage.from_user(QUESTION)]

    whole = generator(base_url).run(messages=messages)["replies"][0].text
    generator(base_url, streaming_callback=lambda piece: pieces.append(piece.content)).run(messages=messages)

    assert "24 months" in whole
    assert "".join(pieces) == whole


def test_jina_ranker_orders_documents(base_url: str) -> None:
    ranker = JinaRanker(api_key=NO_KEY, base_url=f"{base_url}/v1/rerank", model="trivium", top_k=1)

    (first,) = ranker.run(query=QUESTION, documents=documents())["documents"]

    assert first.content == "The warranty lasts 24 months."


def test_cohere_ranker_orders_documents(base_url: str) -> None:
    ranker = CohereRanker(api_key=NO_KEY, api_base_url=base_url, model="trivium", top_k=1)

    (first,) = ranker.run(query=QUESTION, documents=documents())["documents"]

    assert first.content == "The warranty lasts 24 months."


async def test_trivium_retriever_finds_documents_with_where_they_are_from(gateway: str) -> None:
    retriever = TriviumRetriever(gateway, top_k=2)

    output = retriever.run(QUESTION)

    first = output["documents"][0]
    assert "24 months" in first.content
    assert first.meta["source"] == "https://example.org/kx-200/warranty"
    assert first.meta["year"] == 2024
    assert first.score == first.meta["score"]
    assert output["degraded"] == []
    assert len(retriever.run(QUESTION, top_k=1)["documents"]) == 1
    filters = {"field": "meta.year", "operator": "<", "value": 2022}
    found = await retriever.run_async(QUESTION, filters=filters)
    assert {document.meta["document_id"] for document in found["documents"]} == {"kx-200/filter", "office"}


def test_trivium_retriever_is_part_of_a_pipeline_that_can_be_written_down(gateway: str, base_url: str) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", TriviumRetriever(gateway, top_k=1, filters={"metadata.lang": "en"}))
    template = [ChatMessage.from_user("{{ documents[0].content }} {{ question }}")]
    pipeline.add_component("prompt", ChatPromptBuilder(template=template, required_variables="*"))
    pipeline.connect("retriever.documents", "prompt.documents")

    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["trivium_client.haystack"])
    again.add_component("model", generator(base_url))
    again.connect("prompt.prompt", "model.messages")
    output = again.run({"retriever": {"query": QUESTION}, "prompt": {"question": QUESTION}})

    assert "24 months" in output["model"]["replies"][0].text


@pytest.mark.parametrize(
    ("filters", "written"),
    [
        (None, None),
        ({}, None),
        ({"metadata.year": {"gte": 2020}}, {"metadata.year": {"gte": 2020}}),
        ({"field": "meta.lang", "operator": "in", "value": ["en", "zh"]}, {"metadata.lang": ["en", "zh"]}),
        ({"field": "document_id", "operator": "==", "value": "a"}, {"document_id": "a"}),
        (
            {
                "operator": "AND",
                "conditions": [
                    {"field": "meta.year", "operator": ">=", "value": 2020},
                    {"field": "meta.year", "operator": "<", "value": 2025},
                    {"field": "lang", "operator": "==", "value": "en"},
                ],
            },
            {"all": [{"metadata.year": {"gte": 2020}}, {"metadata.year": {"lt": 2025}}, {"metadata.lang": "en"}]},
        ),
        (
            {
                "operator": "NOT",
                "conditions": [
                    {"field": "meta.lang", "operator": "!=", "value": None},
                    {"operator": "OR", "conditions": [{"field": "meta.a", "operator": "not in", "value": [1, 2]}]},
                ],
            },
            {"not": {"all": [{"not": {"metadata.lang": None}}, {"any": [{"not": {"metadata.a": [1, 2]}}]}]}},
        ),
    ],
)
def test_filters_of_haystack_are_written_as_those_of_trivium(filters: Any, written: Any) -> None:
    assert trivium_filter(filters) == written


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"operator": "XOR", "conditions": []}, "'XOR'; Haystack knows AND"),
        ({"operator": "NOT", "conditions": [{"field": "meta.a", "operator": "~", "value": 1}]}, "'~'"),
    ],
)
def test_filters_that_trivium_cannot_be_asked_are_refused_at_once(filters: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TriviumRetriever("127.0.0.1:1", filters=filters)
