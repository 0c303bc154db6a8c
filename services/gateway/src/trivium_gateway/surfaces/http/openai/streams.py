"""Reads the events of an answer for a client that waits: whole, or piece by piece as server-sent events."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import TriviumError
from trivium_serving.logs import log_failure

from trivium_gateway.answering.answerer import Delta, Event, Sources, Summary
from trivium_gateway.surfaces.http.rendering import json_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trivium_gateway.surfaces.http.openai.completions import Completion

_logger = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"


async def whole(events: AsyncGenerator[Event, None]) -> tuple[Summary, list[Delta]]:
    """The end of an answer, and its pieces."""
    deltas = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                deltas.append(event)
            elif isinstance(event, Summary):
                return event, deltas
    raise AssertionError("an answer ends with its summary")


async def beginning(events: AsyncGenerator[Event, None]) -> tuple[Sources, Event]:
    """The evidence and the first piece of an answer: what fails before it has a status of its own.

    Raises:
        TriviumError: There is no answer; the work is cancelled.
    """
    try:
        sources, first = await anext(events), await anext(events)
    except BaseException:
        await events.aclose()
        raise
    assert isinstance(sources, Sources)
    return sources, first


async def with_errors(
    pieces: AsyncGenerator[bytes, None], route: str, show_error: Callable[[TriviumError], bytes]
) -> AsyncGenerator[bytes, None]:
    """A stream that ends with an error's event if something breaks in it.

    Args:
        pieces: The stream.
        route: Whose it is, for the log.
        show_error: Makes the event.
    """
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    except TriviumError as error:
        log_failure(_logger, route, error)
        yield show_error(error)
    except Exception as error:  # the edge of the process: the client is told, the log gets the cause
        log_failure(_logger, route, error)
        yield show_error(TriviumError(""))


async def chunks(
    completion: Completion, sources: Sources, first: Event, events: AsyncGenerator[Event, None]
) -> AsyncGenerator[bytes, None]:
    """An answer as the chunks of a chat completion."""
    async with aclosing(events):
        yield data_bytes(completion.begin(sources))
        event: Event | None = first
        while event is not None:
            if isinstance(event, Delta):
                yield data_bytes(completion.go_on(event))
            elif isinstance(event, Summary):
                for chunk in completion.end(event):
                    yield data_bytes(chunk)
            event = await anext(events, None)
    yield DONE


def data_bytes(content: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + json_bytes(content) + b"\n\n"
