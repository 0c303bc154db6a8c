"""Documents that version 0.1.0 stored: read as they are, not embedded anew, and replaced when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qdrant_client import grpc as qdrant
from qdrant_client.conversions.conversion import json_to_value
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.totals import Totals
from trivium_gateway.library.versions import content_hash_of
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.qdrant.point_ids import earlier_head_id

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage

_TEXT = "".join(f"Earlier sentence number {number} of the document. " for number in range(60))


async def _store_as_earlier(storage: Storage, *documents: NewDocument) -> None:
    """Store documents in layout 1: chunk 0 of each version has its own id, and chunks do not say how many they are."""
    await storage.ingest(*documents)
    collection = await storage.collections.resolve("", tenant="default")
    points, collections, call = storage.connection.points, storage.connection.collections, storage.connection.call
    stored = await call(
        points.Scroll,
        qdrant.ScrollPoints(
            collection_name=collection.physical,
            limit=1000,
            with_payload=qdrant.WithPayloadSelector(enable=True),
            with_vectors=qdrant.WithVectorsSelector(enable=True),
        ),
        timeout_seconds=30,
    )
    earlier = []
    for point in stored.result:
        payload = dict(point.payload)
        content_hash = content_hash_of(payload["content_hash"].string_value)
        payload |= {"content_hash": json_to_value(content_hash), "schema_version": json_to_value(1)}
        del payload["chunk_count"]
        for name in ("text_bytes_high", "text_bytes_low"):
            payload.pop(name, None)
        is_head = payload["chunk_index"].integer_value == 0
        point_id = earlier_head_id("default", payload["document_id"].string_value, content_hash)
        vectors = {name: _vector(one) for name, one in point.vectors.vectors.vectors.items()}
        earlier.append(
            qdrant.PointStruct(
                id=qdrant.PointId(uuid=point_id) if is_head else point.id,
                payload=payload,
                vectors=qdrant.Vectors(vectors=qdrant.NamedVectors(vectors=vectors)),
            )
        )
    everything = qdrant.PointsSelector(filter=qdrant.Filter())
    await call(
        points.Delete,
        qdrant.DeletePoints(collection_name=collection.physical, wait=True, points=everything),
        timeout_seconds=30,
    )
    for name in ("chunk_count", "text_bytes_high", "text_bytes_low"):
        index = qdrant.DeleteFieldIndexCollection(collection_name=collection.physical, wait=True, field_name=name)
        await call(points.DeleteFieldIndex, index, timeout_seconds=30)
    await call(
        points.Upsert,
        qdrant.UpsertPoints(collection_name=collection.physical, wait=True, points=earlier),
        timeout_seconds=30,
    )
    storage.collections.forget(collection)
    assert not (await call(
        collections.Get, qdrant.GetCollectionInfoRequest(collection_name=collection.physical), timeout_seconds=30
    )).result.payload_schema.get("chunk_count")  # fmt: skip


def _vector(stored: qdrant.VectorOutput) -> qdrant.Vector:
    if stored.HasField("sparse"):
        return qdrant.Vector(sparse=qdrant.SparseVector(values=stored.sparse.values, indices=stored.sparse.indices))
    return qdrant.Vector(dense=qdrant.DenseVector(data=stored.dense.data or stored.data))


async def _found(storage: Storage) -> set[tuple[str, int]]:
    collection = await storage.collections.find("", tenant="default")
    assert collection is not None
    found = await storage.chunk_search.search(
        collection, vector=None, text="sentence of the document", limit=100, timeout_seconds=30, reader=WHOLE
    )
    return {(one.chunk.document_id, one.chunk.index) for one in found.candidates}


async def test_earlier_documents_are_read_counted_unchanged_and_not_swept(storage: Storage) -> None:
    await _store_as_earlier(storage, NewDocument(id="a", text=_TEXT), NewDocument(id="b", text="One sentence."))
    collection = await storage.collections.find("", tenant="default")
    assert collection is not None
    assert (await storage.documents.get(collection, "a", reader=WHOLE)).text == _TEXT
    listed, _ = await storage.documents.list(collection, page_size=10, reader=WHOLE)
    counts = {one.id: one.chunk_count for one in listed}
    assert counts["b"] == 1
    everything = {("a", index) for index in range(counts["a"])} | {("b", 0)}
    assert await _found(storage) == everything
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == len(everything)
    storage.embed.embedded = 0
    (result,) = await storage.ingest(NewDocument(id="a", text=_TEXT))
    assert (result.status.value, result.chunk_count, storage.embed.embedded) == ("unchanged", counts["a"], 0)
    # The write has indexed what new chunks have.
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == len(everything)
    assert await storage.sweeper.sweep() == 0
    assert await _found(storage) == everything


async def test_earlier_documents_are_counted_with_their_texts_beside_later_ones(storage: Storage) -> None:
    umlauts = "Größe über alles. " * 120
    await _store_as_earlier(storage, NewDocument(id="a", text=_TEXT), NewDocument(id="b", text=umlauts))
    totals = Totals(storage.connection)
    size = len(_TEXT.encode()) + len(umlauts.encode())
    assert await totals.count("default") == {"default": Stored(2, size)}
    await storage.ingest(NewDocument(id="c", text="New."))  # which makes the index that they lack
    assert await totals.count("default") == {"default": Stored(3, size + 4)}


async def test_earlier_document_is_replaced_by_its_next_version_and_can_be_deleted(storage: Storage) -> None:
    await _store_as_earlier(storage, NewDocument(id="a", text=_TEXT), NewDocument(id="b", text=_TEXT))
    (result,) = await storage.ingest(NewDocument(id="a", text="Another sentence of the document."))
    assert result.status.value == "updated"
    collection = await storage.collections.resolve("", tenant="default")
    assert (await storage.documents.get(collection, "a", reader=WHOLE)).text.startswith("Another")
    assert {one for one in await _found(storage) if one[0] == "a"} == {("a", 0)}
    assert await storage.documents.delete(collection, ["b"], reader=WHOLE) == ["b"]
    assert await _found(storage) == {("a", 0)}
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == 1
