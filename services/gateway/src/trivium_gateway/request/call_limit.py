"""Bounds calls that are not questions."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, Overloaded
from trivium_serving.request_context import caller_timeout

from trivium_gateway.request.fair_places import equal_weight, part_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class CallLimit:
    """Bounds calls of another kind, such as ingestion: so many at once, more are refused, and each has its time.

    A tenant that has less than its part of them is not refused for those of others: see part_of.

    Args:
        what: Them, for messages.
        most: Most at once.
        longest_seconds: Longest time of one; a shorter deadline of the caller goes before.
        weight_of: What a tenant's part is in proportion to.
    """

    def __init__(
        self, what: str, most: int, longest_seconds: float, weight_of: Callable[[str], float] = equal_weight
    ) -> None:
        self._what = what
        self._most = most
        self._longest_seconds = longest_seconds
        self._weight_of = weight_of
        self._running: Counter[str] = Counter()

    @asynccontextmanager
    async def call(self, tenant: str) -> AsyncIterator[None]:
        """Runs the block as one call of a tenant.

        Raises:
            Overloaded: There is no place for it.
            DeadlineExceeded: Its time is over.
        """
        asked = caller_timeout()
        seconds = self._longest_seconds if asked is None else min(asked, self._longest_seconds)
        with self.place(tenant):
            try:
                async with asyncio.timeout(seconds) as limit:
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(f"The call was not done within {seconds:g} s. Allow it more time.") from error

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Runs the block as one call of a tenant, however long it takes.

        Raises:
            Overloaded: There is no place for it.
        """
        own, part = self._running[tenant], part_of(self._most, tenant, self._running, self._weight_of)
        if self._running.total() >= self._most and own >= part:
            raise Overloaded(f"{own} {self._what} run, which is the limit. Try again shortly.")
        self._running[tenant] += 1
        try:
            yield
        finally:
            self._running[tenant] -= 1
            self._running = +self._running  # only who has some is remembered
