"""Why something had to be done by the next best means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, Overloaded

if TYPE_CHECKING:
    from trivium_serving.errors import TriviumError

REASONS = ("unavailable", "timeout", "overloaded", "loading")


def reason_of(error: TriviumError) -> str:
    """The one of REASONS that an error amounts to."""
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, Overloaded):
        return "overloaded"
    return "loading" if error.reason == "LOADING" else "unavailable"
