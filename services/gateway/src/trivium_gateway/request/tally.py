"""What models read for the bulk work that goes on, counted where they say it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Tally:
    """What was read, and in what.

    Attributes:
        tokens: Tokens of documents that the embedding model read.
        pages: Pages of files whose text was written.
        text_bytes: What was written, in UTF-8.
    """

    tokens: int = 0
    pages: int = 0
    text_bytes: int = 0


_current: ContextVar[Tally | None] = ContextVar("trivium_tally", default=None)


@contextmanager
def counting() -> Iterator[Tally]:
    """Counts what is read in the block, and in the tasks that it starts."""
    tally = Tally()
    token = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(token)


def count_read(*, tokens: int = 0, pages: int = 0, text_bytes: int = 0) -> None:
    """Counts what was read, and written of it."""
    tally = _current.get()
    if tally is not None:
        tally.tokens += tokens
        tally.pages += pages
        tally.text_bytes += text_bytes
