"""Calls that cost their client little, so that the processors are the stack's."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        seconds: How long it took.
        status: HTTP's.
        retry_after: Whether the answer says when to come again.
    """

    seconds: float
    status: int
    retry_after: bool


async def post(port: int, path: str, body: object, key: str = "") -> Outcome:
    """One call on a connection of its own.

    Args:
        port: The gateway's, of this machine.
        path: Where to.
        body: What to send, as JSON.
        key: Who asks; empty where nobody needs a key.
    """
    started = time.monotonic()
    content = json.dumps(body).encode()
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{authorization}"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
            + content
        )
        answer = await asyncio.wait_for(reader.read(), _LONGEST_SECONDS)
    finally:
        writer.close()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return Outcome(time.monotonic() - started, int(head.split()[1]), b"\r\nretry-after:" in head)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that a part of all stays below; 0 if there is none."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0
