"""A LlamaIndex retriever over Trivium: `pip install "trivium-client[llama-index]"`."""

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from trivium_client import AsyncTrivium, Passage, Retrieval, Trivium
from trivium_client._passage_metadata import PROVENANCE_KEYS, passage_metadata

__all__ = ["TriviumRetriever"]

_SHOWN_TO_MODELS = ("title", "source")


class TriviumRetriever(BaseRetriever):
    """Finds the passages of your documents that answer a query, by hybrid search and reranking.

    ```
    retriever = TriviumRetriever(collection="manuals", top_n=5)
    retriever.retrieve("How often should the filter be changed?")
    ```

    Each node has the passage's text, id, score, place in the document's text and in `metadata` the document's own
    metadata with `source` (what to cite), `title`, `uri`, `document_id`, `span`, `score` and `scores`; `degraded` if a
    stage was replaced. Of Trivium's own keys a language model is shown `title` and `source` only.

    Args:
        address: The gateway's gRPC address, HOST:PORT; None for the environment's TRIVIUM_GATEWAY, else
            127.0.0.1:50050.
        collection: The collection to search; empty for `default`.
        top_n: Most passages, 1 to 100; None for the gateway's default.
        candidates: How many candidates the search hands to the reranker, 1 to 1000; None for the default.
        filter: Conditions that all must hold: `{"metadata.year": {"gte": 2020}}`.
        rerank: False to leave the order of the search.
        timeout_seconds: Deadline of one retrieval; None for the client's.
        client: What `retrieve` asks; give one of your own for TLS by files, or to share it.
        async_client: What `aretrieve` asks.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        collection: str = "",
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        rerank: bool | None = None,
        timeout_seconds: float | None = None,
        client: Trivium | None = None,
        async_client: AsyncTrivium | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._client = client or Trivium(address)
        self._async_client = async_client or AsyncTrivium(address)
        self._options: dict[str, Any] = {
            "collection": collection,
            "top_n": top_n,
            "candidates": candidates,
            "filter": filter,
            "rerank": rerank,
            "timeout_seconds": timeout_seconds,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self._client.retrieve(query_bundle.query_str, **self._options))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(await self._async_client.retrieve(query_bundle.query_str, **self._options))


def _nodes(retrieval: Retrieval) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(passage, retrieval), score=passage.score) for passage in retrieval.passages]


def _node(passage: Passage, retrieval: Retrieval) -> TextNode:
    return TextNode(
        id_=passage.id,
        text=passage.text,
        metadata=passage_metadata(passage, retrieval),
        excluded_llm_metadata_keys=[key for key in PROVENANCE_KEYS if key not in _SHOWN_TO_MODELS],
        excluded_embed_metadata_keys=list(PROVENANCE_KEYS),
        start_char_idx=passage.span.start,
        end_char_idx=passage.span.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=passage.document_id)},
    )
