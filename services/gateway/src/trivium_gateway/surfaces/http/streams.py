"""Answers for a client that waits: whole, or piece by piece as server-sent events, and cancelled when it leaves."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from trivium_serving.errors import TriviumError
from trivium_serving.logs import log_failure

from trivium_gateway.answering.events import Delta, Sources, Summary
from trivium_gateway.surfaces.http.rendering import json_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from starlette.requests import Request
    from starlette.types import Send

    from trivium_gateway.answering.events import Event
    from trivium_gateway.answering.question import Question
    from trivium_gateway.gateway.questions import Questions

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


async def while_connected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Does some work, and cancels it if the client leaves.

    Args:
        request: The client's request, whose body was read.
        work: The work.

    Raises:
        ClientDisconnect: The client left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnection(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def whole(questions: Questions, question: Question) -> tuple[Summary, list[Delta]]:
    """The end of an answer that nobody sees before, and its pieces."""
    deltas: list[Delta] = []
    async with aclosing(questions.answer(replace(question, is_streamed=False))) as events:
        async for event in events:
            if isinstance(event, Delta):
                if event.begins_anew:
                    deltas.clear()
                deltas.append(event)
            elif isinstance(event, Summary):
                return event, deltas
    raise AssertionError("an answer ends with its summary")


async def evidence(events: AsyncGenerator[Event, None]) -> Sources:
    """What an answer begins with: what fails before it has a status of its own.

    Raises:
        TriviumError: There is no answer; the work is cancelled.
    """
    sources = await _next(events)
    assert isinstance(sources, Sources)
    return sources


async def beginning(events: AsyncGenerator[Event, None]) -> tuple[Sources, Event]:
    """The evidence and the first piece of an answer, for clients to which both are the beginning; see `evidence`."""
    return await evidence(events), await _next(events)


async def _next(events: AsyncGenerator[Event, None]) -> Event:
    try:
        return await anext(events)
    except BaseException:
        await events.aclose()
        raise


class EventStreamResponse(StreamingResponse):
    """Server-sent events, of which the last is an error's if something breaks. A client that leaves cancels the work.

    Args:
        events: The bytes of each event.
        headers: Further headers.
        route: Whose it is, for the log.
        show_error: Makes an error's event.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        headers: Mapping[str, str],
        route: str,
        show_error: Callable[[TriviumError], bytes],
    ) -> None:
        # Without the last header, nginx collects events before it passes them on.
        super().__init__(events, headers={**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._route = route
        self._show_error = show_error

    async def stream_response(self, send: Send) -> None:
        """Sends the events as they come."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events):
            while event := await self._next():
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes:
        """The next event; an error's, if there is one instead; empty after the last."""
        try:
            return await anext(self._events, b"")
        except TriviumError as error:
            log_failure(_logger, self._route, error)
            return self._show_error(error)
        except Exception as error:  # the edge of the process: the client is told, the log gets the cause
            log_failure(_logger, self._route, error)
            return self._show_error(TriviumError(""))


def event_bytes(name: str, data: Any) -> bytes:
    """One server-sent event with JSON as its data."""
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(data) + b"\n\n"
