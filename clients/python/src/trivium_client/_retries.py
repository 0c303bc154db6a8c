"""When a call that failed is sent again, and after which pause."""

import random
import time

from trivium_client._errors import (
    Cancelled,
    DeadlineExceeded,
    GatewayUnreachable,
    InvalidRequest,
    Overloaded,
    TriviumError,
    Unavailable,
)

DEFAULT_RETRIES = 3

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_FIRST_BATCH_PAUSE_SECONDS = 0.5
_LONGEST_BATCH_PAUSE_SECONDS = 10.0


def or_default(timeout_seconds: float | None, default_seconds: float) -> float:
    """The deadline of a call: its own if it has one, else the client's."""
    return default_seconds if timeout_seconds is None else timeout_seconds


class Attempts:
    """The attempts of one call, which share one deadline.

    Args:
        retries: How often the call may be sent again.
        timeout_seconds: For all attempts and the pauses between them.
        repeatable: Whether the call may be made twice. One that may not is sent again only if the gateway refused it
            before it began.

    Raises:
        InvalidRequest: If the timeout is not positive.
    """

    def __init__(self, retries: int, timeout_seconds: float, *, repeatable: bool) -> None:
        if not timeout_seconds > 0:
            raise InvalidRequest(
                f"the timeout is {timeout_seconds} seconds; give more than 0", reason="INVALID_FIELD", field="timeout"
            )
        self._left = retries
        self._deadline = time.monotonic() + timeout_seconds
        self._repeated: tuple[type[TriviumError], ...] = (Overloaded,)
        if repeatable:
            # Cancelled is what a gateway that shuts down makes of what it had not begun.
            self._repeated += (Unavailable, GatewayUnreachable, Cancelled)
        self._pause = _FIRST_PAUSE_SECONDS

    def remaining_seconds(self) -> float:
        """The time left until the deadline, at least 0."""
        return max(0.0, self._deadline - time.monotonic())

    def pause_seconds(self, error: TriviumError) -> float | None:
        """How long to wait before the next attempt; None if there is none, so that the error counts.

        A gateway that says when to come back is asked a little after that: not all callers at the same moment. One that
        says a time after the deadline is not waited for.
        """
        if self._left < 1 or not isinstance(error, self._repeated):
            return None
        pause = self._pause * random.uniform(0.5, 1)
        if error.retry_after_seconds is not None:
            pause += error.retry_after_seconds
        if pause >= self.remaining_seconds():
            return None
        self._left -= 1
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause


class Patience:
    """The attempts of a call that may be repeated, as of a batch of documents: as many as there is time for.

    Args:
        timeout_seconds: For one attempt.
        patience_seconds: From the first failure to the last attempt.
    """

    def __init__(self, *, timeout_seconds: float, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._deadline = time.monotonic() + timeout_seconds + patience_seconds
        self._give_up: float | None = None
        self._pause = _FIRST_BATCH_PAUSE_SECONDS

    def pause_seconds(self, error: TriviumError, *, reached: bool, even_late: bool = False) -> float | None:
        """How long to wait before the next attempt; None if there is none, so that the error counts.

        Args:
            error: Why the last attempt failed.
            reached: Whether the gateway has been there before: one that never was is most likely not started.
            even_late: Whether an attempt that took too long is worth another.
        """
        worthwhile = (
            isinstance(error, Overloaded | Unavailable | Cancelled)
            or (isinstance(error, GatewayUnreachable) and reached)
            or (isinstance(error, DeadlineExceeded) and even_late)
        )
        now = time.monotonic()
        self._give_up = self._give_up or min(self._deadline, now + self._patience_seconds)
        pause = max(self._pause, error.retry_after_seconds or 0.0)
        if not worthwhile or now + pause > self._give_up:
            return None
        self._pause = min(self._pause * 2, _LONGEST_BATCH_PAUSE_SECONDS)
        return pause
