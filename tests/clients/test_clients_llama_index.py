"""LlamaIndex's own integrations against the gateway, and Trivium's retriever in a query engine."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeRelationship, NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from trivium_client.llama_index import TriviumRetriever

QUESTION = "How long does the warranty of the KX-200 pump last?"


def language_model(base_url: str) -> OpenAILike:
    return OpenAILike(
        model="trivium",
        api_base=f"{base_url}/v1",
        api_key="none",
        is_chat_model=True,
        max_retries=0,
        context_window=8192,
    )


def nodes() -> list[NodeWithScore]:
    texts = ("Basel lies on the Rhine.", "The warranty lasts 24 months.")
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]


def test_language_model_answers_and_streams(base_url: str) -> None:
    model = language_model(base_url)
    messages = [ChatMessage(role="user", content=QUESTION)]

    whole = model.chat(messages)
    *_, last = model.stream_chat(messages)

    assert "24 months" in (whole.message.content or "")
    assert last.message.content == whole.message.content


def test_jina_rerank_orders_nodes(base_url: str) -> None:
    reranker = JinaRerank(base_url=f"{base_url}/v1", api_key="none", model="trivium", top_n=1)

    (first,) = reranker.postprocess_nodes(nodes(), query_str=QUESTION)

    assert first.node.get_content() == "The warranty lasts 24 months."


def test_cohere_rerank_orders_nodes(base_url: str) -> None:
    reranker = CohereRerank(base_url=base_url, api_key="none", model="trivium", top_n=1)

    (first,) = reranker.postprocess_nodes(nodes(), query_str=QUESTION)

    assert first.node.get_content() == "The warranty lasts 24 months."


async def test_trivium_retriever_finds_nodes_with_where_they_are_from(gateway: str) -> None:
    retriever = TriviumRetriever(gateway, top_n=2)

    found = retriever.retrieve(QUESTION)

    node = found[0].node
    assert isinstance(node, TextNode)
    assert "24 months" in node.text
    assert (node.start_char_idx, node.end_char_idx) == (0, len(node.text))
    assert node.metadata["source"] == "https://example.org/kx-200/warranty"
    assert node.metadata["year"] == 2024
    assert node.source_node is not None
    assert node.relationships[NodeRelationship.SOURCE].node_id == "kx-200/warranty"
    shown = node.get_content(MetadataMode.LLM)
    assert "source: https://example.org/kx-200/warranty" in shown
    assert "score" not in shown
    assert (found[0].score or 0) >= (found[1].score or 0)
    assert [item.node_id for item in await retriever.aretrieve(QUESTION)] == [item.node_id for item in found]


def test_trivium_retriever_is_part_of_a_query_engine(gateway: str, base_url: str) -> None:
    engine = RetrieverQueryEngine.from_args(TriviumRetriever(gateway, top_n=2), llm=language_model(base_url))

    response = engine.query(QUESTION)

    assert "KX-200" in str(response)
    assert response.source_nodes[0].node.metadata["document_id"] == "kx-200/warranty"
