"""What a tenant has stored is counted in the store: it is right after whatever happened, and holds a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.metrics import StoredMetrics
from trivium_gateway.library.totals import Totals
from trivium_gateway.metering.kinds import Kind, Quota, Rate, Stored, parse_limits
from trivium_gateway.metering.metrics import MeterMetrics
from trivium_gateway.metering.quotas import Quotas
from trivium_gateway.metering.store import FileMeterStore
from trivium_serving.errors import QuotaExceeded, Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from .conftest import Storage

_LONG = "A sentence of the handbook that is repeated. " * 100


async def test_totals_follow_what_is_written_replaced_and_deleted(storage: Storage) -> None:
    totals = Totals(storage.connection)
    assert await totals.count("default") == {"default": Stored()}
    await storage.ingest(NewDocument(id="a", text="Größe"), NewDocument(id="b", text=_LONG))
    assert await totals.count("default") == {"default": Stored(2, 7 + len(_LONG))}
    await storage.ingest(NewDocument(id="b", text="Short."), NewDocument(id="a", text="Größe"))
    assert await totals.count("default") == {"default": Stored(2, 7 + 6)}
    await storage.ingest(NewDocument(id="x", text="Another's."), tenant="north")
    assert await totals.count(None) == {"default": Stored(2, 13), "north": Stored(1, 10)}
    collection = await storage.collections.resolve("", tenant="default")
    await storage.documents.delete(collection, ["a"], reader=WHOLE)
    assert await totals.count("default") == {"default": Stored(1, 6)}
    await storage.collections.delete("default", tenant="default")
    assert await totals.count(None) == {"north": Stored(1, 10)}


async def test_what_is_not_committed_is_not_stored(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    await storage.ingest(NewDocument(id="a", text="Short."))
    upsert = storage.chunks.upsert

    async def breaks_off(collection: object, points: object) -> None:
        await upsert(collection, points)  # type: ignore[arg-type]
        raise Unavailable("Killed.")

    with monkeypatch.context() as patch:
        patch.setattr(storage.chunks, "upsert", breaks_off)
        patch.setattr(storage.chunks, "delete_versions", lambda *_: asyncio.sleep(0))
        patch.setattr("trivium_gateway.ingestion.writing.patiently", lambda call: call())
        await storage.ingest(NewDocument(id="b", text=_LONG))
    assert await Totals(storage.connection).count("default") == {"default": Stored(1, 6)}


async def test_room_is_kept_for_what_is_being_written(tmp_path: Path) -> None:
    store = FileMeterStore(tmp_path / "usage.sqlite")
    await store.put(Quota("acme", "", parse_limits({"stored_documents": "3", "stored_bytes": "100"})))
    quotas = Quotas(store, MeterMetrics(CollectorRegistry()))
    await quotas.load()
    stored = Stored(1, 10)

    async def count(tenant: str) -> dict[str, Stored]:
        await asyncio.sleep(0)
        return {tenant: stored}

    room = StorageRoom(quotas, count)
    async with room.kept("acme", [Stored(1, 40)]) as first, room.kept("acme", [Stored(1, 51), Stored(1, 50)]) as second:
        assert first == [None]
        assert isinstance(second[0], QuotaExceeded)
        assert (second[0].reason, second[1]) == ("STORED_QUOTA_EXCEEDED", None)
        assert "may have 100 stored_bytes, and has 50; 51 more do not fit" in second[0].message
        async with room.kept("acme", [Stored(1, 0), Stored(0, -5), Stored(0, 0)]) as third:
            assert isinstance(third[0], QuotaExceeded)
            assert third[1:] == [None, None]  # what makes it no more fits though it is full
    async with room.kept("acme", [Stored(1, 90)]) as again, room.kept("north", [Stored(9, 900)]) as other:
        assert (again, other) == ([None], [None])
    assert not room._coming


async def test_nothing_is_let_in_that_nobody_can_count(tmp_path: Path) -> None:
    store = FileMeterStore(tmp_path / "usage.sqlite")
    await store.put(Quota("acme", "", {Kind.STORED_BYTES: Rate(100, 0)}))
    quotas = Quotas(store, MeterMetrics(CollectorRegistry()))
    await quotas.load()

    async def count(_: str) -> dict[str, Stored]:
        raise Unavailable("Qdrant is away.")

    async with StorageRoom(quotas, count).kept("acme", [Stored(1, 1)] * 2) as refused:
        assert [isinstance(one, Unavailable) for one in refused] == [True, True]


def test_metric_names_who_has_most_and_adds_up_the_others() -> None:
    registry = CollectorRegistry()
    metrics = StoredMetrics(registry)
    metrics.set({"gone": Stored(1, 1)})
    metrics.set({f"t{number}": Stored(1, number) for number in range(60)})

    def shown(tenant: str) -> float | None:
        return registry.get_sample_value("trivium_gateway_stored_bytes", {"tenant": tenant})

    assert (shown("t59"), shown("t9"), shown("gone")) == (59, None, None)
    assert shown("other") == sum(range(10))
    assert registry.get_sample_value("trivium_gateway_stored_documents", {"tenant": "other"}) == 10
