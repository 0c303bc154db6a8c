"""Qdrant's `Points` service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import qdrant_edge
from trivium_serving.errors import InvalidField, TooLarge

from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.changes import (
    clear_payload_to_engine,
    delete_payload_to_engine,
    delete_to_engine,
    set_payload_to_engine,
    upsert_to_engine,
)
from trivium_qdrant_edge.wire.fields import allow_only
from trivium_qdrant_edge.wire.filters import FilterConverter
from trivium_qdrant_edge.wire.found_points import facet_hit_to_wire, record_to_wire, scored_point_to_wire
from trivium_qdrant_edge.wire.indexes import create_index_to_engine
from trivium_qdrant_edge.wire.queries import WITHOUT_EFFECT, QueryConverter
from trivium_qdrant_edge.wire.selectors import order_by_to_engine, payload_selector, vectors_selector
from trivium_qdrant_edge.wire.unserved import refuse_other_rpcs
from trivium_qdrant_edge.wire.vectors import point_id_to_engine, point_id_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_serving.admission import Admission

    from trivium_qdrant_edge.database import Database
    from trivium_qdrant_edge.schema import CollectionSchema
    from trivium_qdrant_edge.settings import Limits

_Result = TypeVar("_Result")

_DEFAULT_LIMIT = 10

# What an index of a field takes on the disk for each point that is there already, about.
_INDEX_BYTES = 64

# How long the files of a new index are, most of it holes. Measured: 35 MiB of words, up to 8 MiB of other kinds.
_WORDS_FILES_BYTES = 36 << 20
_OTHER_FILES_BYTES = 9 << 20

_BATCH = WITHOUT_EFFECT | {"collection_name", "query_points"}
_GET = WITHOUT_EFFECT | {"collection_name", "ids", "with_payload", "with_vectors"}
_SCROLL = WITHOUT_EFFECT | {
    "collection_name", "filter", "offset", "limit", "with_payload", "with_vectors", "order_by"
}  # fmt: skip
_COUNT = WITHOUT_EFFECT | {"collection_name", "filter", "exact"}
_FACET = WITHOUT_EFFECT | {"collection_name", "key", "filter", "limit", "exact"}
_DELETE_INDEX = frozenset(("collection_name", "wait", "ordering", "timeout", "field_name"))


@refuse_other_rpcs
class PointsServicer(qdrant.PointsServicer):
    """Stores, finds and deletes points.

    Args:
        database: Where they are.
        limits: What one request may ask for.
        admission: Bounds the calls and bytes in work or waiting.
    """

    def __init__(self, database: Database, limits: Limits, admission: Admission) -> None:
        self._database = database
        self._limits = limits
        self._admission = admission

    async def Upsert(self, request: qdrant.UpsertPoints, context: object) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda schema: upsert_to_engine(request, schema, self._limits))

    async def Delete(self, request: qdrant.DeletePoints, context: object) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda _: delete_to_engine(request, self._limits), makes_room=True)

    async def SetPayload(self, request: qdrant.SetPayloadPoints, context: object) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda _: set_payload_to_engine(request, self._limits, overwrite=False))

    async def OverwritePayload(
        self, request: qdrant.SetPayloadPoints, context: object
    ) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda _: set_payload_to_engine(request, self._limits, overwrite=True))

    async def DeletePayload(
        self, request: qdrant.DeletePayloadPoints, context: object
    ) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda _: delete_payload_to_engine(request, self._limits), makes_room=True)

    async def ClearPayload(self, request: qdrant.ClearPayloadPoints, context: object) -> qdrant.PointsOperationResponse:
        return await self._write(request, lambda _: clear_payload_to_engine(request, self._limits), makes_room=True)

    async def CreateFieldIndex(
        self, request: qdrant.CreateFieldIndexCollection, context: object
    ) -> qdrant.PointsOperationResponse:
        of_words = request.field_type == qdrant.FieldType.FieldTypeText or request.field_index_params.HasField(
            "text_index_params"
        )
        return await self._write(
            request,
            lambda _: create_index_to_engine(request),
            bytes_per_point=_INDEX_BYTES,
            files_bytes=_WORDS_FILES_BYTES if of_words else _OTHER_FILES_BYTES,
        )

    async def DeleteFieldIndex(
        self, request: qdrant.DeleteFieldIndexCollection, context: object
    ) -> qdrant.PointsOperationResponse:
        def delete_index(_: CollectionSchema) -> Change:
            allow_only(request, _DELETE_INDEX)
            return Change(qdrant_edge.UpdateOperation.delete_field_index(request.field_name), None)

        return await self._write(request, delete_index, makes_room=True)

    async def Query(self, request: qdrant.QueryPoints, context: object) -> qdrant.QueryResponse:
        def query(shard: qdrant_edge.EdgeShard) -> list[qdrant.ScoredPoint]:
            found = shard.query(QueryConverter(self._limits).convert(request))
            return [scored_point_to_wire(point) for point in found]

        started = time.perf_counter()
        result = await self._read(request, query)
        return qdrant.QueryResponse(result=result, time=time.perf_counter() - started)

    async def QueryBatch(self, request: qdrant.QueryBatchPoints, context: object) -> qdrant.QueryBatchResponse:
        def query(shard: qdrant_edge.EdgeShard) -> list[qdrant.BatchResult]:
            self._check_batch(request)
            converter = QueryConverter(self._limits)
            queries = [converter.convert(one) for one in request.query_points]
            batch = shard.query_batch(qdrant_edge.QueryBatchRequest(queries))
            return [qdrant.BatchResult(result=[scored_point_to_wire(point) for point in found]) for found in batch]

        started = time.perf_counter()
        result = await self._read(request, query)
        return qdrant.QueryBatchResponse(result=result, time=time.perf_counter() - started)

    async def Get(self, request: qdrant.GetPoints, context: object) -> qdrant.GetResponse:
        def get(shard: qdrant_edge.EdgeShard) -> list[qdrant.RetrievedPoint]:
            allow_only(request, _GET)
            if len(request.ids) > self._limits.points_per_call:
                raise TooLarge(
                    f"Wrong input: {len(request.ids)} ids in one call, of which at most "
                    f"{self._limits.points_per_call} are taken. Ask in several calls.",
                    field="ids",
                )
            ids = [point_id_to_engine(point_id) for point_id in request.ids]
            found = shard.retrieve(ids, payload_selector(request, default=True), vectors_selector(request))
            return [record_to_wire(record) for record in found]

        started = time.perf_counter()
        result = await self._read(request, get)
        return qdrant.GetResponse(result=result, time=time.perf_counter() - started)

    async def Scroll(self, request: qdrant.ScrollPoints, context: object) -> qdrant.ScrollResponse:
        def scroll(shard: qdrant_edge.EdgeShard) -> qdrant.ScrollResponse:
            allow_only(request, _SCROLL)
            scroll_request = qdrant_edge.ScrollRequest(
                offset=point_id_to_engine(request.offset) if request.HasField("offset") else None,
                limit=self._limit(request),
                filter=self._filter(request),
                with_payload=payload_selector(request, default=True),
                with_vector=vectors_selector(request),
                order_by=order_by_to_engine(request.order_by) if request.HasField("order_by") else None,
            )
            found, next_id = shard.scroll(scroll_request)
            return qdrant.ScrollResponse(
                result=[record_to_wire(record) for record in found],
                next_page_offset=None if next_id is None else point_id_to_wire(next_id),
            )

        started = time.perf_counter()
        response = await self._read(request, scroll)
        response.time = time.perf_counter() - started
        return response

    async def Count(self, request: qdrant.CountPoints, context: object) -> qdrant.CountResponse:
        def count(shard: qdrant_edge.EdgeShard) -> int:
            allow_only(request, _COUNT)
            exact = request.exact if request.HasField("exact") else True
            return shard.count(qdrant_edge.CountRequest(exact=exact, filter=self._filter(request)))

        started = time.perf_counter()
        result = qdrant.CountResult(count=await self._read(request, count))
        return qdrant.CountResponse(result=result, time=time.perf_counter() - started)

    async def Facet(self, request: qdrant.FacetCounts, context: object) -> qdrant.FacetResponse:
        def facet(shard: qdrant_edge.EdgeShard) -> list[qdrant.FacetHit]:
            allow_only(request, _FACET)
            found = shard.facet(
                qdrant_edge.FacetRequest(
                    key=request.key, limit=self._limit(request), exact=request.exact, filter=self._filter(request)
                )
            )
            return [facet_hit_to_wire(hit) for hit in found.hits]

        started = time.perf_counter()
        hits = await self._read(request, facet)
        return qdrant.FacetResponse(hits=hits, time=time.perf_counter() - started)

    async def _read(self, request: Any, work: Callable[[qdrant_edge.EdgeShard], _Result]) -> _Result:
        collection = self._database.collection(request.collection_name)
        with self._admission.admit(request.ByteSize()):
            return await collection.read(work)

    async def _write(
        self,
        request: Any,
        convert: Callable[[CollectionSchema], Change],
        *,
        makes_room: bool = False,
        bytes_per_point: int = 0,
        files_bytes: int = 0,
    ) -> qdrant.PointsOperationResponse:
        started = time.perf_counter()
        collection = self._database.collection(request.collection_name)
        size_bytes = request.ByteSize()
        with self._admission.admit(size_bytes):
            size_bytes += bytes_per_point * collection.points_count() if bytes_per_point else 0
            await collection.write(
                lambda: convert(collection.entry.schema), None if makes_room else size_bytes, files_bytes
            )
        # `wait` or not, the write is done.
        result = qdrant.UpdateResult(status=qdrant.UpdateStatus.Completed)
        return qdrant.PointsOperationResponse(result=result, time=time.perf_counter() - started)

    def _filter(self, request: Any) -> qdrant_edge.Filter | None:
        if not request.HasField("filter"):
            return None
        return FilterConverter(self._limits.filter_conditions).convert(request.filter)

    def _limit(self, request: Any) -> int:
        limit: int = request.limit if request.HasField("limit") else _DEFAULT_LIMIT
        if limit < 1:
            raise InvalidField("limit", "Wrong input: limit: value 0 invalid, must be 1 or larger")
        if limit > self._limits.query_limit:
            raise TooLarge(
                f"Wrong input: a page of {limit} was asked for, the longest has {self._limits.query_limit}. Ask for "
                "several pages, or raise TRIVIUM_QDRANT_EDGE_MAX_QUERY_LIMIT.",
                field="limit",
            )
        return limit

    def _check_batch(self, request: qdrant.QueryBatchPoints) -> None:
        allow_only(request, _BATCH)
        if len(request.query_points) > self._limits.queries_per_batch:
            raise TooLarge(
                f"Wrong input: {len(request.query_points)} queries in one batch, of which at most "
                f"{self._limits.queries_per_batch} are taken. Send several batches.",
                field="query_points",
            )
        for query in request.query_points:
            if query.collection_name not in ("", request.collection_name):
                raise InvalidField(
                    "query_points",
                    f"Wrong input: a batch is for one collection, but has queries for `{request.collection_name}` and "
                    f"`{query.collection_name}`",
                )
