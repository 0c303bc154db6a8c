"""Whose statistics a search goes by, and how a collection that was one tenant's comes to be shared."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import grpc as qdrant
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.search import Store
from trivium_gateway.library.tenancy import BELIEF_SECONDS, Tenancy
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection

if TYPE_CHECKING:
    from trivium_gateway.library.collections import ResolvedCollection

    from .conftest import Storage


class _Noting(QdrantConnection):
    """A connection that notes each query."""

    queries: list[Any]

    async def call(self, method: Any, request: Any, *, timeout_seconds: float) -> Any:
        if isinstance(request, qdrant.QueryBatchPoints):
            self.queries += request.query_points
        return await super().call(method, request, timeout_seconds=timeout_seconds)


async def _queries_of_a_search(storage: Storage, collection: ResolvedCollection, tenant: str = "default") -> list[Any]:
    connection = _Noting.__new__(_Noting)
    connection.__dict__.update(storage.connection.__dict__, queries=[])
    vector = [1.0] * collection.dimension
    await Store(connection).search(collection, vector=vector, text="report", limit=5, timeout_seconds=5, tenant=tenant)
    return connection.queries


def _counts_anew(queries: list[Any]) -> bool:
    return any(query.params.HasField("idf") for query in queries)


async def test_search_asks_each_leg_once(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    queries = await _queries_of_a_search(storage, await storage.collections.resolve("", tenant="default"))
    assert sorted(query.using for query in queries) == ["bm25", "dense"]


async def test_search_in_a_collection_of_one_tenant_counts_no_words_anew(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    collection = await storage.collections.resolve("", tenant="default")
    queries = await _queries_of_a_search(storage, collection)
    assert not _counts_anew(queries)
    # The filter stays: another tenant finds nothing, and learns nothing of what is there.
    assert all(query.filter.must[0].field.key == "tenant" for query in queries)
    assert _counts_anew(await _queries_of_a_search(storage, collection, tenant="other"))


async def test_search_in_a_collection_of_several_tenants_counts_its_tenants_words(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    await storage.ingest(NewDocument(id="a", text="Another report."), tenant="other")
    shared = await _fresh(storage)
    for tenant in ("default", "other"):
        assert _counts_anew(await _queries_of_a_search(storage, shared, tenant))


async def test_own_statistics_and_those_of_the_tenant_give_the_same_scores(storage: Storage) -> None:
    texts = ["The annual report.", "A report about turbines.", "Turbines and reports of turbines.", "Nothing of both."]
    await storage.ingest(*(NewDocument(id=f"{number}", text=text) for number, text in enumerate(texts)))
    collection = await storage.collections.resolve("", tenant="default")
    assert collection.is_sole("default", time.monotonic())

    async def scores(where: ResolvedCollection) -> dict[str, float | None]:
        found = await storage.store.search(
            where, vector=None, text="turbines report", limit=5, timeout_seconds=5, tenant="default"
        )
        return {one.document_id: one.sparse for one in found.candidates}

    assert await scores(collection) == pytest.approx(await scores(replace(collection, sole_tenant="")))


async def test_first_write_of_another_tenant_waits_until_nobody_believes_in_one(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    collection = await storage.collections.resolve("", tenant="default")
    qdrant_collections = QdrantCollections(storage.connection)
    waiting = asyncio.create_task(Tenancy(qdrant_collections, 3600).admit(collection.physical, "other"))
    while (await qdrant_collections.describe(collection.physical)).sole_tenant:  # noqa: ASYNC110 - Qdrant has no event
        await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()
    # What broke off has to be waited for again, by any other tenant and not by the first.
    again = asyncio.create_task(Tenancy(qdrant_collections, 3600).admit(collection.physical, "third"))
    await asyncio.wait({again}, timeout=0.3)
    assert not again.done()
    again.cancel()
    await Tenancy(qdrant_collections, 0).admit(collection.physical, "other")
    await Tenancy(qdrant_collections, 3600).admit(collection.physical, "third")


async def test_belief_in_one_tenant_ends_before_a_search_that_would_outlast_it(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The report."))
    collection = await _fresh(storage)
    now = time.monotonic()
    assert collection.is_sole("default", now + BELIEF_SECONDS / 2)
    assert not collection.is_sole("default", now + BELIEF_SECONDS)


async def test_collection_from_before_the_fact_was_kept_is_nobodys_alone(storage: Storage) -> None:
    params = qdrant.VectorParams(size=2, distance=qdrant.Distance.Cosine)
    request = qdrant.CreateCollection(
        collection_name="old__123456789012",
        vectors_config=qdrant.VectorsConfig(params_map=qdrant.VectorParamsMap(map={"dense": params})),
    )
    qdrant_collections = QdrantCollections(storage.connection)
    await storage.connection.call(storage.connection.collections.Create, request, timeout_seconds=5)
    try:
        described = await qdrant_collections.describe("old__123456789012")
    finally:
        await qdrant_collections.delete("old__123456789012")
    assert (described.sole_tenant, described.is_shared) == ("", True)


async def _fresh(storage: Storage) -> ResolvedCollection:
    """The default collection as Qdrant has it now."""
    storage.collections.forget(await storage.collections.resolve("", tenant="default"))
    return await storage.collections.resolve("", tenant="default")
