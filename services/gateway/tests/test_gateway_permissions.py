"""Who may read a document: for everybody else it is not there, at no time, and without its vectors being touched."""

from __future__ import annotations

import asyncio
import contextlib
import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import NOBODY, Reader, checked_readers, common, whole
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.permitting import Permissions
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.points import scoped_filter
from trivium_serving.errors import InvalidField, NotFound, TooLarge

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.library.candidates import Candidate

    from .conftest import Storage

_ANN, _BOB = Reader("default", frozenset({"user:ann", "group:hr"})), Reader("default", frozenset({"user:bob"}))
_STRANGER = Reader("default", frozenset())
_LONG = "The salaries of the harbour are kept in the ledger, which nobody reads aloud. " * 60


def _permissions(storage: Storage) -> Permissions:
    return Permissions(storage.collections, storage.chunks, KeyedLocks(), GatewayLimits())


async def _found(storage: Storage, reader: Reader, text: str = "salaries harbour ledger") -> Sequence[Candidate]:
    found = await storage.chunk_search.search(
        await storage.collections.resolve("", tenant="default"),
        vector=None,
        text=text,
        limit=100,
        timeout_seconds=20,
        reader=reader,
    )
    return found.candidates


async def _ids(storage: Storage, reader: Reader) -> set[str]:
    collection = await storage.collections.resolve("", tenant="default")
    listed, _ = await storage.documents.list(collection, page_size=100, reader=reader)
    searched = {one.chunk.document_id for one in await _found(storage, reader)}
    got = set()
    for document_id in ("open", "restricted"):
        with contextlib.suppress(NotFound):
            got.add((await storage.documents.get(collection, document_id, reader=reader)).id)
    chunk_count = (await storage.collections.get("", reader=reader)).chunk_count
    assert {one.id for one in listed} == searched == got
    assert sum(one.chunk_count for one in listed) == chunk_count
    return searched


async def test_chunk_that_a_search_has_found_is_read_only_by_who_may_read_it_still(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=["group:hr"]))
    physical = (await storage.collections.resolve("", tenant="default")).physical
    ids = [one.id for one in await _found(storage, WHOLE)]

    async def read(reader: Reader) -> set[str]:
        chunks = QdrantChunks(storage.connection, physical, reader)
        return set(await chunks.found(ids, None, with_codes=False, timeout_seconds=20))

    assert await read(_ANN) == await read(WHOLE) == set(ids)
    assert await read(_BOB) == await read(_STRANGER) == set()


async def test_document_is_there_for_its_readers_only(storage: Storage) -> None:
    await storage.ingest(
        NewDocument(id="open", text="Salaries are paid at the harbour, says the ledger."),
        NewDocument(id="restricted", text=_LONG, readers=["user:carol", "group:hr"]),
    )
    assert await _ids(storage, _ANN) == await _ids(storage, WHOLE) == {"open", "restricted"}
    assert await _ids(storage, _BOB) == await _ids(storage, _STRANGER) == {"open"}
    collection = await storage.collections.resolve("", tenant="default")
    assert await storage.documents.delete(collection, ["restricted"], reader=_BOB) == []
    assert await storage.documents.delete(collection, ["restricted"], reader=_ANN) == ["restricted"]


async def test_readers_are_changed_without_embedding_anything(storage: Storage) -> None:
    (first,) = await storage.ingest(NewDocument(id="restricted", text=_LONG))
    before = storage.embed.embedded
    for readers, those in (
        (["user:bob"], {_BOB}),
        (["group:hr", "user:carol"], {_ANN}),
        (["*"], {_ANN, _BOB, _STRANGER}),
        (["user:ann"], {_ANN}),
    ):
        (result,) = await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=readers))
        assert (result.status.value, result.chunk_count, result.token_count) == ("updated", first.chunk_count, 0)
        for reader in (_ANN, _BOB, _STRANGER):
            assert bool(await _ids(storage, reader)) == (reader in those)
        (again,) = await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=readers))
        assert again.status.value == "unchanged"
    collection = await storage.collections.resolve("", tenant="default")
    changed = await _permissions(storage).change(collection, ["restricted", "none"], ["user:bob"], reader=WHOLE)
    assert changed == ["restricted"]
    assert await _permissions(storage).change(collection, ["restricted"], ["*"], reader=_ANN) == []
    assert await _ids(storage, _BOB) == {"restricted"}
    assert storage.embed.embedded == before


