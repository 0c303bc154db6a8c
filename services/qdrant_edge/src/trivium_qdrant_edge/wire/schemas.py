"""What a collection stores: from the request that makes it, and in its description."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.schema import (
    DEFAULT_FULL_SCAN_THRESHOLD_KB,
    DEFAULT_HNSW_EF_CONSTRUCT,
    DEFAULT_HNSW_M,
    DISTRIBUTION,
    CollectionSchema,
    DenseSchema,
    HnswSchema,
    OptimizerSchema,
    SparseSchema,
)
from trivium_qdrant_edge.wire.fields import allow_only, unsupported
from trivium_qdrant_edge.wire.indexes import index_info_to_wire
from trivium_qdrant_edge.wire.values import fill_payload, payload_to_python

if TYPE_CHECKING:
    import qdrant_edge
    from google.protobuf.message import Message

    from trivium_qdrant_edge.catalog import CatalogEntry

_Parameters = TypeVar("_Parameters", HnswSchema, OptimizerSchema)

_CREATE = frozenset((
    "collection_name", "timeout", "vectors_config", "sparse_vectors_config", "hnsw_config", "optimizers_config",
    "on_disk_payload", "shard_number", "replication_factor", "write_consistency_factor", "sharding_method", "metadata",
))  # fmt: skip
_DENSE = frozenset(("size", "distance", "hnsw_config", "on_disk", "datatype"))
_SPARSE = frozenset(("index", "modifier"))
_SPARSE_INDEX = frozenset(("full_scan_threshold", "on_disk", "datatype"))
_LARGEST_DIMENSION = 65_536


def schema_from_wire(request: qdrant.CreateCollection) -> CollectionSchema:
    """What the collection is to store.

    Raises:
        InvalidField: It stores no vectors, or impossible ones.
        Unimplemented: It uses what is not supported.
    """
    allow_only(request, _CREATE)
    distribution = {field.name: value for field, value in request.ListFields() if field.name in DISTRIBUTION}
    for name, number in distribution.items():
        if number < 1:
            raise InvalidField(name, f"Wrong input: {name} must be at least 1, and is {number}")
    if request.sharding_method != qdrant.ShardingMethod.Auto:
        raise unsupported("a sharding method other than auto")
    dense = _dense_from_wire(request.vectors_config)
    sparse = {name: _sparse_from_wire(params) for name, params in request.sparse_vectors_config.map.items()}
    if both := dense.keys() & sparse.keys():
        raise InvalidField("vectors_config", f"Wrong input: {sorted(both)} are dense and sparse vectors at once")
    return CollectionSchema(
        dense=dense,
        sparse=sparse,
        hnsw=_parameters(HnswSchema, request.hnsw_config),
        optimizers=_parameters(OptimizerSchema, request.optimizers_config),
        on_disk_payload=request.on_disk_payload if request.HasField("on_disk_payload") else True,
        metadata=payload_to_python(request.metadata),
        **distribution,
    )


def description_to_wire(entry: CatalogEntry, info: qdrant_edge.ShardInfo) -> qdrant.CollectionInfo:
    """A collection's description, with every field that qdrant-client asks for."""
    schema = entry.schema
    created_at = Timestamp()
    created_at.FromMilliseconds(round(entry.created_at * 1000))
    description = qdrant.CollectionInfo(
        status=qdrant.CollectionStatus.Green,
        optimizer_status=qdrant.OptimizerStatus(ok=True),
        segments_count=info.segments_count,
        config=qdrant.CollectionConfig(
            params=qdrant.CollectionParams(
                shard_number=schema.shard_number,
                replication_factor=schema.replication_factor,
                write_consistency_factor=schema.write_consistency_factor,
                on_disk_payload=schema.on_disk_payload,
                vectors_config=_dense_to_wire(schema),
                sparse_vectors_config=_sparse_to_wire(schema),
            ),
            hnsw_config=_hnsw_to_wire(schema.hnsw),
            optimizer_config=_optimizers_to_wire(schema.optimizers),
            wal_config=qdrant.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0, wal_retain_closed=1),
        ),
        payload_schema={field: index_info_to_wire(index) for field, index in info.payload_schema.items()},
        points_count=info.points_count,
        indexed_vectors_count=info.indexed_vectors_count,
        created_at=created_at,
    )
    fill_payload(description.config.metadata, schema.metadata)
    return description


