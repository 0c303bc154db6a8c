"""Deletes documents that are older than their collection keeps them."""

import asyncio
import logging
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter
from trivium_serving.errors import NotFound, TriviumError

from trivium_gateway.library.expiring import Expiry
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.resolved import resolved
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["Retention"]

_logger = logging.getLogger(__name__)

_FIRST_SECONDS = 90.0
_INTERVAL_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0


class Retention:
    """Looks through the collections that have `retention_days`, of all tenants. Several gateways may do so at once.

    Args:
        connection: To Qdrant.
        expiry: Deletes documents.
        registry: Where it is counted.
        now: The time of day, Unix time.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        expiry: Expiry,
        registry: CollectorRegistry,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._lookup = CollectionLookup(QdrantCollections(connection))
        self._expiry = expiry
        self._now = now
        self._expired = Counter(
            "trivium_gateway_documents_expired_total",
            "Documents that were deleted because their collection keeps them no longer.",
            registry=registry,
        )

    async def run(self) -> None:
        """Expire documents some time after the start and then every hour, until cancelled."""
        pause_seconds = _FIRST_SECONDS
        while True:
            await asyncio.sleep(pause_seconds)
            pause_seconds = _INTERVAL_SECONDS
            try:
                await self.expire()
            except TriviumError as error:
                _logger.warning(
                    "not all old documents were deleted, which is tried again in an hour: %s", error.message
                )

    async def expire(self) -> int:
        """Look through all collections once.

        Returns:
            How many documents were deleted.

        Raises:
            TriviumError: Qdrant cannot be reached, or fails with a collection; those before it are done.
        """
        total = 0
        for own in (await self._lookup.all()).values():
            days = own.described.settings.now.settings.retention_days if isinstance(own, OwnCollection) else None
            if days is None or not isinstance(own, OwnCollection) or not own.described.is_indexed:
                continue
            collection = resolved(own)
            try:
                count = await self._expiry.expire(collection, self._now() - days * _DAY_SECONDS)
            except NotFound:  # deleted since
                continue
            self._expired.inc(count)
            total += count
            if count:
                _logger.info(
                    "deleted %d documents of the collection %s that were older than %d days",
                    count,
                    collection.name,
                    days,
                )
        return total
