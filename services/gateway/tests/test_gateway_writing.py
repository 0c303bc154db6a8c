"""Writes that break off, and gateways that write the same document at once: nothing is lost, and all heals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.library.documents import NewDocument
from trivium_serving.errors import NotFound, Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trivium_gateway.domain.chunks import Chunk

    from .conftest import Storage

_OLD = "".join(f"Old sentence number {number} of the document. " for number in range(60))
_NEW = "".join(f"New sentence number {number} of the document. " for number in range(90))


async def _versions(storage: Storage, document_id: str = "a") -> list[list[Chunk]]:
    collection = await storage.collections.resolve("", tenant="default")
    return list((await storage.chunks.read_document(collection, document_id, WHOLE)).values())


class _Killed(BaseException):
    """Ends a write for good, as SIGKILL does: nothing tidies up."""


async def _kill_at(storage: Storage, step: str, when: Callable[[Any], bool], document: NewDocument) -> None:
    """Ingest, and be killed before a step of the chunk store."""
    dead = False

    def killed_before(name: str) -> Callable[..., Awaitable[Any]]:
        original = getattr(storage.chunks, name)

        async def stop(*arguments: Any) -> Any:
            nonlocal dead
            dead = dead or (name == step and when(arguments[1]))
            if dead:
                raise _Killed
            return await original(*arguments)

        return stop

    with pytest.MonkeyPatch.context() as patch:
        for name in ("upsert", "delete_versions", "current", "versions"):
            patch.setattr(storage.chunks, name, killed_before(name))
        with pytest.raises(BaseException):  # noqa: B017, PT011 - alone or in a group
            await storage.ingest(document)
    assert dead


async def _found(storage: Storage, text: str = "sentence of the document") -> set[tuple[str, int]]:
    """Whatever a search finds: document ids and versions' chunk indexes."""
    collection = await storage.collections.resolve("", tenant="default")
    found = await storage.chunk_search.search(
        collection, vector=None, text=text, limit=1000, timeout_seconds=20, reader=WHOLE
    )
    return {(one.chunk.document_id, one.chunk.index) for one in found.candidates}


async def _texts_found(storage: Storage) -> str:
    collection = await storage.collections.resolve("", tenant="default")
    found = await storage.chunk_search.search(
        collection,
        vector=None,
        text="sentence of the document",
        limit=1000,
        timeout_seconds=20,
        reader=WHOLE,
    )
    return "".join(sorted(one.chunk.text for one in found.candidates))