def _dense_from_wire(wire: qdrant.VectorsConfig) -> dict[str, DenseSchema]:
    kind = wire.WhichOneof("config")
    if kind is None:
        return {}
    named = {"": wire.params} if kind == "params" else wire.params_map.map
    return {name: _one_dense_from_wire(name, params) for name, params in named.items()}


def _one_dense_from_wire(name: str, wire: qdrant.VectorParams) -> DenseSchema:
    allow_only(wire, _DENSE)
    _only_float32(wire)
    if not 1 <= wire.size <= _LARGEST_DIMENSION:
        raise InvalidField(
            f"vectors_config.{name}.size", f"Wrong input: size {wire.size} invalid, must be 1 to {_LARGEST_DIMENSION}"
        )
    if wire.distance not in (
        qdrant.Distance.Cosine,
        qdrant.Distance.Euclid,
        qdrant.Distance.Dot,
        qdrant.Distance.Manhattan,
    ):
        raise InvalidField(f"vectors_config.{name}.distance", "Wrong input: Unknown distance")
    return DenseSchema(
        size=wire.size,
        distance=qdrant.Distance.Name(wire.distance),
        on_disk=wire.on_disk if wire.HasField("on_disk") else None,
        hnsw=_parameters(HnswSchema, wire.hnsw_config) if wire.HasField("hnsw_config") else None,
    )


def _sparse_from_wire(wire: qdrant.SparseVectorParams) -> SparseSchema:
    allow_only(wire, _SPARSE)
    allow_only(wire.index, _SPARSE_INDEX)
    _only_float32(wire.index)
    index = wire.index
    return SparseSchema(
        idf=wire.modifier == qdrant.Modifier.Idf,
        on_disk=index.on_disk if index.HasField("on_disk") else None,
        full_scan_threshold=index.full_scan_threshold if index.HasField("full_scan_threshold") else None,
    )


def _only_float32(wire: qdrant.VectorParams | qdrant.SparseIndexConfig) -> None:
    if wire.datatype not in (qdrant.Datatype.Default, qdrant.Datatype.Float32):
        raise unsupported(f"the datatype {qdrant.Datatype.Name(wire.datatype)}")


def _parameters(kind: type[_Parameters], wire: Message) -> _Parameters:
    names = {field.name for field in dataclasses.fields(kind)}
    allow_only(wire, names)
    return kind(**{field.name: value for field, value in wire.ListFields()})


def _given(parameters: HnswSchema | OptimizerSchema) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(parameters).items() if value is not None}


def _hnsw_to_wire(schema: HnswSchema) -> qdrant.HnswConfigDiff:
    defaults = {
        "m": DEFAULT_HNSW_M,
        "ef_construct": DEFAULT_HNSW_EF_CONSTRUCT,
        "full_scan_threshold": DEFAULT_FULL_SCAN_THRESHOLD_KB,
        "max_indexing_threads": 0,
        "on_disk": False,
    }
    return qdrant.HnswConfigDiff(**{**defaults, **_given(schema)})


def _optimizers_to_wire(schema: OptimizerSchema) -> qdrant.OptimizersConfigDiff:
    defaults = {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 0,
        "indexing_threshold": 10_000,
        "flush_interval_sec": 5,
    }
    return qdrant.OptimizersConfigDiff(**{**defaults, **_given(schema)})


def _dense_to_wire(schema: CollectionSchema) -> qdrant.VectorsConfig:
    named = {
        name: qdrant.VectorParams(
            size=dense.size,
            distance=qdrant.Distance.Value(dense.distance),
            on_disk=dense.on_disk,
            hnsw_config=None if dense.hnsw is None else qdrant.HnswConfigDiff(**_given(dense.hnsw)),
        )
        for name, dense in schema.dense.items()
    }
    if named.keys() == {""}:
        return qdrant.VectorsConfig(params=named[""])
    return qdrant.VectorsConfig(params_map=qdrant.VectorParamsMap(map=named))


def _sparse_to_wire(schema: CollectionSchema) -> qdrant.SparseVectorConfig | None:
    if not schema.sparse:
        return None
    named = {}
    for name, sparse in schema.sparse.items():
        params = qdrant.SparseVectorParams(modifier=qdrant.Modifier.Idf if sparse.idf else None)
        if sparse.on_disk is not None or sparse.full_scan_threshold is not None:
            params.index.CopyFrom(
                qdrant.SparseIndexConfig(on_disk=sparse.on_disk, full_scan_threshold=sparse.full_scan_threshold)
            )
        named[name] = params
    return qdrant.SparseVectorConfig(map=named)
