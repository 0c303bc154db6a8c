"""What is said when a stage was replaced by the next best means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    InvalidField,
    NotFound,
    Overloaded,
    TooLarge,
    TriviumError,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_CALLERS_MISTAKES = (InvalidField, TooLarge, NotFound, AlreadyExists)


class Stage(StrEnum):
    """The stages that can be replaced today. Others may come: a stage's name may be any."""

    REWRITE = "rewrite"
    EMBED = "embed"
    SEARCH_DENSE = "search.dense"
    SEARCH_SPARSE = "search.sparse"
    SEARCH_LEARNED = "search.learned"
    RERANK = "rerank"
    SECTION = "section"
    GENERATE = "generate"
    SUPPORT = "support"


class Reason(StrEnum):
    """Why a stage was not done the way it should have been."""

    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"
    LOADING = "loading"


@dataclass(frozen=True, slots=True)
class Degradation:
    """One stage that was replaced by the next best means.

    Attributes:
        stage: The stage's name.
        reason: What was wrong with it.
        fallback: What was done in its place: `rule`, `question`, `sparse`, `dense`, `other-legs`,
            `fused-order`, `fewer-candidates`, `piece`, `extractive`, `fewer-passages`, `passages`, `refusal` or
            `words`.
        detail: Where waiting does not help, because somebody has to act: the reason of the error behind it, for example
            `MODEL_CHANGED`; else empty.
    """

    stage: str
    reason: Reason
    fallback: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.stage}:{self.reason}:{self.fallback}"


def header_value(degraded: Iterable[Degradation]) -> str:
    """Degradations as they stand in the `X-Trivium-Degraded` header and the `trivium-degraded` trailer."""
    return ", ".join(str(one) for one in degraded)


def degradable_reason(error: TriviumError) -> Reason | None:
    """Why a stage failed, if other means may take its place.

    Returns:
        The reason; None if the request itself is wrong, which its sender has to hear.
    """
    if isinstance(error, _CALLERS_MISTAKES):
        return None
    if isinstance(error, DeadlineExceeded):
        return Reason.TIMEOUT
    if isinstance(error, Overloaded):
        return Reason.OVERLOADED
    if isinstance(error, Unavailable) and error.reason == "LOADING":
        return Reason.LOADING
    return Reason.UNAVAILABLE
