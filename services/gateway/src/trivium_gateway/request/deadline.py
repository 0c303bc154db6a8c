"""The time a request may take, and how much of it a stage gets."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trivium_serving.errors import DeadlineExceeded


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
