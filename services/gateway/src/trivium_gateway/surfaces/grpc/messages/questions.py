"""What a request asks: a search, or a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_conversation.messages import sampling_from, tools_from, turns_from
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.plan import Expansion, Query, Search, SearchOptions
from trivium_gateway.answering.question import Question
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.grpc.messages.collections import refusal_from, settings_from
from trivium_gateway.surfaces.grpc.messages.structs import json_from

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODES = {
    pb.ANSWER_MODE_UNSPECIFIED: AnswerMode.AUTO,
    pb.ANSWER_MODE_AUTO: AnswerMode.AUTO,
    pb.ANSWER_MODE_MODEL: AnswerMode.MODEL,
    pb.ANSWER_MODE_EXTRACTIVE: AnswerMode.EXTRACTIVE,
}
_EXPANSIONS = {pb.EXPANSION_QUERIES: Expansion.QUERIES, pb.EXPANSION_HYDE: Expansion.HYDE}


def search_from(request: pb.RetrieveRequest) -> Search:
    """What a request asks to look for.

    Raises:
        InvalidField: A role or an expansion is none that there is.
    """
    rerank = request.rerank if request.HasField("rerank") else None
    return Search.of(
        Query(request.query),
        principal(),
        _options(request, rerank),
        history=turns_from("history", request.history),
        queries=tuple(request.queries),
        expand=_expansions(request.expand),
    )


def question_from(request: pb.AnswerRequest) -> Question:
    """What a request asks.

    Raises:
        InvalidField: The mode, the refusal, a role or the choice of tools is none that there is.
    """
    if request.mode not in _MODES:
        raise InvalidField("mode", f"mode {request.mode} does not exist.")
    return Question(
        request.question,
        principal(),
        _options(request),
        turns_from("history", request.history),
        _MODES[request.mode],
        sampling_from(request.sampling),
        tools=tools_from(request.tools),
        tool_turns=turns_from("tool_turns", request.tool_turns),
        queries=tuple(request.queries),
        expand=_expansions(request.expand),
        refusal=refusal_from("refusal", request.refusal),
        strict=request.strict,
    )


def _expansions(expand: Iterable[pb.Expansion.ValueType]) -> tuple[Expansion, ...]:
    wanted = tuple(expand)
    for number, one in enumerate(wanted):
        if one not in _EXPANSIONS:
            raise InvalidField(f"expand[{number}]", f"expand[{number}] must be EXPANSION_QUERIES or EXPANSION_HYDE.")
    return tuple(_EXPANSIONS[one] for one in wanted)


def _options(request: pb.RetrieveRequest | pb.AnswerRequest, rerank: bool | None = None) -> SearchOptions:
    return SearchOptions.of(
        collection=request.collection,
        collections=tuple(request.collections),
        filter=json_from(request.filter) if request.HasField("filter") else None,
        top_n=request.top_n if request.HasField("top_n") else None,
        candidates=request.candidates if request.HasField("candidates") else None,
        rerank=rerank,
        collapse=request.collapse if request.HasField("collapse") else None,
        settings=settings_from(request.settings),
    )
