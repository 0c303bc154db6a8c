"""Stored documents: read, listed page by page, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.documents import NewDocument, StoredDocument
from trivium_serving.errors import InvalidField, NotFound, TooLarge

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage


async def test_document_comes_back_as_it_was_given(storage: Storage) -> None:
    document_id = "a/b c/🎉?#%2F"
    await storage.ingest(
        NewDocument(id=document_id, title="T", uri="https://x", text="Text.", metadata={"a": [1, 2.5], "b": True})
    )
    found = await storage.documents.get(
        await storage.collections.resolve("", tenant="default"), document_id, reader=WHOLE
    )
    stored = StoredDocument(document_id, "T", "https://x", {"a": [1, 2.5], "b": True}, 1, found.content_hash, "Text.")
    assert found == stored


async def test_unknown_document_is_not_found(storage: Storage) -> None:
    with pytest.raises(NotFound) as caught:
        await storage.documents.get(await storage.collections.resolve("", tenant="default"), "nobody", reader=WHOLE)
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"


async def test_document_of_another_tenant_is_not_found_nor_listed_nor_deleted(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="Mine."), tenant="mine")
    collection = await storage.collections.resolve("", tenant="mine")
    with pytest.raises(NotFound):  # by the filter alone: others have no way to this collection
        await storage.documents.get(collection, "a", reader=whole("other"))
    assert await storage.documents.list(collection, page_size=10, reader=whole("other")) == ([], "")
    assert await storage.documents.delete(collection, ["a"], reader=whole("other")) == []
    assert (await storage.documents.get(collection, "a", reader=whole("mine"))).text == "Mine."


async def test_pages_have_each_document_once(storage: Storage) -> None:
    long = "Sentence after sentence, page after page. " * 80
    await storage.ingest(
        *(NewDocument(id=f"{number}", text=long if number % 4 == 0 else "Short.") for number in range(12))
    )
    collection = await storage.collections.resolve("", tenant="default")
    seen: list[StoredDocument] = []
    token = ""
    while True:
        page, token = await storage.documents.list(collection, page_size=4, page_token=token, reader=WHOLE)
        assert len(page) <= 4
        seen += page
        if not token:
            break
    assert sorted(int(document.id) for document in seen) == list(range(12))
    assert {document.chunk_count > 3 for document in seen if int(document.id) % 4 == 0} == {True}
    assert {document.chunk_count for document in seen if int(document.id) % 4} == {1}
    assert {document.text for document in seen} == {""}


@pytest.mark.parametrize("page_size", [0, -1, 1001])
async def test_page_size_out_of_range_is_refused(storage: Storage, page_size: int) -> None:
    with pytest.raises(InvalidField) as caught:
        await storage.documents.list(
            await storage.collections.resolve("", tenant="default"), page_size=page_size, reader=WHOLE
        )
    assert caught.value.field == "page_size"


@pytest.mark.parametrize("page_token", ["x", "ä", "AAAA", "1" * 100, "====", "%00"])
async def test_page_token_that_is_none_of_ours_is_refused(storage: Storage, page_token: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await storage.documents.list(
            await storage.collections.resolve("", tenant="default"),
            page_size=1,
            page_token=page_token,
            reader=WHOLE,
        )
    assert caught.value.field == "page_token"


async def test_deletion_returns_those_that_were_there(storage: Storage) -> None:
    await storage.ingest(*(NewDocument(id=document_id, text="x") for document_id in "abc"))
    collection = await storage.collections.resolve("", tenant="default")
    assert await storage.documents.delete(collection, ["c", "nobody", "a", "c"], reader=WHOLE) == ["c", "a"]
    listed, _ = await storage.documents.list(collection, page_size=10, reader=WHOLE)
    assert [document.id for document in listed] == ["b"]


async def test_deletion_of_none_too_many_or_no_ids_is_refused(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    with pytest.raises(InvalidField):
        await storage.documents.delete(collection, [], reader=WHOLE)
    with pytest.raises(InvalidField):
        await storage.documents.delete(collection, [""], reader=WHOLE)
    with pytest.raises(TooLarge) as caught:
        await storage.documents.delete(collection, ["a"] * 1001, reader=WHOLE)
    assert caught.value.reason == "TOO_MANY_DOCUMENTS"
