"""What decides whether a new index of a collection may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.domain.comparison import IndexComparison
    from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["Comparing", "Gate"]


class Comparing(Protocol):
    """A comparison of two indexes that goes on over several calls."""

    async def go_on(self, until: float, clock: Callable[[], float]) -> bool:
        """Work until some time; whether it is through."""

    def result(self) -> IndexComparison:
        """What it has shown."""


class Gate(Protocol):
    """Compares what two indexes of a collection find."""

    async def begin(self, before: ResolvedCollection, after: ResolvedCollection) -> Comparing:
        """Choose the questions."""
