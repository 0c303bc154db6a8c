"""Where usage and quotas are kept: a database in the data folder of a gateway; redis_store.py is for several."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Protocol

from trivium_gateway.access.databases import Database
from trivium_gateway.metering.buckets import Bucket
from trivium_gateway.metering.kinds import Entry, Kind, Quota

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from trivium_gateway.metering.buckets import Wanted
    from trivium_gateway.metering.kinds import Rate

UNUSABLE = "Usage and quotas cannot be read or kept now. The gateway's log says why."
KEPT_HOURS = 400 * 24
"""More than a year of usage is kept."""
_BATCH_SECONDS = 3_600.0
"""So long it is known which batches were added; one comes again within seconds, if it does."""

Used = dict[tuple[str, str, Kind], int]
"""What was used by tenant, key and kind."""


class MeterStore(Protocol):
    """Keeps quotas, what was used, and what is left of each limit."""

    @property
    def is_shared(self) -> bool:
        """Whether it says by itself what is left, for all gateways at once."""

    async def quotas(self) -> list[Quota]:
        """All quotas.

        Raises:
            Unavailable: They cannot be read.
        """

    async def put(self, quota: Quota) -> None:
        """Keeps a quota, in place of that of the same tenant and key.

        Raises:
            Unavailable: It cannot be kept.
        """

    async def remove(self, tenant: str, key_id: str) -> None:
        """Forgets a quota, if there is one.

        Raises:
            Unavailable: That cannot be kept.
        """

    async def take(self, wanted: Sequence[Wanted]) -> list[float]:
        """Takes what a call needs, if all that it wants is there, else nothing. Of stores that are shared only.

        Returns:
            What is left of each limit before that.

        Raises:
            Unavailable: Nobody knows what is left.
        """

    async def add(
        self,
        used: Mapping[Entry, int],
        spent: Mapping[tuple[str, Rate], int],
        buckets: Mapping[str, Bucket],
        batch: str,
    ) -> None:
        """Adds what was used since the last time.

        Args:
            used: How much of what.
            spent: The same by bucket, with its limit: for stores that are shared.
            buckets: Those that have changed: for the others.
            batch: Names this call; what is repeated under the same name is added once.

        Raises:
            StorageFull: There is no room for it.
            Unavailable: It is not known to be kept.
        """

    async def buckets(self) -> dict[str, Bucket]:
        """What was left of each limit, as it was kept; of stores that are not shared.

        Raises:
            Unavailable: It cannot be read.
        """

    async def used(self, first_hour: int, end_hour: int, tenant: str) -> Used:
        """What was used within some hours.

        Args:
            first_hour: The first, since 1970.
            end_hour: The one behind the last.
            tenant: By whom; empty for all.

        Raises:
            Unavailable: It cannot be read.
        """

    async def forget(self, before_hour: int) -> None:
        """Forgets what was used before an hour.

        Raises:
            Unavailable: It cannot.
        """

    async def close(self) -> None:
        """Gives back what it holds."""


class FileMeterStore:
    """In a database of SQLite: for one gateway, or for several on one folder, each of which holds the limits by itself.

    Args:
        path: Its file.
    """

    is_shared = False

    def __init__(self, path: Path) -> None:
        self._database = Database(
            path,
            "CREATE TABLE IF NOT EXISTS quotas (tenant TEXT, key TEXT, quota TEXT NOT NULL, PRIMARY KEY (tenant, key));"
            "CREATE TABLE IF NOT EXISTS usage (hour INTEGER, tenant TEXT, key TEXT, kind TEXT, "
            "amount INTEGER NOT NULL, PRIMARY KEY (hour, tenant, key, kind)) WITHOUT ROWID;"
            "CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, amount REAL, level REAL, at REAL);"
            "CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY, at REAL NOT NULL)",
            UNUSABLE,
        )

    async def quotas(self) -> list[Quota]:
        """All quotas."""
        rows = await asyncio.to_thread(self._database.execute, "SELECT quota FROM quotas")
        return [Quota.from_json(json.loads(kept)) for (kept,) in rows]

    async def put(self, quota: Quota) -> None:
        """Keeps a quota."""
        values = (quota.tenant, quota.key_id, json.dumps(quota.as_json()))
        await asyncio.to_thread(self._database.execute, "INSERT OR REPLACE INTO quotas VALUES (?, ?, ?)", *values)

    async def remove(self, tenant: str, key_id: str) -> None:
        """Forgets a quota."""
        statement = "DELETE FROM quotas WHERE tenant = ? AND key = ?"
        await asyncio.to_thread(self._database.execute, statement, tenant, key_id)

    async def take(self, wanted: Sequence[Wanted]) -> list[float]:
        """Is not asked."""
        raise NotImplementedError

    async def add(
        self,
        used: Mapping[Entry, int],
        spent: Mapping[tuple[str, Rate], int],
        buckets: Mapping[str, Bucket],
        batch: str,
    ) -> None:
        """Adds what was used: all of it, or nothing."""
        rows = [(one.hour, one.tenant, one.key_id, one.kind.value, amount, batch) for one, amount in used.items()]
        levels = [(name, one.amount, one.level, one.at) for name, one in buckets.items()]
        now = time.time()
        await asyncio.to_thread(
            self._database.execute_many,
            (
                "INSERT INTO usage SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM batches WHERE name = ?) "
                "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                rows,
            ),
            ("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?)", levels),
            ("DELETE FROM batches WHERE at < ?", [(now - _BATCH_SECONDS,)]),
            ("INSERT OR REPLACE INTO batches VALUES (?, ?)", [(batch, now)]),
        )

    async def buckets(self) -> dict[str, Bucket]:
        """What was left."""
        rows = await asyncio.to_thread(self._database.execute, "SELECT name, amount, level, at FROM buckets")
        return {name: Bucket(amount, level, at) for name, amount, level, at in rows}

    async def used(self, first_hour: int, end_hour: int, tenant: str) -> Used:
        """What was used."""
        rows = await asyncio.to_thread(
            self._database.execute,
            "SELECT tenant, key, kind, SUM(amount) FROM usage WHERE hour >= ? AND hour < ? AND (? = '' OR tenant = ?) "
            "GROUP BY tenant, key, kind",
            first_hour,
            end_hour,
            tenant,
            tenant,
        )
        return {(whose, key, Kind(kind)): amount for whose, key, kind, amount in rows}

    async def forget(self, before_hour: int) -> None:
        """Forgets what was used long ago, and buckets that are full again."""
        await asyncio.to_thread(self._database.execute, "DELETE FROM usage WHERE hour < ?", before_hour)
        await asyncio.to_thread(self._database.execute, "DELETE FROM buckets WHERE at < ?", before_hour * 3600)

    async def close(self) -> None:
        """Holds nothing."""
