"""/v1/vector_stores: collections, to be searched."""

import json
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import InvalidField
from trivium_serving.request_context import request_id

from trivium_gateway.answering.plan import Query, Search, SearchOptions
from trivium_gateway.domain.passages import Passage
from trivium_gateway.gateway import Found, Gateway
from trivium_gateway.library.descriptions import CollectionDescription, CollectionState
from trivium_gateway.models.ranking import reciprocal_ranks
from trivium_gateway.request.budget import Deadline
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.openai.bodies import OpenAIBody, one_or_several
from trivium_gateway.surfaces.http.openai.errors import OpenAIErrorResponse
from trivium_gateway.surfaces.http.openai.models import CREATED
from trivium_gateway.surfaces.http.openai.shapes import ListVectorStoresResponse, VectorSearchResponse, VectorStoreShape
from trivium_gateway.surfaces.http.openai.vector_filters import filter_of
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, degraded_header, found_json
from trivium_gateway.surfaces.http.streams import while_connected

_MOST_QUERIES = 10

_STATUSES = {
    CollectionState.READY: "completed",
    CollectionState.OPENING: "in_progress",
    CollectionState.UNAVAILABLE: "in_progress",
    # OpenAI's word for one that can no longer be used.
    CollectionState.DAMAGED: "expired",
}


class RankingOptionsBody(OpenAIBody):
    """How to order what is found."""

    ranker: str | None = Field(None, description="`none` leaves the order of the search; any other name reranks.")
    score_threshold: float | None = Field(None, description="Leave out what scores lower; 0 to 1.")


class VectorSearchBody(OpenAIBody):
    """What to look for in a collection."""

    query: Annotated[list[str], *one_or_several(_MOST_QUERIES)] = Field(
        description="A query, or up to 10 whose results are put together."
    )
    max_num_results: int | None = Field(None, description="1 to 100; default 10.")
    filters: dict[str, Any] | None = Field(
        None,
        description="A comparison of an attribute (eq, in, gt, gte, lt, lte), `and` of several, or `or` between values "
        "of one attribute. Attributes are the documents' metadata, and `file_id`.",
    )
    ranking_options: RankingOptionsBody | None = None
    rewrite_query: bool | None = Field(None, description="Passed over: the query is searched for as it is.")

    def searches(self, collection: str) -> list[Search]:
        """What to search for.

        Raises:
            InvalidField: There is no query, or the filter or an option breaks a rule.
            TooLarge: There are too many queries.
        """
        if not self.query:
            raise InvalidField("query", "query is empty; send at least one.", reason="EMPTY_QUERY")
        conditions = None if self.filters is None else filter_of(self.filters)
        most = 10 if self.max_num_results is None else self.max_num_results
        if not 1 <= most <= 100:
            raise InvalidField("max_num_results", f"max_num_results is {most}; it must lie between 1 and 100.")
        rerank = self.ranking_options is None or self.ranking_options.ranker != "none"
        options = SearchOptions.of(collection=collection, filter=conditions, top_n=most, rerank=rerank)
        return [Search((Query(query),), principal(), options) for query in self.query]

    def least_score(self) -> float:
        """The score below which nothing is shown."""
        return (self.ranking_options.score_threshold if self.ranking_options else None) or 0.0


def add_vector_store_routes(router: APIRouter, gateway: Gateway) -> None:
    """Adds the routes.

    Args:
        router: What to add them to.
        gateway: Does the work.
    """

    @router.get(
        "/v1/vector_stores",
        summary="List all collections, in OpenAI's shape",
        **documented(ListVectorStoresResponse, errors=OpenAIErrorResponse),
    )
    async def list_vector_stores() -> Response:
        stores = [_store(one) for one in await gateway.library.list_collections(principal())]
        first, last = (stores[0]["id"], stores[-1]["id"]) if stores else (None, None)
        return JsonResponse({"object": "list", "data": stores, "first_id": first, "last_id": last, "has_more": False})

    @router.get(
        "/v1/vector_stores/{id}",
        summary="Describe a collection, in OpenAI's shape",
        **documented(VectorStoreShape, errors=OpenAIErrorResponse),
    )
    async def get_vector_store(id: str) -> Response:  # noqa: A002  # the name in the route
        return JsonResponse(_store(await gateway.library.get_collection(principal(), id)))

    @router.post(
        "/v1/vector_stores/{id}/search",
        summary="Find passages in a collection, in OpenAI's shape",
        **documented(VectorSearchResponse, VectorSearchBody, errors=OpenAIErrorResponse),
    )
    async def search_vector_store(request: Request, id: str) -> Response:  # noqa: A002  # the name in the route
        body = await read_json(request, VectorSearchBody, gateway.limits.max_body_bytes)
        searches = body.searches(id)
        found = await while_connected(request, _find(gateway, searches))
        passages = _merged(found, searches[0].options.top_n, body.least_score())
        return JsonResponse(
            {
                "object": "vector_store.search_results.page",
                "search_query": body.query,
                "data": [_result(passage) for passage in passages],
                "has_more": False,
                "next_page": None,
                "trivium": {"searches": [found_json(one) for one in found], "request_id": request_id()},
            },
            headers=degraded_header(one for each in found for one in each.degraded),
        )


async def _find(gateway: Gateway, searches: list[Search]) -> list[Found]:
    """What each search finds, all of them in the time of one."""
    deadline = Deadline.after(gateway.questions.longest_seconds)
    return [
        await gateway.questions.retrieve(search, timeout_seconds=deadline.remaining_seconds()) for search in searches
    ]


def _merged(found: list[Found], most: int, least_score: float) -> list[Passage]:
    """The best of what several queries found, by reciprocal rank.

    Scores of different queries do not compare: what one query barely finds may score above another's best. With
    several queries the score shown is that of the ranks, as a share of being first for each.
    """
    kept = [[passage for passage in one.passages if passage.score >= least_score] for one in found]
    if len(kept) == 1:
        return kept[0][:most]
    shares = reciprocal_ranks([[passage.id for passage in ranking] for ranking in kept])
    passages = {passage.id: passage for ranking in reversed(kept) for passage in ranking}
    return [replace(passages[passage_id], score=share) for passage_id, share in list(shares.items())[:most]]


def _result(passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "file_id": chunk.document_id,
        "filename": chunk.title or chunk.document_id,
        "score": passage.score,
        # Attributes are single values; a list is shown as JSON.
        "attributes": {
            key: value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)
            for key, value in chunk.metadata.items()
        },
        "content": [{"type": "text", "text": chunk.text}],
    }


def _store(collection: CollectionDescription) -> dict[str, Any]:
    pieces = {"in_progress": 0, "failed": 0, "cancelled": 0}
    count = collection.chunk_count or 0
    return {
        "id": collection.name,
        "object": "vector_store",
        "created_at": CREATED,
        "name": collection.name,
        "status": _STATUSES[collection.state],
        "usage_bytes": 0,
        "file_counts": {**pieces, "completed": count, "total": count},
        "metadata": {"model": collection.model, "state": collection.state.value},
    }
