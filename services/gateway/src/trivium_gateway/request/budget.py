"""What is left of a caller's time, and how it is divided over the stages: by what they take, as measured of late."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.request.paces import Paces

TOO_SHORT = "DEADLINE_TOO_SHORT"
"""The reason of an error that came at once, and not when the time was over."""

_SLACK = 2.0
"""So many times as long as usual may a stage take that has little time."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which the caller stops waiting.

    Attributes:
        at: On the clock of `time.monotonic`, in seconds.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        """What is left, at least 0."""
        return max(0.0, self.at - time.monotonic())

    def stage_seconds(self, at_most: float, share: float) -> float:
        """How long a stage may take, so that a fallback can still be tried when it does not end.

        Args:
            at_most: The stage's own limit in seconds.
            share: The part of what is left that it may use up, above 0 and up to 1.

        Raises:
            DeadlineExceeded: Nothing is left.
        """
        left = self.remaining_seconds()
        if left <= 0:
            raise DeadlineExceeded("The request's time was over before its answer was ready. Allow it more time.")
        return min(at_most, left * share)


class Budget:
    """One caller's time.

    Attributes:
        later: What is to come behind the retrieval, by its name in Paces.
        decided: What there was no time for: by stage, whether it was `refused`, `left_out` or did `fewer`.

    Args:
        seconds: How long the caller waits.
        paces: How long stages take.
    """

    def __init__(self, seconds: float, paces: Paces) -> None:
        self.paces = paces
        self.later: tuple[str, ...] = ()
        self.decided: Counter[tuple[str, str]] = Counter()
        self._deadline = Deadline.after(seconds)

    def seconds(self, at_most: float, share: float) -> float:
        """How long something may take; see Deadline.stage_seconds."""
        return self._deadline.stage_seconds(at_most, share)

    def room(self, later: Sequence[str] = ()) -> float:
        """What is left for a stage if those behind it take what is typical; one that is too late anyway gets nothing.

        Raises:
            DeadlineExceeded: Nothing is left.
        """
        left = self._deadline.stage_seconds(math.inf, 1.0)
        needed = ((self.paces.quickest(one), self.paces.typical(one)) for one in later)
        return left - sum(typical for quickest, typical in needed if quickest and typical and quickest <= left)

    def allot(
        self, stage: str, at_most: float, share: float, *, later: Sequence[str] = (), size: int | None = None
    ) -> float:
        """How long a stage may take: its share, or more if it is slow and what is behind it leaves that.

        Args:
            stage: Its name in Paces.
            at_most: Its own limit in seconds.
            share: The part of what is left that it may use up, however quick it usually is.
            later: What has to come behind it.
            size: How much it has to do.

        Raises:
            DeadlineExceeded: Nothing is left, or less than it takes when it is quick (DEADLINE_TOO_SHORT).
        """
        room, quickest = self.room(later), self.paces.quickest(stage, size)
        if room <= 0 or (quickest is not None and quickest > room):
            self.decided[stage, "refused" if stage == "search" else "left_out"] += 1
            raise DeadlineExceeded(
                f"There is not enough time for the stage {stage}: {max(0.0, room) * 1000:.0f} ms are left for it, and "
                f"it takes {(quickest or 0.0) * 1000:.0f} ms when it is quick. Allow the request more time.",
                reason="DEADLINE_TOO_SHORT",
            )
        usual = self.paces.usual(stage, size) or 0.0
        return min(at_most, room, max(self._deadline.stage_seconds(math.inf, share), _SLACK * usual))