async def test_document_keeps_its_readers_when_its_text_changes_and_nobody_says_them(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="restricted", text="Old.", readers=["user:ann"]))
    (result,) = await storage.ingest(NewDocument(id="restricted", text=_LONG))
    assert result.status.value == "updated"
    assert await _ids(storage, _ANN) == {"restricted"}
    assert await _ids(storage, _BOB) == set()


async def test_nobody_sees_a_part_of_a_document_whose_readers_change(storage: Storage) -> None:
    (result,) = await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=["user:bob", "group:hr"]))
    assert result.chunk_count > 3
    collection = await storage.collections.resolve("", tenant="default")
    permissions = _permissions(storage)
    counts: dict[Reader, set[int]] = {_ANN: set(), _BOB: set(), _STRANGER: set()}
    done = asyncio.Event()

    async def look(reader: Reader) -> None:
        while not done.is_set():
            counts[reader].add(len(await _found(storage, reader)))
            with contextlib.suppress(NotFound):
                assert (await storage.documents.get(collection, "restricted", reader=reader)).text == _LONG

    looking = [asyncio.create_task(look(reader)) for reader in counts]
    for _ in range(6):  # ann may read it all the time, bob every other time, and the stranger never
        for readers in (["group:hr"], ["user:bob", "group:hr"]):
            await permissions.change(collection, ["restricted"], readers, reader=WHOLE)
    done.set()
    await asyncio.gather(*looking)
    assert (counts[_ANN], counts[_STRANGER]) == ({result.chunk_count}, {0})


async def test_change_of_readers_that_broke_off_shows_nothing_in_part(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (result,) = await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=["user:bob"]))
    collection = await storage.collections.resolve("", tenant="default")
    permissions, calls = _permissions(storage), 0
    chunks_class = type(storage.chunks._of(collection, "default"))
    permit = chunks_class.permit

    async def breaks_off(self: object, *arguments: object, **more: object) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == stop_at:
            raise RuntimeError("killed")
        await permit(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(chunks_class, "permit", breaks_off)
    for stop_at in (1, 2, 0):
        for readers in (["user:ann"], ["user:bob"], ["*"], ["user:bob"]):
            calls = 0
            with contextlib.suppress(RuntimeError):
                await permissions.change(collection, ["restricted"], readers, reader=WHOLE)
            for reader in (_ANN, _BOB, _STRANGER, WHOLE):
                assert len(await _found(storage, reader)) in {0, result.chunk_count}
            stop, stop_at = stop_at, 9
            await permissions.change(collection, ["restricted"], readers, reader=WHOLE)
            stop_at = stop
            assert bool(await _found(storage, _BOB)) == (readers != ["user:ann"])


async def test_document_that_one_may_not_read_is_not_replaced_nor_taken_over(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="restricted", uri="file:///plan", text=_LONG, readers=["group:hr"]))
    collection = await storage.collections.resolve("", tenant="default")
    taken, moved, same_place = await storage.ingester.ingest(
        collection,
        [
            NewDocument(id="restricted", text="Mine now."),
            NewDocument(id="copy", text=_LONG, moved_from="restricted"),
            NewDocument(default_id="other", uri="file:///plan", text="Another plan."),
        ],
        max_documents=10,
        reader=_BOB,
    )
    assert taken.error is not None
    assert taken.error.reason == "DOCUMENT_ID_TAKEN"
    assert (moved.status.value, same_place.id) == ("indexed", "other")
    assert moved.token_count > 0  # what is known of the vectors would tell what the document says
    assert (await storage.documents.get(collection, "restricted", reader=_ANN)).text == _LONG


