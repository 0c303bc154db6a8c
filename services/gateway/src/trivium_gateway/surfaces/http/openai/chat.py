"""POST /v1/chat/completions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trivium_gateway.answering.events import Delta, Event, Sources, Summary
from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.openai.chat_bodies import ChatBody
from trivium_gateway.surfaces.http.openai.completions import Completion
from trivium_gateway.surfaces.http.openai.errors import OpenAIErrorResponse, openai_error_body
from trivium_gateway.surfaces.http.openai.evidence import Links
from trivium_gateway.surfaces.http.openai.shapes import ChatCompletionResponse
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, degraded_header, json_bytes
from trivium_gateway.surfaces.http.streams import EventStreamResponse, beginning, while_connected, whole


def add_chat_routes(router: APIRouter, gateway: Gateway) -> None:
    """Adds the route.

    Args:
        router: What to add it to.
        gateway: Does the work.
    """

    @router.post(
        "/v1/chat/completions",
        summary="Answer the last message of a chat from the documents, in OpenAI's shape",
        **documented(ChatCompletionResponse, ChatBody, event_stream=True, errors=OpenAIErrorResponse),
    )
    async def complete_chat(request: Request) -> Response:
        body = await read_json(request, ChatBody, gateway.limits.max_body_bytes)
        exchange = body.exchange(gateway.limits)
        question = body.question(exchange)
        completion = Completion(
            body.model,
            question,
            Links(request, question.options.collection),
            dropped_messages=exchange.dropped_count,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
        )
        if not body.stream:
            summary, deltas = await while_connected(request, whole(gateway.questions, question))
            return JsonResponse(completion.whole(summary, deltas), headers=degraded_header(summary.degraded))
        events = gateway.questions.answer(question)
        sources, first = await while_connected(request, beginning(events))
        return EventStreamResponse(
            _chunks(completion, sources, first, events),
            degraded_header(sources.degraded),
            "/v1/chat/completions",
            lambda error: _data_bytes(openai_error_body(error)),
        )


async def _chunks(
    completion: Completion, sources: Sources, first: Event, events: AsyncGenerator[Event, None]
) -> AsyncGenerator[bytes, None]:
    """An answer as the chunks of a chat completion."""
    async with aclosing(events):
        yield _data_bytes(completion.begin(sources))
        event: Event | None = first
        while event is not None:
            if isinstance(event, Delta):
                yield _data_bytes(completion.go_on(event))
            elif isinstance(event, Summary):
                for chunk in completion.end(event):
                    yield _data_bytes(chunk)
            event = await anext(events, None)
    yield b"data: [DONE]\n\n"


def _data_bytes(content: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + json_bytes(content) + b"\n\n"
