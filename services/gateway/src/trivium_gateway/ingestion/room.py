"""Says which documents fit into what their tenant may have stored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from trivium_serving.errors import TriviumError

from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.metering.quotas import Quotas
from trivium_gateway.metering.stored import stored_limits, stored_refusal

__all__ = ["StorageRoom"]


class StorageRoom:
    """Counts what a tenant that has a limit has stored, before each piece of work.

    One gateway never lets more in than fits: what it is about to write counts as stored. Of several, each may let in
    what fits beside what is stored, so that a tenant has a little more, at most what they write at one moment.

    Args:
        quotas: Has the limits.
        count: Counts what a tenant has stored.
    """

    def __init__(self, quotas: Quotas, count: Callable[[str], Awaitable[Mapping[str, Stored]]]) -> None:
        self._quotas = quotas
        self._count = count
        self._locks = KeyedLocks()
        self._coming: defaultdict[str, Stored] = defaultdict(Stored)

    @asynccontextmanager
    async def kept(self, tenant: str, growths: Sequence[Stored]) -> AsyncIterator[Sequence[TriviumError | None]]:
        """Keeps the room for some documents while the block writes them.

        Args:
            tenant: Whose they are.
            growths: By how much each makes what is stored more; what makes it less always fits.

        Yields:
            For each why it does not fit, or that nobody can say what is stored; None if it fits.
        """
        limits = stored_limits(self._quotas.quota(tenant, "")) if growths and self._quotas.store else {}
        if not limits:
            yield [None for _ in growths]
            return
        refused: list[TriviumError | None] = []
        coming = Stored()
        async with self._locks.hold([(tenant,)]):
            try:
                stored = (await self._count(tenant))[tenant] + self._coming[tenant]
            except TriviumError as error:
                refused = [error for _ in growths]
            else:
                for growth in growths:
                    refusal = stored_refusal(tenant, limits, stored + coming, growth)
                    if refusal is None:
                        coming += Stored(growth.documents, max(0, growth.bytes))
                    else:
                        self._quotas.metrics.count_refused(tenant, refusal[0])
                    refused.append(refusal and refusal[1])
            self._coming[tenant] += coming
        try:
            yield refused
        finally:
            self._coming[tenant] -= coming
            if self._coming[tenant] == Stored():
                del self._coming[tenant]