async def test_files_in_an_archive_have_its_readers(storage: Storage) -> None:
    def archive(*names: str) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as into:
            for name in names:
                into.writestr(name, f"The salaries of {name}.")
        return packed.getvalue()

    await storage.ingest(NewDocument(id="z", data=archive("a.txt"), filename="z.zip", readers=["user:ann"]))
    await storage.ingest(NewDocument(id="z", data=archive("a.txt", "b.txt"), filename="z.zip"))
    parts = {"z!/a.txt", "z!/b.txt"}
    assert {one.chunk.document_id for one in await _found(storage, _ANN)} == parts
    assert await _found(storage, _BOB) == []
    collection = await storage.collections.resolve("", tenant="default")
    await _permissions(storage).change(collection, ["z"], ["user:bob"], reader=WHOLE)
    assert await _found(storage, _ANN) == []
    assert {one.chunk.document_id for one in await _found(storage, _BOB)} == parts


async def test_scores_are_the_same_bit_for_bit_whatever_one_may_not_read(storage: Storage) -> None:
    own = [NewDocument(id=f"a{n}", text=f"The budget of the quay, part {n}.", readers=["user:ann"]) for n in range(5)]
    await storage.ingest(*own, NewDocument(id="quay", text="The quay."))
    before = [(one.id, one.sparse) for one in await _found(storage, _ANN, "budget quay")]
    await storage.ingest(
        *(NewDocument(id=f"b{n}", text="Budget, budget.", readers=["user:bob"]) for n in range(40)),
    )
    assert [(one.id, one.sparse) for one in await _found(storage, _ANN, "budget quay")] == before
    assert len(before) == 6


async def test_search_costs_nothing_where_nobody_is_kept_out(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="open", text="The report."))
    assert not (await storage.collections.resolve("", tenant="default")).is_restricted
    condition = scoped_filter(_STRANGER).must[0].field
    assert (condition.key, condition.match.keyword) == ("tenant", "default")  # as it was before there were readers


async def test_restricted_chunk_is_none_of_the_tenants_for_those_who_know_of_no_readers(storage: Storage) -> None:
    """A gateway of an earlier version beside this one finds nothing restricted."""
    await storage.ingest(NewDocument(id="restricted", text=_LONG, readers=["user:ann"]))
    collection = await storage.collections.resolve("", tenant="default")
    earlier = await ChunkSearch(storage.connection).search(
        collection, vector=None, text="salaries", limit=10, timeout_seconds=10, reader=_STRANGER
    )
    assert list(earlier.candidates) == []


@pytest.mark.parametrize(
    "readers", [[], ["ann"], ["user:"], ["group: hr"], ["user:a\n"], ["user:" + "x" * 201], ["everyone"]]
)
def test_readers_that_are_none_are_refused(readers: list[str]) -> None:
    with pytest.raises(InvalidField) as caught:
        checked_readers(readers, GatewayLimits())
    assert caught.value.field == "readers"


def test_readers_more_than_allowed_are_refused() -> None:
    most = GatewayLimits().max_readers_per_document
    assert checked_readers([f"user:{n}" for n in range(most)], GatewayLimits())
    with pytest.raises(TooLarge):
        checked_readers([f"user:{n}" for n in range(most + 1)], GatewayLimits())


def test_readers_of_two_rules_are_those_of_both() -> None:
    one, other = frozenset({"user:ann", "user:bob"}), frozenset({"user:bob"})
    assert common(None, one) == common(one, None) == one
    assert common(one, other) == other
    assert common(other, frozenset({"user:eve"})) == NOBODY
    assert whole("a").covers(_ANN) is False
    assert WHOLE.covers(_ANN)
    assert not _STRANGER.covers(_ANN)
