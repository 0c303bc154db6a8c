"""Late chunking as a collection's setting: pieces are embedded with what stands around them, by the real service."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from trivium_gateway.answering.gate import IndexGate
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.ingestion.rebuilding.change import ModelChange
from trivium_gateway.ingestion.rebuilding.models import ModelFinder
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.feedback import FeedbackStore
from trivium_gateway.library.new_document import CarriedContent
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.models.embed_answers import EmbedModel, check_late_chunking
from trivium_gateway.models.late_chunks import ChunkedText
from trivium_gateway.qdrant.points import EmbeddedChunk
from trivium_serving.errors import FailedPrecondition

from .conftest import WHOLE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .conftest import Storage

_LATE = CollectionSettings(late_chunking=True, chunk_tokens=24, chunk_overlap_tokens=0)
_PLAIN = CollectionSettings(chunk_tokens=24, chunk_overlap_tokens=0)
_ONE = NewDocument(id="one", title="Note", text="The pump was serviced in May.")
_LONG = NewDocument(
    id="long",
    title="Log",
    text="\n\n".join(f"In hall {number} its ﬁrst pump was serviced by the team of that year." for number in range(90)),
)


async def _made(storage: Storage, name: str, settings: CollectionSettings, *documents: NewDocument) -> None:
    await storage.collections.create(name, reader=WHOLE)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)
    await tuning.change(name, settings, tenant="default")
    for document in documents:
        collection = await storage.collections.resolve(name, tenant="default")
        assert [one.error for one in await storage.ingest(document, collection=collection)] == [None]


async def _version(storage: Storage, name: str, document: NewDocument) -> str:
    """The version of a document that counts."""
    collection = await storage.collections.resolve(name, tenant="default")
    (stored,) = (await storage.chunks.versions(collection, [str(document.id)], "default")).values()
    current = stored.current()
    assert current is not None
    return current


async def _vectors(storage: Storage, name: str, document: NewDocument) -> NDArray[np.float32]:
    """The vectors of a document's pieces, in their order."""
    collection = await storage.collections.resolve(name, tenant="default")
    found = await storage.chunks.embedded(collection, [await _version(storage, name, document)], "default")
    return np.array(
        [made.vector for _, made in sorted(found, key=lambda one: str(document.text).index(one[0].text))], np.float32
    )


async def test_pieces_are_embedded_with_what_stands_around_them(storage: Storage) -> None:
    short = NewDocument(id="short", title="Log", text=(_LONG.text or "")[:600])
    await _made(storage, "late", _LATE, _ONE, short, _LONG)
    await _made(storage, "copy", _LATE)
    await _made(storage, "plain", _PLAIN, _ONE, short)

    # A document of one piece has the very vector that it has without.
    alone = await _vectors(storage, "plain", _ONE)
    np.testing.assert_allclose(await _vectors(storage, "late", _ONE), alone, atol=2e-3)
    late, plain = await _vectors(storage, "late", short), await _vectors(storage, "plain", short)
    likeness = (late * plain).sum(axis=1)
    assert len(late) > 3
    assert (likeness > 0.6).all()
    assert (likeness < 0.99).all()

    # They are those that the embed service gives of the whole document.
    collection = await storage.collections.resolve("late", tenant="default")
    chunks = await storage.chunks.read_versions(collection, [await _version(storage, "late", short)], "default")
    (of_document,) = chunks.values()
    text = ChunkedText(
        "Log", str(short.text), [(one.start, one.end) for one in sorted(of_document, key=lambda one: one.start)]
    )
    asked = await storage.embed.embed_documents(
        [text], expected_fingerprint=collection.made.fingerprint, timeout_seconds=60
    )
    np.testing.assert_allclose(late, asked.vectors, atol=2e-3)

    # Such vectors come with a document, if that index is made alike.
    given = {(one.start, one.end): EmbeddedChunk([1.0] + [0.0] * 383, b"") for one in of_document}
    copy = await storage.collections.resolve("copy", tenant="default")
    carried = CarriedContent("", (), collection.made.vectors, given)
    await storage.ingest(replace(short, carried=carried), collection=copy)
    assert (await _vectors(storage, "copy", short))[:, 0].tolist() == [1.0] * len(late)

    # Whatever a document is written together with, and however long it is.
    more = [NewDocument(id=f"other-{number}", text=f"{number} {short.text}") for number in range(4)]
    await storage.collections.create("beside", reader=WHOLE)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)
    await tuning.change("beside", _LATE, tenant="default")
    beside = await storage.collections.resolve("beside", tenant="default")
    await storage.ingest(*more, _LONG, collection=beside)
    long = await _vectors(storage, "late", _LONG)
    assert len(long) > 64
    np.testing.assert_allclose(await _vectors(storage, "beside", _LONG), long, atol=2e-3)


async def test_change_of_the_setting_takes_a_reindexing_and_vectors_are_not_mixed(
    storage: Storage, tmp_path: Path
) -> None:
    short = NewDocument(id="short", title="Log", text=(_LONG.text or "")[:600])
    await _made(storage, "notes", _PLAIN, short)
    plain = await _vectors(storage, "notes", short)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)
    await tuning.change("notes", _LATE, tenant="default")

    assert (await storage.collections.get("notes", reader=WHOLE)).needs_reindex
    collection = await storage.collections.resolve("notes", tenant="default")
    copy = NewDocument(id="copy", title="Log", text=short.text)
    await storage.ingest(copy, collection=collection)
    np.testing.assert_allclose(await _vectors(storage, "notes", copy), plain, atol=2e-3)  # until then as the others

    models = ModelFinder(storage.embed, storage.chunks, storage.ingester.transfer)
    gate = IndexGate(storage.embed, storage.chunk_search, storage.chunks, FeedbackStore(tmp_path))
    change = ModelChange(storage.connection, storage.collections, models, storage.ingester.transfer, gate)
    while (done := await change.work("notes", tenant="default", model="", force=True, seconds=1.0)) is not None:
        if done.done:
            break
    late = await _vectors(storage, "notes", short)
    assert ((late * plain).sum(axis=1) < 0.99).all()
    np.testing.assert_allclose(await _vectors(storage, "notes", copy), late, atol=2e-3)
    assert not (await storage.collections.get("notes", reader=WHOLE)).needs_reindex
    now = await storage.collections.resolve("notes", tenant="default")
    assert now.made.late_chunking
    assert now.made.vectors != collection.made.vectors
    assert now.made.fingerprint == collection.made.fingerprint


def test_model_that_cannot_is_refused_by_name() -> None:
    with pytest.raises(FailedPrecondition, match=r"some-model .* means") as caught:
        check_late_chunking(EmbedModel("some-model", "f" * 64, 8, 64, 512))
    assert caught.value.reason == "LATE_CHUNKING_NOT_SUPPORTED"


def test_chunks_stay_where_they_are_when_letters_are_made_plain() -> None:
    text, chunks = ChunkedText("ﬁ", "ﬁrst ﬂoor", [(0, 4), (5, 9)]).asked()
    assert text == "fi\nfirst floor"
    assert [text[one.start : one.end] for one in chunks.spans] == ["first", "floor"]
    assert chunks.heading_characters == 3
