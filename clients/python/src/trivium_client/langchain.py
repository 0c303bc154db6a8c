"""A LangChain retriever over Trivium: `pip install "trivium-client[langchain]"`."""

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from trivium_client import AsyncTrivium, Retrieval, Trivium
from trivium_client._passage_metadata import passage_metadata

__all__ = ["TriviumRetriever"]


class TriviumRetriever(BaseRetriever):
    """Finds the passages of your documents that answer a query, by hybrid search and reranking.

    ```
    retriever = TriviumRetriever(collection="manuals", top_n=5)
    retriever.invoke("How often should the filter be changed?")
    ```

    Each document has the passage's text, its id, and in `metadata` the document's own metadata with `source` (what to
    cite), `title`, `uri`, `document_id`, `span`, `score` and `scores`; `degraded` if a stage was replaced.
    """

    address: str | None = None
    """The gateway's gRPC address, HOST:PORT; None for the environment's TRIVIUM_GATEWAY, else 127.0.0.1:50050."""
    collection: str = ""
    """The collection to search; empty for `default`."""
    top_n: int | None = None
    """Most passages, 1 to 100; None for the gateway's default."""
    candidates: int | None = None
    """How many candidates the search hands to the reranker, 1 to 1000; None for the default."""
    filter: dict[str, Any] | None = None
    """Conditions that all must hold: `{"metadata.year": {"gte": 2020}}`."""
    rerank: bool | None = None
    """False to leave the order of the search."""
    timeout_seconds: float | None = None
    """Deadline of one retrieval; None for the client's."""
    client: Trivium = Field(default_factory=lambda given: Trivium(given["address"]), exclude=True, repr=False)
    """What `invoke` asks; give one of your own for TLS by files, or to share it."""
    async_client: AsyncTrivium = Field(
        default_factory=lambda given: AsyncTrivium(given["address"]), exclude=True, repr=False
    )
    """What `ainvoke` asks."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return _documents(self.client.retrieve(query, **self._options()))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return _documents(await self.async_client.retrieve(query, **self._options()))

    def _options(self) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "top_n": self.top_n,
            "candidates": self.candidates,
            "filter": self.filter,
            "rerank": self.rerank,
            "timeout_seconds": self.timeout_seconds,
        }


def _documents(retrieval: Retrieval) -> list[Document]:
    return [
        Document(id=passage.id, page_content=passage.text, metadata=passage_metadata(passage, retrieval))
        for passage in retrieval.passages
    ]
