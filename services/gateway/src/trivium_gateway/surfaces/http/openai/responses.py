"""POST /v1/responses."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trivium_gateway.answering.events import Delta, Event, Summary
from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.openai.errors import RESPONSES_PATH, OpenAIErrorResponse, openai_error_body
from trivium_gateway.surfaces.http.openai.evidence import Links
from trivium_gateway.surfaces.http.openai.response_bodies import ResponsesBody
from trivium_gateway.surfaces.http.openai.response_objects import ResponseEvents, ResponseObject
from trivium_gateway.surfaces.http.openai.shapes import ResponseShape
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, degraded_header
from trivium_gateway.surfaces.http.streams import (
    EventStreamResponse,
    beginning,
    event_bytes,
    while_connected,
    whole,
)


def add_response_routes(router: APIRouter, gateway: Gateway) -> None:
    """Adds the route.

    Args:
        router: What to add it to.
        gateway: Does the work.
    """

    @router.post(
        RESPONSES_PATH,
        summary="Answer from the documents, as OpenAI's Responses API has it; nothing is stored",
        **documented(ResponseShape, ResponsesBody, event_stream=True, errors=OpenAIErrorResponse),
    )
    async def respond(request: Request) -> Response:
        body = await read_json(request, ResponsesBody, gateway.limits.max_body_bytes)
        exchange = body.exchange(gateway.limits)
        question = body.question(exchange)
        links = Links(request, question.options.collection)
        response = ResponseObject(body, question, links, dropped_messages=exchange.dropped_count)
        if not body.stream:
            summary, deltas = await while_connected(request, whole(gateway.questions, question))
            return JsonResponse(response.whole(summary, deltas), headers=degraded_header(summary.degraded))
        answer = gateway.questions.answer(question)
        sources, first = await while_connected(request, beginning(answer))
        events = ResponseEvents(response, sources)
        return EventStreamResponse(
            _pieces(events, first, answer),
            degraded_header(sources.degraded),
            RESPONSES_PATH,
            lambda error: _event_bytes(events.failed(openai_error_body(error, in_response=True))),
        )


async def _pieces(
    events: ResponseEvents, first: Event, answer: AsyncGenerator[Event, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(answer):
        for shown in events.begin():
            yield _event_bytes(shown)
        event: Event | None = first
        while event is not None:
            if isinstance(event, Delta | Summary):
                for shown in events.go_on(event) if isinstance(event, Delta) else events.end(event):
                    yield _event_bytes(shown)
            event = await anext(answer, None)


def _event_bytes(event: dict[str, Any]) -> bytes:
    return event_bytes(event["type"], event)
