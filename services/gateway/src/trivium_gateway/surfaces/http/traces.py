"""/v1/traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response  # noqa: TC002 - FastAPI reads it

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.traces import ReplayResponse, TraceResponse
from trivium_gateway.surfaces.http.streams import while_connected
from trivium_gateway.surfaces.traces import trace_json

if TYPE_CHECKING:
    from trivium_gateway.gateway import Gateway

Include = Annotated[
    Literal["texts"] | None,
    Query(description="texts to show what was asked and answered; else ids, numbers and decisions only."),
]
DocumentId = Annotated[
    str | None, Query(description="A document, to say at which stage it was lost and why: `explanation`.")
]


class ReplayBody(JsonBody):
    """What to ask otherwise."""

    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of the request: collection, filter, top_n, candidates (or rerank.candidates), rerank, "
        "collapse; of a question mode, refusal and strict, too.",
        examples=[{"rerank.candidates": 200}],
    )


def trace_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["traces"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.get(
        "/v1/traces/{request_id}",
        summary="What a question went through: each stage's times, scores and decisions",
        **documented(TraceResponse),
    )
    async def get_trace(request_id: str, include: Include = None, document_id: DocumentId = None) -> Response:
        trace = gateway.questions.trace(principal(), request_id)
        explanation = None if document_id is None else await gateway.questions.explain(principal(), trace, document_id)
        settings = gateway.questions.settings
        return JsonResponse(trace_json(trace, settings, explanation, with_texts=include == "texts"))

    @router.post(
        "/v1/traces/{request_id}/replay",
        summary="Ask again what was asked, with other settings",
        **documented(ReplayResponse, ReplayBody),
    )
    async def replay_trace(request: Request, request_id: str, include: Include = None) -> Response:
        body = await read_json(request, ReplayBody, gateway.limits.max_body_bytes)
        replay = await while_connected(request, gateway.questions.replay(principal(), request_id, body.set))
        settings, with_texts = gateway.questions.settings, include == "texts"
        return JsonResponse(
            {
                "before": trace_json(replay.before, settings, with_texts=with_texts),
                "after": trace_json(replay.after, settings, with_texts=with_texts),
            }
        )

    return router