def _make_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is there be taken for old."""
    monkeypatch.setattr("trivium_gateway.library.versions.ABANDONED_SECONDS", -1.0)


def _has_head(points: Any) -> bool:
    return any(point.payload["chunk_index"].integer_value == 0 for point in points)


async def _assert_shown(storage: Storage, text: str) -> None:
    """All that reads shows this text of the document `a`, and nothing else."""
    collection = await storage.collections.resolve("", tenant="default")
    assert (await storage.documents.get(collection, "a", reader=WHOLE)).text == text
    ((document,), _) = await storage.documents.list(collection, page_size=10, reader=WHOLE)
    assert document.id == "a"
    assert await _found(storage) == {("a", index) for index in range(document.chunk_count)}
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == document.chunk_count
    shown = await _texts_found(storage)
    assert ("Old" in shown, "New" in shown) == ("Old" in text, "New" in text)


async def _assert_nothing_shown(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    with pytest.raises(NotFound):
        await storage.documents.get(collection, "a", reader=WHOLE)
    assert await storage.documents.list(collection, page_size=10, reader=WHOLE) == ([], "")
    assert await storage.documents.delete(collection, ["a"], reader=WHOLE) == []
    assert await _found(storage) == set()
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == 0


async def test_update_killed_before_its_commit_shows_the_version_before_alone(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    assert len(await _versions(storage)) == 2
    await _assert_shown(storage, _OLD)


async def test_update_killed_after_its_commit_shows_the_new_version_alone(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    await _kill_at(storage, "delete_versions", lambda _: True, NewDocument(id="a", text=_NEW))
    assert len(await _versions(storage)) == 2
    await _assert_shown(storage, _NEW)
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.status.value == "unchanged"


async def test_first_write_killed_before_its_commit_shows_nothing_until_it_is_sent_again(storage: Storage) -> None:
    await storage.collections.resolve("", tenant="default")
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    assert len(await _versions(storage)) == 1
    await _assert_nothing_shown(storage)
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.status.value == "indexed"
    await _assert_shown(storage, _NEW)


async def test_sweep_deletes_what_kills_left_once_nobody_can_be_writing_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD), NewDocument(id="b", text="One."))
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="a", text=_NEW))
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="c", text=_NEW))
    assert await storage.sweeper.sweep() == 0
    assert len(await _versions(storage)) == 2
    _make_old(monkeypatch)
    assert await storage.sweeper.sweep() == 2
    assert len(await _versions(storage)) == 1
    assert await _versions(storage, "c") == []
    collection = await storage.collections.resolve("", tenant="default")
    assert (await storage.documents.get(collection, "a", reader=WHOLE)).text == _OLD
    assert (await storage.documents.get(collection, "b", reader=WHOLE)).text == "One."
    assert await storage.sweeper.sweep() == 0


async def test_next_write_and_deletion_take_old_remains_with_them(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.collections.resolve("", tenant="default")
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="a", text=_OLD))
    await _kill_at(storage, "upsert", _has_head, NewDocument(id="b", text=_OLD))
    _make_old(monkeypatch)
    assert (
        await storage.documents.delete(await storage.collections.resolve("", tenant="default"), ["b"], reader=WHOLE)
        == []
    )
    assert await _versions(storage, "b") == []
    await storage.ingest(NewDocument(id="a", text="Third."))
    assert [[chunk.text for chunk in chunks] for chunks in await _versions(storage)] == [["Third."]]


async def test_client_that_leaves_while_chunks_are_written_leaves_nothing(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    upsert, reached = storage.chunks.upsert, asyncio.Event()

    async def slowly(collection: Any, points: Any) -> None:
        await upsert(collection, points)
        if not _has_head(points):
            reached.set()

    storage.chunks.upsert = slowly  # type: ignore[method-assign]
    ingesting = asyncio.create_task(storage.ingest(NewDocument(id="a", text=_NEW * 5)))
    async with asyncio.timeout(60):
        await reached.wait()
    ingesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingesting
    storage.chunks.upsert = upsert  # type: ignore[method-assign]
    assert len(await _versions(storage)) == 1
    await _assert_shown(storage, _OLD)


async def test_client_that_leaves_during_the_commit_finds_the_document_committed_whole(storage: Storage) -> None:
    upsert, reached, release = storage.chunks.upsert, asyncio.Event(), asyncio.Event()
    await storage.collections.resolve("", tenant="default")

    async def hold_heads(collection: Any, points: Any) -> None:
        if _has_head(points):
            reached.set()
            await release.wait()
        await upsert(collection, points)

    storage.chunks.upsert = hold_heads  # type: ignore[method-assign]
    ingesting = asyncio.create_task(storage.ingest(NewDocument(id="a", text=_NEW)))
    async with asyncio.timeout(60):
        await reached.wait()
    ingesting.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await ingesting
    await _assert_shown(storage, _NEW)


async def test_document_that_cannot_be_committed_fails_and_is_not_shown(
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
    await _assert_nothing_shown(storage)


async def test_version_that_was_committed_counts_though_the_one_before_cannot_be_deleted(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium_gateway.ingestion.patience._UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    await storage.ingest(NewDocument(id="a", text=_OLD))

    async def refuse(*_: object) -> None:
        raise Unavailable("busy", reason="UPSTREAM_FAILED")

    with monkeypatch.context() as patch:
        patch.setattr(storage.chunks, "delete_versions", refuse)
        (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.error is None
    assert len(await _versions(storage)) == 2
    await _assert_shown(storage, _NEW)


async def test_document_that_stays_incomplete_after_the_last_attempt_has_failed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = storage.chunks.upsert

    async def lose_the_rest(collection: Any, points: Any) -> None:
        if _has_head(points):
            version = points[0].payload["content_hash"].string_value
            await storage.chunks.delete_versions(collection, [version], "default")
        await upsert(collection, points)

    monkeypatch.setattr(storage.chunks, "upsert", lose_the_rest)
    (result,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert result.error is not None
    assert result.error.reason == "DOCUMENT_INCOMPLETE"
    monkeypatch.undo()
    (again,) = await storage.ingest(NewDocument(id="a", text=_NEW))
    assert again.status.value == "updated"
    await _assert_shown(storage, _NEW)


async def test_two_gateways_that_write_one_document_at_once_show_one_whole_version(
    storage: Storage, open_storage: Any
) -> None:
    await storage.ingest(NewDocument(id="a", text="Before."))
    async with open_storage() as other:
        one, two = await asyncio.gather(
            storage.ingest(NewDocument(id="a", text=_OLD)), other.ingest(NewDocument(id="a", text=_NEW))
        )
        assert [result.error for result in one + two] == [None, None]
        collection = await storage.collections.resolve("", tenant="default")
        # Both gateways show the same version, and it is whole.
        shown = {(await side.documents.get(collection, "a", reader=WHOLE)).text for side in (storage, other)}
        assert len(shown) == 1
        assert shown <= {_OLD, _NEW}
        for side in (storage, other):
            await _assert_shown(side, shown.copy().pop())


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
    assert (
        await storage.documents.get(await storage.collections.resolve("", tenant="default"), "a", reader=WHOLE)
    ).text == _NEW


async def test_deletion_and_update_at_once_leave_all_or_nothing(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text=_OLD))
    collection = await storage.collections.resolve("", tenant="default")
    await asyncio.gather(
        storage.ingest(NewDocument(id="a", text=_NEW)),
        storage.documents.delete(collection, ["a"], reader=WHOLE),
    )
    try:
        assert (await storage.documents.get(collection, "a", reader=WHOLE)).text == _NEW
    except NotFound:
        await _assert_nothing_shown(storage)


async def test_two_gateways_that_replace_documents_all_the_time_never_show_a_mixture_or_a_hole(
    storage: Storage, open_storage: Any
) -> None:
    ids = ["a", "b", "c"]

    def document(document_id: str, word: str) -> NewDocument:
        return NewDocument(id=document_id, text=f"The harbour of {word}. " * 90)

    await storage.ingest(*(document(one, "start") for one in ids))
    collection = await storage.collections.resolve("", tenant="default")
    writing = True

    async def write(side: Storage, name: str) -> None:
        for number in range(4):
            results = await side.ingest(*(document(one, f"{name}{number}") for one in ids))
            assert [result.error for result in results] == [None] * len(ids)

    async def read(side: Storage) -> int:
        reads = 0
        while writing:
            found = await side.chunk_search.search(
                collection, vector=None, text="harbour", limit=100, timeout_seconds=20, reader=WHOLE
            )
            versions: dict[str, set[str]] = {}
            for one in found.candidates:
                versions.setdefault(one.chunk.document_id, set()).add(
                    one.chunk.text.split("harbour of ")[1].split(".")[0]
                )
            assert {document_id: len(words) for document_id, words in versions.items()} == dict.fromkeys(ids, 1)
            reads += 1
        return reads

    async with open_storage() as other:
        readers = [asyncio.create_task(read(side)) for side in (storage, other)]
        await asyncio.gather(write(storage, "x"), write(other, "y"))
        writing = False
        assert min(await asyncio.gather(*readers)) > 0
        counts = [one.chunk_count for one in (await other.documents.list(collection, page_size=10, reader=WHOLE))[0]]
        assert len(counts) == len(ids)
        assert (await other.collections.get("default", reader=WHOLE)).chunk_count == sum(counts)
