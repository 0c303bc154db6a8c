"""What a model API says when it fails in the tests, and where it may be read."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_serving.request_context import request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "MARK-4711"
WORDS = f"{MARK}: no route from worker-3 to http://user:hunter2@10.9.8.7:6335/"
_INNER = (MARK, "hunter2", "10.9.8.7", "worker-3")

STATUSES = (400, 401, 402, 403, 404, 413, 422, 429, 500, 503)


def told(text: str) -> list[str]:
    """What of WORDS a text tells."""
    return [one for one in _INNER if one in text]


@contextmanager
def logged_lines() -> Iterator[list[str]]:
    """What is logged from here on, each line with the id of its request."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.getMessage()} request_id={request_id()}")

    handler = Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)


def is_logged(lines: list[str], request: str) -> bool:
    """Whether the log has the upstream's words under a request's id."""
    return any(MARK in line and line.endswith(f"request_id={request}") for line in lines)
