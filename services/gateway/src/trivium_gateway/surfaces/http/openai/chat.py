"""POST /v1/chat/completions."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.connection import EventStreamResponse, while_connected
from trivium_gateway.surfaces.http.openai.chat_bodies import ChatBody
from trivium_gateway.surfaces.http.openai.completions import Completion
from trivium_gateway.surfaces.http.openai.errors import OpenAIErrorResponse, openai_error_body
from trivium_gateway.surfaces.http.openai.evidence import Links
from trivium_gateway.surfaces.http.openai.shapes import ChatCompletionResponse
from trivium_gateway.surfaces.http.openai.streams import beginning, chunks, data_bytes, whole, with_errors
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, degraded_header


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
        events = gateway.questions.answer(question)
        if not body.stream:
            summary, deltas = await while_connected(request, whole(events))
            return JsonResponse(completion.whole(summary, deltas), headers=degraded_header(summary.degraded))
        sources, first = await while_connected(request, beginning(events))
        pieces = with_errors(
            chunks(completion, sources, first, events),
            "/v1/chat/completions",
            lambda error: data_bytes(openai_error_body(error)),
        )
        return EventStreamResponse(pieces, degraded_header(sources.degraded))
