"""Says in the log why a stage was replaced by the next best means: the caller learns only that it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, TriviumError, cause_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

_WINDOW_SECONDS = 10.0
_LINES_PER_WINDOW = 20
# By their class they would pass.
_LASTING = frozenset({"MODEL_MISCONFIGURED"})


def lasting_reason(error: TriviumError) -> str:
    """The reason of an error behind a degradation if waiting does not help, because somebody has to act; else empty."""
    return error.reason if isinstance(error, FailedPrecondition) or error.reason in _LASTING else ""


class DegradationLog:
    """A warning for each stage that was replaced, under the request's id.

    While a service is gone each request is degraded, for the same cause: of each stage and reason the first lines of a
    window are written, and the others counted.

    Args:
        logger: Of the module that replaces stages.
        clock: Gives seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def note(self, stage: str, reason: str, fallback: str, cause: TriviumError | str) -> None:
        """Logs one.

        Args:
            stage: The stage.
            reason: Why, in a word.
            fallback: What was done in its place.
            cause: What it comes from.
        """
        now = self._clock()
        window = self._windows.get((stage, reason))
        if window is None or now - window.began >= _WINDOW_SECONDS:
            unsaid = window.unsaid if window is not None else 0
            window = self._windows[stage, reason] = _Window(now)
            if unsaid:
                self._logger.warning(
                    "%s: %s: %d more requests like those before were not logged", stage, reason, unsaid
                )
        if window.lines >= _LINES_PER_WINDOW:
            window.unsaid += 1
            return
        window.lines += 1
        said = f"{cause.reason}: {cause_of(cause) or cause.message}" if isinstance(cause, TriviumError) else cause
        self._logger.warning("%s: %s, replaced by %s: %s", stage, reason, fallback, said)


class _Window:
    """Some seconds of one stage and reason."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.lines = 0
        self.unsaid = 0
