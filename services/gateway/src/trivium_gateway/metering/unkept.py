"""What was used, and is not kept yet."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trivium_gateway.metering.buckets import Bucket
    from trivium_gateway.metering.kinds import Entry, Kind, Rate
    from trivium_gateway.metering.store import MeterStore, Used


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is being kept, under a name, by which a store knows it if it comes again."""

    used: Mapping[Entry, int]
    spent: Mapping[tuple[str, Rate], int]
    buckets: Mapping[str, Bucket]
    name: str


class Unkept:
    """Usage in memory: what came since the last batch, and that batch until it is kept.

    Attributes:
        used: How much of what, since the last batch.
        spent: The same by bucket, with its limit.
    """

    def __init__(self) -> None:
        self.used: Counter[Entry] = Counter()
        self.spent: Counter[tuple[str, Rate]] = Counter()
        self._batch: _Batch | None = None

    @property
    def is_on_its_way(self) -> bool:
        """Whether there is a batch that is not known to be kept."""
        return self._batch is not None

    def collect(self, buckets: Mapping[str, Bucket]) -> None:
        """Makes a batch of all that came, if anything did.

        Args:
            buckets: Those that have changed.
        """
        if self.used or self.spent or buckets:
            self._batch = _Batch(self.used, self.spent, buckets, uuid.uuid4().hex)
            self.used, self.spent = Counter(), Counter()

    async def keep(self, store: MeterStore) -> None:
        """Has the batch kept, if there is one.

        Raises:
            TriviumError: It was not; see MeterStore.add.
        """
        if self._batch is not None:
            await store.add(self._batch.used, self._batch.spent, self._batch.buckets, self._batch.name)
            self._batch = None

    def within(self, first_hour: int, end_hour: int, tenant: str) -> Used:
        """What is not kept of some hours; see MeterStore.used."""
        found: Counter[tuple[str, str, Kind]] = Counter()
        for counted in (self._batch.used if self._batch is not None else {}, self.used):
            for entry, amount in counted.items():
                if first_hour <= entry.hour < end_hour and tenant in ("", entry.tenant):
                    found[entry.tenant, entry.key_id, entry.kind] += amount
        return dict(found)

    def total(self) -> int:
        """All of it."""
        return self.used.total() + (sum(self._batch.used.values()) if self._batch is not None else 0)
