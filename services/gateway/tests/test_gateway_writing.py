"""Writes that break off, and gateways that write the same document at once: nothing is lost, and all heals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.documents import NewDocument
from trivium_serving.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trivium_gateway.qdrant_points import StoredChunk

    from .conftest import Storage

_OLD = "".join(f"Old sentence number {number} of the document. " for number in range(60))
_NEW = "".join(f"New sentence number {number} of the document. " for number in range(90))


async def _versions(storage: Storage, document_id: str = "a") -> list[list[StoredChunk]]:
    collection = await storage.collections.resolve("")
    return list((await storage.chunks.read_document(collection, document_id, "default")).values())


async def _break_off_at(storage: Storage, step: str, when: Callable[[Any], bool], document: NewDocument) -> None:
    """Ingest, and stop for good before the step of the chunk store, as a process does that is killed there."""
    original: Callable[..., Awaitable[None]] = getattr(storage.chunks, step)
    reached = asyncio.Event()

    async def stop(collection: Any, things: Any, *more: Any) -> None:
        if when(things):
            reached.set()
            await asyncio.Event().wait()
        await original(collection, things, *more)

    setattr(storage.chunks, step, stop)
    ingesting = asyncio.create_task(storage.ingest(document))
    async with asyncio.timeout(60):
        await reached.wait()
    ingesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingesting
    delattr(storage.chunks, step)


def _has_head(points: Any) -> bool:
    return any(point.payload["chunk_index"].integer_value == 0 for point in points)


async def test_write_that_broke_off_before_deleting_heals_at_the_next_ingestion(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    await _break_off_at(storage, "delete_versions", lambda _: True, NewDocument(id="a", text=_NEW))
    assert len(await _versions(storage)) == 2
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.status.value == "unchanged"
    (chunks,) = await _versions(storage)
    assert chunks[0].text.startswith("New")
    assert result.chunk_count == len(chunks)


async def test_write_that_broke_off_before_the_first_chunk_leaves_the_earlier_version(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    await _break_off_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    collection = await storage.collections.resolve("")
    assert (await storage.documents.get(collection, "a")).text == _OLD
    listed, _ = await storage.documents.list(collection, page_size=10)
    assert [document.id for document in listed] == ["a"]
    (result,) = await storage.ingest(NewDocument(id="a", text="Third."))
    assert result.status.value == "updated"
    (chunks,) = await _versions(storage)
    assert [chunk.text for chunk in chunks] == ["Third."]


async def test_first_write_that_broke_off_is_no_document_and_is_completed_by_the_next(storage: Storage) -> None:
    await _break_off_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    collection = await storage.collections.resolve("")
    assert await storage.documents.list(collection, page_size=10) == ([], "")
    assert await storage.documents.delete(collection, ["nobody"]) == []
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.status.value == "indexed"
    (chunks,) = await _versions(storage)
    assert (await storage.documents.get(collection, "a")).text == _NEW
    assert result.chunk_count == len(chunks)


async def test_remains_of_a_first_write_are_deleted_with_the_document(storage: Storage) -> None:
    await _break_off_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    collection = await storage.collections.resolve("")
    assert await storage.documents.delete(collection, ["a"]) == []
    assert await _versions(storage) == []


async def test_document_whose_first_chunk_cannot_be_written_fails_and_leaves_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium_gateway.ingestion.patience._UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    upsert = storage.chunks.upsert

    async def refuse_heads(collection: Any, points: Any) -> None:
        if _has_head(points):
            raise Unavailable("full", reason="UPSTREAM_FAILED")
        await upsert(collection, points)

    monkeypatch.setattr(storage.chunks, "upsert", refuse_heads)
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.error is not None
    assert result.error.reason == "UPSTREAM_FAILED"
    assert await _versions(storage) == []


async def test_version_that_was_written_stays_if_the_one_before_cannot_be_deleted(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium_gateway.ingestion.patience._UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    await storage.ingest(NewDocument(id="a", text=_OLD))

    async def refuse(*_: object) -> None:
        raise Unavailable("busy", reason="UPSTREAM_FAILED")

    with monkeypatch.context() as patch:
        patch.setattr(storage.chunks, "delete_versions", refuse)
        (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.error is not None
    assert len(await _versions(storage)) == 2
    (again,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert again.error is None
    assert len(await _versions(storage)) == 1


async def test_two_gateways_at_once_leave_a_whole_version_and_the_next_write_one(
    storage: Storage, open_storage: Any
) -> None:
    await storage.ingest(NewDocument(id="a", text="Before."))
    async with open_storage() as other:
        one, two = await asyncio.gather(
            storage.ingest(NewDocument(id="a", text=_OLD)), other.ingest(NewDocument(id="a", text=_NEW))
        )
        assert [result.error for result in one + two] == [None, None]
        collection = await storage.collections.resolve("")
        # Both gateways show the same version, and it is whole.
        shown = {(await side.documents.get(collection, "a")).text for side in (storage, other)}
        assert len(shown) == 1
        assert shown <= {_OLD, _NEW}
        listed, _ = await other.documents.list(collection, page_size=10)
        assert [document.id for document in listed] == ["a"]
    await storage.ingest(NewDocument(id="a", text="After."))
    (chunks,) = await _versions(storage)
    assert [chunk.text for chunk in chunks] == ["After."]


async def test_version_that_another_gateway_took_for_remains_is_written_again(storage: Storage) -> None:
    upsert, disturbed = storage.chunks.upsert, False

    async def disturb(collection: Any, points: Any) -> None:
        nonlocal disturbed
        if _has_head(points) and not disturbed:
            disturbed = True
            content_hash = points[0].payload["content_hash"].string_value
            await storage.chunks.delete_versions(collection, [content_hash], "default")
        await upsert(collection, points)

    storage.chunks.upsert = disturb  # type: ignore[method-assign]
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert disturbed
    assert result.error is None
    (chunks,) = await _versions(storage)
    assert len(chunks) == result.chunk_count
    assert (await storage.documents.get(await storage.collections.resolve(""), "a")).text == _NEW


async def test_deletion_and_update_at_once_leave_all_or_nothing(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    collection = await storage.collections.resolve("")
    await asyncio.gather(storage.ingest(NewDocument(id="a", text=_NEW)), storage.documents.delete(collection, ["a"]))
    try:
        assert (await storage.documents.get(collection, "a")).text == _NEW
    except NotFound:
        assert await _versions(storage) == []
