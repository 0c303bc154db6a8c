"""How the last calls of each stage ended: a service may say that it is well, and fail whatever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_serving.errors import Overloaded

from trivium_gateway.domain.degradation import degradable_reason
from trivium_gateway.request.paces import Paces

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_serving.errors import TriviumError

# One bad document may fail some calls; a stage that does nothing any more fails all.
_FAILURES_IN_A_ROW = 5
# What the state of a collection or the caller's own haste brings about, and no stage is to blame for.
_OF_OTHERS = frozenset(
    {"MODEL_CHANGED", "COLLECTION_DAMAGED", "COLLECTION_UNAVAILABLE", "LOADING", "DEADLINE_TOO_SHORT"}
)


class Outcomes:
    """Counts the failures in a row of each stage: embed, search, rerank, generate.

    Attributes:
        on_failure: Called with a stage that has failed.
        paces: How long each takes.
    """

    def __init__(self) -> None:
        self.paces = Paces()
        self.on_failure: Callable[[str], None] = lambda _: None
        self._failures: dict[str, int] = {}

    def worked(self, stage: str) -> None:
        """Notes that a stage has done its work."""
        self._failures.pop(stage, None)

    def failed(self, stage: str, error: TriviumError) -> None:
        """Notes that a stage has failed; not where its caller is to blame, nor for want of capacity."""
        if degradable_reason(error) is None or isinstance(error, Overloaded) or error.reason in _OF_OTHERS:
            return
        self._failures[stage] = self._failures.get(stage, 0) + 1
        self.on_failure(stage)

    def failures(self, stage: str) -> int:
        """How many calls have failed, all of the last ones; 0 while they are too few to mean anything."""
        count = self._failures.get(stage, 0)
        return count if count >= _FAILURES_IN_A_ROW else 0
