"""The mark of what is in a collection: each write moves it, whichever gateway's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.contents import Contents, is_left, is_settled
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.permitting import Permissions
from trivium_serving.errors import NotFound

if TYPE_CHECKING:
    from trivium_gateway.library.resolved import ResolvedCollection

    from .conftest import OpenStorage, Storage


async def _mark(storage: Storage, collection: ResolvedCollection) -> str:
    return await storage.chunks.contents.mark(collection.physical)


async def test_each_kind_of_write_moves_the_mark_and_reads_do_not(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    reader = whole("default")
    permissions = Permissions(storage.collections, storage.chunks, KeyedLocks(), GatewayLimits())
    marks = [await _mark(storage, collection)]
    for write in (
        lambda: storage.ingest(NewDocument(id="a", text="One.")),
        lambda: storage.ingest(NewDocument(id="a", text="Two.")),
        lambda: storage.ingest(NewDocument(id="a", text="Two.", readers=["user:ann"])),
        lambda: permissions.change(collection, ["a"], ["*"], reader=reader),
        lambda: storage.documents.delete(collection, ["a"], reader=reader),
    ):
        await write()
        marks.append(await _mark(storage, collection))
        assert is_settled(marks[-1])
    assert len(set(marks)) == len(marks)
    await storage.ingest(NewDocument(id="b", text="Three."))
    mark = await _mark(storage, collection)
    await storage.ingest(NewDocument(id="b", text="Three."))  # unchanged
    await storage.documents.get(collection, "b", reader=reader)
    await storage.documents.delete(collection, ["nowhere"], reader=reader)
    assert await _mark(storage, collection) == mark


async def test_mark_says_that_somebody_writes_until_the_last_one_has_ended(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    physical, contents = collection.physical, storage.chunks.contents
    seen = []
    async with contents.changing(physical):
        seen.append(await contents.mark(physical))
        async with contents.changing(physical):  # what it calls says so, too
            seen.append(await contents.mark(physical))
        seen.append(await contents.mark(physical))

        async def other_write() -> None:
            async with contents.changing(physical):
                pass

        import contextvars

        await asyncio.get_running_loop().create_task(other_write(), context=contextvars.Context())
        moved = await contents.mark(physical)
    assert len(set(seen)) == 1
    assert moved not in seen
    assert not any(map(is_settled, [*seen, moved]))
    assert is_settled(await contents.mark(physical))


async def test_writer_that_is_cancelled_settles_the_mark(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    contents, begun = storage.chunks.contents, asyncio.Event()

    async def write() -> None:
        async with contents.changing(collection.physical):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    before = await contents.mark(collection.physical)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (is_settled(before), is_settled(await contents.mark(collection.physical))) == (False, True)


async def test_mark_of_a_write_counts_for_all_gateways_and_of_none_that_is_gone(
    storage: Storage, open_storage: OpenStorage
) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    async with open_storage() as other:
        before = await _mark(storage, collection)
        await other.ingest(NewDocument(id="a", text="One."), collection=collection)
        assert await _mark(storage, collection) not in (before, "")
    with pytest.raises(NotFound):
        async with Contents(storage.connection).changing("nowhere__0123456789ab"):
            raise AssertionError
    assert is_left(f"moving:{int(time.time()) - 4000:x}:00")
    assert not is_left(f"moving:{int(time.time()):x}:00")
    assert not is_left("settled:00")
