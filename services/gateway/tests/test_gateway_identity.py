"""One identity for a file, whichever way it came; and what need not be embedded again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_serving.errors import Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    import pytest

    from .conftest import Storage

_PARAGRAPHS = [f"Paragraph {number} is about the pump and its valve number {number}. " * 12 for number in range(8)]


async def _ids(storage: Storage) -> list[str]:
    default = await storage.collections.resolve("", tenant="default")
    listed, _ = await storage.documents.list(default, page_size=100, reader=WHOLE)
    return sorted(document.id for document in listed)


async def test_file_keeps_its_id_whichever_way_it_comes(storage: Storage) -> None:
    in_folder = NewDocument(default_id="guide/a.md", uri="/docs/guide/a.md", text="One.")
    alone = replace(in_folder, default_id="a.md")
    first = await storage.ingest(in_folder)
    second = await storage.ingest(alone)
    third = await storage.ingest(replace(alone, text="Two."))
    assert [result.id for result in (*first, *second, *third)] == ["guide/a.md"] * 3
    assert [second[0].status, third[0].status] == [DocumentStatus.UNCHANGED, DocumentStatus.UPDATED]
    assert await _ids(storage) == ["guide/a.md"]


async def test_file_that_came_alone_keeps_its_id_in_its_folder(storage: Storage) -> None:
    await storage.ingest(NewDocument(default_id="a.md", uri="/docs/guide/a.md", text="One."))
    [again] = await storage.ingest(NewDocument(default_id="guide/a.md", uri="/docs/guide/a.md", text="One."))
    assert (again.id, again.status) == ("a.md", DocumentStatus.UNCHANGED)


async def test_two_files_of_one_uri_in_one_call_are_not_mixed_up(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="page", uri="https://x.org", text="One."))
    results = await storage.ingest(
        NewDocument(default_id="a", uri="https://x.org", text="A."),
        NewDocument(default_id="b", uri="https://x.org", text="B."),
        NewDocument(default_id="c", uri="\ud800", text="C."),
    )
    assert [result.id for result in results] == ["page", "b", "c"]
    assert [result.error is None for result in results] == [True, True, False]


async def test_id_that_is_given_goes_before_the_uri(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="one", uri="https://x.org", text="One."))
    [result] = await storage.ingest(NewDocument(id="two", uri="https://x.org", text="Two."))
    assert result.id == "two"


async def test_moved_document_is_not_embedded_again(storage: Storage) -> None:
    text = "\n\n".join(_PARAGRAPHS)
    [before] = await storage.ingest(NewDocument(id="old.md", text=text))
    assert before.chunk_count > 3
    embedded = storage.embed.embedded
    [moved] = await storage.ingest(NewDocument(id="new/name.md", uri="/x", text=text, moved_from="old.md"))
    assert (moved.status, moved.chunk_count) == (DocumentStatus.INDEXED, before.chunk_count)
    assert storage.embed.embedded == embedded
    default = await storage.collections.resolve("", tenant="default")
    query = await storage.embed.embed_query(
        "valve number 5", reader=WHOLE, expected_fingerprint=default.made.fingerprint, timeout_seconds=10
    )
    found = await storage.chunk_search.search(
        default, vector=query.vector, text="valve number 5", limit=50, timeout_seconds=10.0, reader=WHOLE
    )
    scores: dict[str, list[float | None]] = {"old.md": [], "new/name.md": []}
    for candidate in sorted(found.candidates, key=lambda one: one.chunk.index):
        scores[candidate.chunk.document_id].append(candidate.dense)
    assert scores["old.md"] == scores["new/name.md"] != []


async def test_document_that_changed_in_part_is_embedded_in_part(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="\n\n".join(_PARAGRAPHS)))
    embedded = storage.embed.embedded
    [changed] = await storage.ingest(NewDocument(id="a", text="\n\n".join([*_PARAGRAPHS, "One more. " * 40])))
    assert changed.status is DocumentStatus.UPDATED
    assert 0 < storage.embed.embedded - embedded <= 3


async def test_document_of_which_only_the_metadata_changed_is_not_embedded_again(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="\n\n".join(_PARAGRAPHS)))
    embedded = storage.embed.embedded
    [changed] = await storage.ingest(NewDocument(id="a", text="\n\n".join(_PARAGRAPHS), metadata={"year": 2026}))
    assert changed.status is DocumentStatus.UPDATED
    assert storage.embed.embedded == embedded
    default = await storage.collections.resolve("", tenant="default")
    assert (await storage.documents.get(default, "a", reader=WHOLE)).metadata == {"year": 2026}


async def test_embed_service_that_does_not_answer_while_vectors_are_looked_for_fails_no_document(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.ingest(NewDocument(id="a", text="\n\n".join(_PARAGRAPHS)))
    model = await storage.embed.model()
    answers: list[object] = [model, Unavailable("gone")]

    async def once(**_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    monkeypatch.setattr(storage.embed, "model", once)
    [changed] = await storage.ingest(NewDocument(id="a", text="Another text."))
    assert (changed.status, answers) == (DocumentStatus.UPDATED, [])


async def test_content_hash_stays_while_nothing_changes_and_is_listed(storage: Storage) -> None:
    [first] = await storage.ingest(NewDocument(id="a", text="One."))
    [again] = await storage.ingest(NewDocument(id="a", text="One."))
    [other] = await storage.ingest(NewDocument(id="a", text="Two."))
    assert first.content_hash == again.content_hash != other.content_hash
    default = await storage.collections.resolve("", tenant="default")
    [listed], _ = await storage.documents.list(default, page_size=10, reader=WHOLE)
    assert listed.content_hash == other.content_hash
