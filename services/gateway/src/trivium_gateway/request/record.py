"""How one question ended, for the metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    InvalidField,
    NotFound,
    Overloaded,
    TooLarge,
    TriviumError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trivium_gateway.domain.degradation import Degradation

OPERATIONS = ("answer", "retrieve", "rerank", "embed")
OUTCOMES = ("ok", "degraded", "invalid", "overloaded", "timeout", "failed", "cancelled")


class QuestionRecord:
    """One question or query.

    Args:
        on_first_text: Called once, when the answer begins.
    """

    def __init__(self, on_first_text: Callable[[], None]) -> None:
        self.outcome = ""
        self._on_first_text = on_first_text
        self._begun = False

    def begin_text(self) -> None:
        """Notes that there is text of the answer."""
        if not self._begun:
            self._begun = True
            self._on_first_text()

    def end(self, degraded: Sequence[Degradation]) -> None:
        """Notes that everything is there, by whatever means."""
        self.outcome = "degraded" if degraded else "ok"


def outcome_of(error: BaseException) -> str:
    """What an error makes of a question: one of OUTCOMES."""
    if isinstance(error, (InvalidField, TooLarge, NotFound, AlreadyExists)):
        return "invalid"
    if isinstance(error, Overloaded):
        return "overloaded"
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)) and not isinstance(error, TriviumError):
        return "cancelled"
    return "failed"
