"""Documents that are older than their collection keeps them: deleted by the hour, and no others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.library import expiring
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.expiring import Expiry
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.retention import Retention
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.library.versions import begun_at
from trivium_serving.errors import InvalidField

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import Storage

_DAY = 86_400.0
_LONG = " ".join(f"Entry {number} of the log says nothing of note." for number in range(200))


async def _collection(storage: Storage, name: str, days: int | None, ids: Sequence[str]) -> None:
    await storage.collections.create(name, reader=WHOLE)
    if days is not None:
        tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)
        await tuning.change(name, CollectionSettings(retention_days=days), tenant="default")
    collection = await storage.collections.resolve(name, tenant="default")
    results = await storage.ingest(*(NewDocument(id=one, text=_LONG + one) for one in ids), collection=collection)
    assert not any(one.error for one in results)


async def _ids(storage: Storage, name: str) -> set[str]:
    collection = await storage.collections.find(name, tenant="default")
    assert collection is not None
    return {one.id for one in (await storage.documents.list(collection, page_size=1000, reader=WHOLE))[0]}


def _expiry(storage: Storage) -> Expiry:
    return Expiry(storage.chunks, KeyedLocks(), Originals(Path("no-files"), 0))


def _retention(storage: Storage, days_later: float, registry: CollectorRegistry | None = None) -> Retention:
    now = time.time() + days_later * _DAY
    return Retention(storage.connection, _expiry(storage), registry or CollectorRegistry(), lambda: now)


async def test_documents_older_than_their_collection_keeps_them_are_deleted_and_no_others(storage: Storage) -> None:
    await _collection(storage, "logs", 30, ["a", "b"])
    await _collection(storage, "longer", 90, ["a"])
    await _collection(storage, "papers", None, ["a"])
    registry = CollectorRegistry()

    early = await _retention(storage, 29.9).expire()
    due = await _retention(storage, 30.1, registry).expire()

    assert (early, due) == (0, 2)
    assert [await _ids(storage, one) for one in ("logs", "longer", "papers")] == [set(), {"a"}, {"a"}]
    assert (await storage.collections.get("logs", reader=WHOLE)).chunk_count == 0  # nothing of them is left
    assert registry.get_sample_value("trivium_gateway_documents_expired_total") == 2


async def test_document_that_is_written_while_it_expires_stays(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _collection(storage, "logs", 30, ["a", "b"])
    collection = await storage.collections.resolve("logs", tenant="default")
    moment = time.time()

    def begun(version: str) -> float | None:
        begun = begun_at(version)
        return None if begun is None else begun - 40 * _DAY * (version in earlier)

    earlier = {
        version
        for versions in (await storage.chunks.versions(collection, ["a", "b"], "default")).values()
        for version in versions.heads
    }
    monkeypatch.setattr(expiring, "begun_at", begun)
    await storage.ingest(NewDocument(id="b", text="It was written again."), collection=collection)

    count = await _expiry(storage).expire(collection, moment - 30 * _DAY)

    assert count == 1
    assert await _ids(storage, "logs") == {"b"}


@pytest.mark.parametrize("days", [0, -1, 36_501])
async def test_retention_that_cannot_be_is_refused(storage: Storage, days: int) -> None:
    await storage.collections.create("logs", reader=WHOLE)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)

    with pytest.raises(InvalidField, match="retention_days"):
        await tuning.change("logs", CollectionSettings(retention_days=days), tenant="default")
