"""LangChain's own integrations against the gateway, and Trivium's retriever in a chain."""

from __future__ import annotations

import math

from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr
from trivium_client.langchain import TriviumRetriever

QUESTION = "How long does the warranty of the KX-200 pump last?"
NO_KEY = SecretStr("none")


def chat_model(base_url: str) -> ChatOpenAI:
    return ChatOpenAI(model="trivium", base_url=f"{base_url}/v1", api_key=NO_KEY, max_retries=0)


def test_chat_model_answers_and_streams(base_url: str) -> None:
    model = chat_model(base_url)

    whole = model.invoke(QUESTION)
    pieces = "".join(str(piece.content) for piece in model.stream(QUESTION))

    assert "24 months" in whole.content
    assert pieces == whole.content


def test_embeddings_put_like_beside_like(base_url: str) -> None:
    embeddings = OpenAIEmbeddings(
        model="trivium", base_url=f"{base_url}/v1", api_key=NO_KEY, check_embedding_ctx_length=False
    )
    warranty, office = embeddings.embed_documents(["The warranty lasts two years.", "The office is in Basel."])
    asked = embeddings.embed_query("How long is the guarantee?")

    def likeness(vector: list[float]) -> float:
        return math.fsum(a * b for a, b in zip(vector, asked, strict=True))

    assert likeness(warranty) > likeness(office)


def test_cohere_rerank_orders_documents(base_url: str) -> None:
    reranker = CohereRerank(base_url=base_url, cohere_api_key=NO_KEY, model="trivium", top_n=2)
    documents = [Document(page_content=text) for text in ("Basel lies on the Rhine.", "The warranty lasts 24 months.")]

    first, second = reranker.compress_documents(documents, query=QUESTION)

    assert first.page_content == "The warranty lasts 24 months."
    assert first.metadata["relevance_score"] > second.metadata["relevance_score"]


async def test_trivium_retriever_finds_passages_with_where_they_are_from(gateway: str) -> None:
    retriever = TriviumRetriever(address=gateway, top_n=2)

    documents = retriever.invoke(QUESTION)

    first = documents[0]
    assert "24 months" in first.page_content
    assert first.metadata["source"] == "https://example.org/kx-200/warranty"
    assert first.metadata["document_id"] == "kx-200/warranty"
    assert first.metadata["year"] == 2024
    assert first.metadata["span"] == {"start": 0, "end": len(first.page_content)}
    assert first.metadata["score"] >= documents[1].metadata["score"]
    assert [document.id for document in await retriever.ainvoke(QUESTION)] == [document.id for document in documents]
    await retriever.async_client.close()


def test_trivium_retriever_filters(gateway: str) -> None:
    retriever = TriviumRetriever(address=gateway, filter={"metadata.year": {"lt": 2022}}, rerank=False)

    found = {document.metadata["source"] for document in retriever.invoke(QUESTION)}

    assert found == {"kx-200/filter", "office"}  # they have no uri


def test_trivium_retriever_is_part_of_a_chain(gateway: str, base_url: str) -> None:
    prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
    chain = (
        {
            "context": TriviumRetriever(address=gateway) | (lambda found: found[0].page_content),
            "question": RunnablePassthrough(),
        }
        | prompt
        | chat_model(base_url)
        | StrOutputParser()
    )

    assert "24 months" in chain.invoke(QUESTION)
