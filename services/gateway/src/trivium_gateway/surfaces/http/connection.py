"""Ties work to the client that waits for it, and streams events to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from trivium_gateway.surfaces.http.rendering import json_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine, Mapping

    from starlette.requests import Request

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


class EventStreamResponse(StreamingResponse):
    """Server-sent events. A client that leaves cancels the iteration.

    Args:
        events: The bytes of each event.
        headers: Further headers.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterable[bytes], headers: Mapping[str, str]) -> None:
        # Without the last header, nginx collects events before it passes them on.
        super().__init__(events, headers={**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def event_bytes(name: str, data: Any) -> bytes:
    """One server-sent event with JSON as its data."""
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(data) + b"\n\n"
