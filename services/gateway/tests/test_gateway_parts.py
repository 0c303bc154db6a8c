"""What is in mails and archives becomes documents of their own, which share the fate of their container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from documents.files import packed
from documents.known.mails import mail
from trivium_gateway.library.documents import NewDocument
from trivium_serving.errors import TooLarge

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_gateway.library.documents import DocumentResult, StoredDocument

    from .conftest import Storage

SEAL = ("prices.csv", "text/csv", b"Part,Price\nSeal,12\n")
NOTE = ("notes/today.txt", "text/plain", b"The pump stands still.")


def _outcomes(results: tuple[DocumentResult, ...] | list[DocumentResult]) -> list[tuple[str, str]]:
    return [(result.id, result.error.reason if result.error else result.status.value) for result in results]


async def _listed(storage: Storage) -> dict[str, StoredDocument]:
    collection = await storage.collections.resolve("", tenant="default")
    documents, _ = await storage.documents.list(collection, page_size=100, reader=WHOLE)
    return {document.id: document for document in documents}


async def test_attachments_are_documents_that_are_linked_updated_and_deleted_with_their_mail(storage: Storage) -> None:
    first = NewDocument(
        id="m", data=mail("Here.", SEAL, NOTE).as_bytes(), filename="m.eml", uri="file:///m", metadata={"year": 2026}
    )
    (result,) = await storage.ingest(first)
    assert _outcomes([result]) == [("m", "indexed")]
    assert _outcomes(result.parts) == [("m!/prices.csv", "indexed"), ("m!/notes/today.txt", "indexed")]
    stored = await _listed(storage)
    assert {one: document.container for one, document in stored.items()} == {
        "m": "", "m!/prices.csv": "m", "m!/notes/today.txt": "m",
    }  # fmt: skip
    assert stored["m!/prices.csv"].metadata == {"year": 2026}
    assert stored["m!/prices.csv"].uri == "file:///m#prices.csv"

    (result,) = await storage.ingest(first)
    assert [outcome for _, outcome in _outcomes([result, *result.parts])] == ["unchanged"] * 3

    (result,) = await storage.ingest(NewDocument(id="m", data=mail("Now.", SEAL).as_bytes(), filename="m.eml"))
    assert _outcomes([result]) == [("m", "updated")]
    assert set(await _listed(storage)) == {"m", "m!/prices.csv"}

    collection = await storage.collections.resolve("", tenant="default")
    assert await storage.documents.delete(collection, ["m"], reader=WHOLE) == ["m"]
    assert await _listed(storage) == {}


async def test_file_that_takes_the_place_of_an_archive_takes_away_what_was_in_it(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", data=packed({"x.txt": "In it."}), filename="a.zip"))
    assert set(await _listed(storage)) == {"a", "a!/x.txt"}

    await storage.ingest(NewDocument(id="a", text="A text."))

    assert set(await _listed(storage)) == {"a"}


async def test_file_in_an_archive_that_cannot_be_read_fails_alone(storage: Storage) -> None:
    bomb = packed({"a.txt": bytes(100 * 1024 * 1024)})
    data = packed({"photo.psd": b"8BPS\0\1\0\0", "a.txt": "Read.", "bomb.zip": bomb})

    (result, other) = await storage.ingest(
        NewDocument(id="z", data=data, filename="z.zip"), NewDocument(id="b", text="Another.")
    )

    assert _outcomes([result, other]) == [("z", "indexed"), ("b", "indexed")]
    assert [outcome for _, outcome in _outcomes(result.parts)] == [
        "UNSUPPORTED_FORMAT", "indexed", "DOCUMENT_TOO_LARGE",
    ]  # fmt: skip


async def test_bomb_fails_alone_and_leaves_nothing(storage: Storage) -> None:
    data = packed({"a.txt": bytes(100 * 1024 * 1024)})

    (bomb, other) = await storage.ingest(
        NewDocument(id="z", data=data, filename="z.zip"), NewDocument(id="b", text="Another.")
    )

    assert _outcomes([bomb, other]) == [("z", "DOCUMENT_TOO_LARGE"), ("b", "indexed")]
    assert set(await _listed(storage)) == {"b"}


async def test_files_in_an_archive_do_not_count_as_documents_of_the_call(storage: Storage) -> None:
    data = packed({f"{number}.txt": f"Number {number}." for number in range(5)})
    collection = await storage.collections.resolve("", tenant="default")
    documents = [NewDocument(id=one, data=data, filename="a.zip") for one in ("a", "b", "c")]

    async def stream(count: int) -> AsyncIterator[NewDocument]:
        for document in documents[:count]:
            yield document

    results = await storage.ingester.ingest(collection, stream(2), max_documents=2, reader=WHOLE)
    assert [len(result.parts) for result in results] == [5, 5]
    with pytest.raises(TooLarge):
        await storage.ingester.ingest(collection, stream(3), max_documents=2, reader=WHOLE)
