"""POST /v1/answer and POST /v1/retrieve."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from trivium_conversation.turns import Role, Turn

from trivium_gateway.answering.events import Delta, Event, Sources, Summary
from trivium_gateway.answering.plan import Expansion, Query, Search, SearchOptions
from trivium_gateway.answering.question import Question
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.settings import AS_THE_GATEWAY
from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, read_json
from trivium_gateway.surfaces.http.errors import error_body
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import (
    JsonResponse,
    degraded_header,
    delta_json,
    found_json,
    sources_json,
    summary_json,
)
from trivium_gateway.surfaces.http.settings import RefusalChoice, SettingsBody
from trivium_gateway.surfaces.http.shapes.answers import AnswerResponse, RetrieveResponse
from trivium_gateway.surfaces.http.streams import (
    EventStreamResponse,
    event_bytes,
    evidence,
    while_connected,
    whole,
)

_LIMITS = GatewayLimits()

_TOP_N = Field(None, description="Most passages, from 1 to 100; default 5.")
_CANDIDATES = Field(None, description="Candidates that the search hands to the reranker, 1 to 1000; default 100.")
_COLLAPSE = Field(
    None, description="Whether passages that say the same in nearly the same words are shown once; default true."
)
_COLLECTION = Field(None, description="Collection to search; default `default`.")
_COLLECTIONS = Field(None, description="Several collections to search in its place, at most 16.")
_SETTINGS = Field(None, description="What goes before the settings of the collection, for this once.")
_FILTER = Field(
    None,
    description="Conditions, all of which must hold; `not`, `any` and `all` hold filters. Null is for what is absent.",
    examples=[{"metadata.year": {"gte": 2020}, "metadata.lang": ["en", "zh"], "not": {"metadata.draft": True}}],
)


class MessageBody(JsonBody):
    """An earlier turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


History = Annotated[list[MessageBody], *at_most(_LIMITS.max_history_messages, "HISTORY_TOO_LONG")]
Queries = Annotated[list[str], *at_most(_LIMITS.max_queries)]
Collections = Annotated[list[str], *at_most(_LIMITS.max_collections)]
_Expand = Annotated[list[Literal["queries", "hyde"]], *at_most(2)]
_HISTORY = Field(None, description="Earlier turns, oldest first.")
_QUERIES = Field(None, description="What to search for beside it, at most 10; what is found is judged by the question.")
_EXPAND = Field(
    None,
    description="What the language model adds to what is searched for: further queries, or a passage as it might "
    "answer (hyde); default nothing.",
)


REFUSAL = Field(
    None,
    description="What becomes of a question that the documents hardly answer: answered as any other, answered and "
    "marked, or refused; default is to mark it, and to refuse it if it is about something else altogether.",
)


class RetrieveBody(JsonBody):
    """What to look for."""

    query: str = Field(description='The query. "Phrases" must occur in each passage, -words must not.')
    history: History | None = _HISTORY
    queries: Queries | None = _QUERIES
    expand: _Expand | None = _EXPAND
    top_n: int | None = _TOP_N
    candidates: int | None = _CANDIDATES
    collection: str | None = _COLLECTION
    collections: Collections | None = _COLLECTIONS
    filter: dict[str, Any] | None = _FILTER
    rerank: bool | None = Field(None, description="Whether to rerank; default true.")
    collapse: bool | None = _COLLAPSE
    settings: SettingsBody | None = _SETTINGS


class AnswerBody(JsonBody):
    """A question."""

    question: str = Field(description="The question.")
    history: History | None = _HISTORY
    queries: Queries | None = _QUERIES
    expand: _Expand | None = _EXPAND
    top_n: int | None = _TOP_N
    candidates: int | None = _CANDIDATES
    collection: str | None = _COLLECTION
    collections: Collections | None = _COLLECTIONS
    filter: dict[str, Any] | None = _FILTER
    collapse: bool | None = _COLLAPSE
    stream: bool | None = Field(None, description="Answer as server-sent events; default false.")
    mode: Literal["auto", "model", "extractive"] | None = Field(
        None, description="By which means: the model if it can, the model or an error, the best sentences."
    )
    refusal: RefusalChoice | None = REFUSAL
    strict: bool | None = Field(None, description="Whether to leave out what no passage supports; default false.")
    settings: SettingsBody | None = _SETTINGS


def question_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["questions"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v1/retrieve", summary="Find the passages that answer a query", **documented(RetrieveResponse, RetrieveBody)
    )
    async def retrieve(request: Request) -> Response:
        body = await read_json(request, RetrieveBody, gateway.limits.max_body_bytes)
        found = await while_connected(request, gateway.questions.retrieve(_search(body)))
        return JsonResponse(found_json(found), headers=degraded_header(found.degraded))

    @router.post(
        "/v1/answer",
        summary="Answer a question, with citations",
        **documented(AnswerResponse, AnswerBody, event_stream=True),
    )
    async def answer(request: Request) -> Response:
        body = await read_json(request, AnswerBody, gateway.limits.max_body_bytes)
        question = _question(body)
        if not body.stream:
            summary, _ = await while_connected(request, whole(gateway.questions, question))
            return JsonResponse(summary_json(summary), headers=degraded_header(summary.degraded))
        events = gateway.questions.answer(question)
        # What fails before there is anything to show is an error response as anywhere else.
        sources = await while_connected(request, evidence(events))
        return EventStreamResponse(
            _pieces(sources, events),
            degraded_header(sources.degraded),
            "/v1/answer",
            lambda error: event_bytes("error", error_body(error)),
        )

    return router


def _search(body: RetrieveBody) -> Search:
    options = SearchOptions.of(
        collection=body.collection,
        collections=body.collections,
        filter=body.filter,
        top_n=body.top_n,
        candidates=body.candidates,
        rerank=body.rerank,
        collapse=body.collapse,
        settings=body.settings.settings() if body.settings else AS_THE_GATEWAY,
    )
    return Search.of(
        Query(body.query),
        principal(),
        options,
        history=turns_of(body.history),
        queries=body.queries or (),
        expand=_expansions(body),
    )


def _question(body: AnswerBody) -> Question:
    options = SearchOptions.of(
        collection=body.collection,
        collections=body.collections,
        filter=body.filter,
        top_n=body.top_n,
        candidates=body.candidates,
        collapse=body.collapse,
        settings=body.settings.settings() if body.settings else AS_THE_GATEWAY,
    )
    return Question(
        body.question,
        principal(),
        options,
        turns_of(body.history),
        AnswerMode(body.mode or "auto"),
        queries=tuple(body.queries or ()),
        expand=_expansions(body),
        refusal=Refusal(body.refusal) if body.refusal else None,
        strict=bool(body.strict),
    )


def turns_of(history: list[MessageBody] | None) -> tuple[Turn, ...]:
    """The turns of a conversation."""
    return tuple(Turn(Role(turn.role), turn.content) for turn in history or ())


def _expansions(body: RetrieveBody | AnswerBody) -> tuple[Expansion, ...]:
    return tuple(map(Expansion, body.expand or ()))


async def _pieces(sources: Sources, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        yield event_bytes("sources", sources_json(sources))
        async for event in events:
            if isinstance(event, Delta):
                yield event_bytes("delta", delta_json(event))
            elif isinstance(event, Summary):
                yield event_bytes("summary", summary_json(event))
