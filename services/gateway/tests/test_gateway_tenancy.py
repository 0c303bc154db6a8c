"""What tenants know of each other: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import grpc as qdrant
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_serving.errors import InvalidField, NotFound

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage


class _Noting(QdrantConnection):
    """A connection that notes each query."""

    queries: list[Any]

    async def call(self, method: Any, request: Any, *, timeout_seconds: float) -> Any:
        if isinstance(request, qdrant.QueryBatchPoints):
            self.queries += request.query_points
        return await super().call(method, request, timeout_seconds=timeout_seconds)


async def test_search_asks_each_leg_once_and_for_its_tenant_only(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    collection = await storage.collections.resolve("", tenant="default")
    connection = _Noting.__new__(_Noting)
    connection.__dict__.update(storage.connection.__dict__, queries=[])
    await ChunkSearch(connection).search(
        collection,
        vector=[1.0] * collection.made.dimension,
        text="report",
        limit=5,
        timeout_seconds=5,
        reader=WHOLE,
    )
    assert sorted(query.using for query in connection.queries) == ["bm25", "dense"]
    assert all(query.filter.must[0].field.key == "tenant" for query in connection.queries)


async def test_collections_of_one_name_are_each_tenants_own(storage: Storage) -> None:
    first = await storage.collections.create("reports", reader=whole("first"))
    await storage.collections.create("reports", reader=whole("second"))
    for tenant, year in (("first", 2020), ("second", "MMXX")):  # not even the kind of a key is the other's
        await storage.ingest(
            NewDocument(id="a", text="Mine.", metadata={"year": year}),
            collection=await storage.collections.resolve("reports", tenant=tenant),
            tenant=tenant,
        )

    assert [one.name for one in await storage.collections.list(reader=whole("first"))] == [first.name]
    one, other = [await storage.collections.get("reports", reader=whole(tenant)) for tenant in ("first", "second")]
    assert (one.chunk_count, dict(one.metadata_keys)) == (1, {"year": MetadataKind.NUMBER})
    assert (other.chunk_count, dict(other.metadata_keys)) == (1, {"year": MetadataKind.TEXT})

    await storage.collections.delete("reports", tenant="second")
    assert (await storage.collections.get("reports", reader=whole("first"))).chunk_count == 1
    with pytest.raises(NotFound):
        await storage.collections.get("reports", reader=whole("second"))
    for call in (storage.collections.find, storage.collections.delete):
        with pytest.raises(NotFound):
            await call("reports", tenant="second")


async def test_tenants_collection_is_not_reached_by_its_alias(storage: Storage) -> None:
    await storage.collections.create("reports", reader=whole("first"))
    with pytest.raises(NotFound):
        await storage.collections.get("first.reports", reader=WHOLE)
    for call in (storage.collections.find, storage.collections.resolve):
        with pytest.raises(NotFound):
            await call("first.reports", tenant="default")
    with pytest.raises(InvalidField):
        await storage.collections.create("first.reports", reader=WHOLE)
    with pytest.raises(InvalidField):
        await storage.collections.delete("first.reports", tenant="default")
