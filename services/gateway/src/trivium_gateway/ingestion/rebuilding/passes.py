"""Passes over the documents of one index, which bring what another one lacks of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trivium_gateway.library.versions import age_seconds, is_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.ingestion.transferring import DocumentTransfer, Lacks, TransferPage
    from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["Passes", "is_left", "is_missing", "lacks_all"]

_MOST_PASSES = 5


def lacks_all(_: str, __: str | None) -> bool:
    """Whatever is no copy of the version that counts is brought: the new index has nothing of its own."""
    return True


def is_missing(_: str, has: str | None) -> bool:
    """What the index that answers now has of its own is later than all that was written to the one before."""
    return has is None or is_copy(has)


def is_left(version: str, has: str | None) -> bool:
    """Brought back is what was written to the index that is left, and not before or after that."""
    return not is_copy(version) and (has is None or age_seconds(has) >= age_seconds(version))


class Passes:
    """Goes over an index until the other one lacks nothing, or little: what comes meanwhile, the next pass finds.

    A page is not broken off when its caller's time is over: the next caller takes it up.

    Attributes:
        seen_pieces: Pieces that the pass has looked at.
        failures: Why documents cannot be brought over, by document.

    Args:
        transfer: Brings them.
        source: Where they are.
        target: Where they go.
        lacks: Which are brought.
        most: How many passes to make at most.
    """

    def __init__(
        self,
        transfer: DocumentTransfer,
        source: ResolvedCollection,
        target: ResolvedCollection,
        lacks: Lacks,
        most: int = _MOST_PASSES,
    ) -> None:
        self.seen_pieces = 0
        self.failures: dict[str, str] = {}
        self._transfer = transfer
        self._source, self._target, self._lacks = source, target, lacks
        self._most = most
        self._offset = ""
        self._made = 0
        self._brought = 0
        self._page: asyncio.Task[TransferPage] | None = None

    async def go_on(self, until: float, clock: Callable[[], float]) -> bool:
        """Work until some time.

        Returns:
            Whether it is through.

        Raises:
            TriviumError: A page could not be brought; it is tried again by the next call.
        """
        while self._made < self._most:
            if self._page is None:
                bringing = self._transfer.bring_page(self._source, self._target, self._offset, self._lacks)
                self._page = asyncio.create_task(bringing)
            await asyncio.wait({self._page}, timeout=max(0.0, until - clock()))
            if not self._page.done():
                return False
            page, self._page = self._page, None
            self._note(page.result())
            if clock() >= until and self._made < self._most:
                return False
        return True

    def _note(self, page: TransferPage) -> None:
        self.seen_pieces += page.seen_pieces
        self._brought += page.brought
        self.failures |= page.failures
        self._offset = page.following
        if not page.following:
            self._made = self._made + 1 if self._brought else self._most
            self._brought = 0
            if self._made < self._most:
                self.seen_pieces, self.failures = 0, {}
