"""A Haystack component over Trivium: `pip install "trivium-client[haystack]"`."""

from collections.abc import Mapping
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from trivium_client import AsyncTrivium, Retrieval, Trivium, to_json
from trivium_client._passage_metadata import passage_metadata

__all__ = ["TriviumRetriever", "trivium_filter"]

_RANGES = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


@component
class TriviumRetriever:
    """Finds the passages of your documents that answer a query, by hybrid search and reranking.

    ```
    pipeline.add_component("retriever", TriviumRetriever(collection="manuals", top_k=5))
    ```

    Each document has the passage's text, id, score and in `meta` the document's own metadata with `source` (what to
    cite), `title`, `uri`, `document_id`, `span`, `score` and `scores`. The output `degraded` lists the stages that
    were replaced by the next best means. A pipeline's file that names it is loaded with
    `Pipeline.load(..., allowed_modules=["trivium_client.haystack"])`.

    Args:
        address: The gateway's gRPC address, HOST:PORT; None for the environment's TRIVIUM_GATEWAY, else
            127.0.0.1:50050. TLS is configured by TRIVIUM_TLS_CA, TRIVIUM_TLS_CERT and TRIVIUM_TLS_KEY.
        collection: The collection to search; empty for `default`.
        top_k: Most passages, 1 to 100; None for the gateway's default.
        filters: Haystack's filters, or Trivium's; see `trivium_filter`. Those of `run` go before them.
        candidates: How many candidates the search hands to the reranker, 1 to 1000; None for the default.
        rerank: False to leave the order of the search.
        timeout_seconds: Deadline of one retrieval; None for the client's.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        collection: str = "",
        top_k: int | None = None,
        filters: dict[str, Any] | None = None,
        candidates: int | None = None,
        rerank: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        trivium_filter(filters)  # so that one that cannot be asked for is refused here
        self.address = address
        self.collection = collection
        self.top_k = top_k
        self.filters = filters
        self.candidates = candidates
        self.rerank = rerank
        self.timeout_seconds = timeout_seconds
        self._client = Trivium(address)
        self._async_client = AsyncTrivium(address)

    @component.output_types(documents=list[Document], degraded=list[dict[str, Any]])
    def run(self, query: str, top_k: int | None = None, filters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Finds passages.

        Args:
            query: The query; not blank.
            top_k: In place of the component's own.
            filters: In place of the component's own.

        Raises:
            ValueError: If the filters say what Trivium cannot be asked.
            TriviumError: If the call fails.
        """
        return _output(self._client.retrieve(query, **self._options(top_k, filters)))

    @component.output_types(documents=list[Document], degraded=list[dict[str, Any]])
    async def run_async(
        self, query: str, top_k: int | None = None, filters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Finds passages; as `run`."""
        return _output(await self._async_client.retrieve(query, **self._options(top_k, filters)))

    def to_dict(self) -> dict[str, Any]:
        """Describes the component for a pipeline's file."""
        return dict(
            default_to_dict(
                self,
                address=self.address,
                collection=self.collection,
                top_k=self.top_k,
                filters=self.filters,
                candidates=self.candidates,
                rerank=self.rerank,
                timeout_seconds=self.timeout_seconds,
            )
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TriviumRetriever":
        """Makes the component that `to_dict` described."""
        made: TriviumRetriever = default_from_dict(cls, data)
        return made

    def _options(self, top_k: int | None, filters: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "collection": self.collection,
            "top_n": self.top_k if top_k is None else top_k,
            "candidates": self.candidates,
            "filter": trivium_filter(self.filters if filters is None else filters),
            "rerank": self.rerank,
            "timeout_seconds": self.timeout_seconds,
        }


def trivium_filter(filters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Writes Haystack's filters as Trivium's; Trivium's own pass as they are.

    `{"field": "meta.year", "operator": ">=", "value": 2020}` becomes `{"metadata.year": {"gte": 2020}}`.

    Raises:
        ValueError: If an operator is none of Haystack's.
    """
    if not filters:
        return None
    return _written(filters) if "operator" in filters else dict(filters)


def _written(filters: Mapping[str, Any]) -> dict[str, Any]:
    operator = filters["operator"]
    if operator in ("AND", "OR", "NOT"):
        parts = [_written(part) for part in filters["conditions"]]
        if operator == "OR":
            return {"any": parts}
        return {"all": parts} if operator == "AND" else {"not": {"all": parts}}
    field, value = str(filters.get("field", "")), filters.get("value")
    name = (
        f"metadata.{field.removeprefix('meta.')}" if field not in ("document_id", "meta.document_id") else "document_id"
    )
    if operator in _RANGES:
        return {name: {_RANGES[operator]: value}}
    if operator in ("==", "in"):
        return {name: value}
    if operator in ("!=", "not in"):
        return {"not": {name: value}}
    raise ValueError(
        f"the filters have the operator {operator!r}; Haystack knows AND, OR, NOT, ==, !=, in, not in, >, >=, < and <="
    )


def _output(retrieval: Retrieval) -> dict[str, Any]:
    documents = [
        Document(id=passage.id, content=passage.text, meta=passage_metadata(passage, retrieval), score=passage.score)
        for passage in retrieval.passages
    ]
    return {"documents": documents, "degraded": to_json(retrieval.degraded)}
