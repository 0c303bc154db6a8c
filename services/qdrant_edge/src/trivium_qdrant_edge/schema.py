"""The vectors that a collection stores, and how it stores them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import qdrant_edge

if TYPE_CHECKING:
    from collections.abc import Mapping

# Qdrant's own defaults, which the engine asks for where any value is given.
DEFAULT_HNSW_M = 16
DEFAULT_HNSW_EF_CONSTRUCT = 100
DEFAULT_FULL_SCAN_THRESHOLD_KB = 10_000

# The engine searches the segments of a shard in parallel; a collection here has one, or one with an index and one
# without. By default it starts as many threads for each as the host has cores.
_SEARCH_THREAD_COUNT = 2

_DISTANCES = {
    "Cosine": qdrant_edge.Distance.Cosine,
    "Euclid": qdrant_edge.Distance.Euclid,
    "Dot": qdrant_edge.Distance.Dot,
    "Manhattan": qdrant_edge.Distance.Manhattan,
}


DISTRIBUTION = ("shard_number", "replication_factor", "write_consistency_factor")


@dataclass(frozen=True, slots=True)
class HnswSchema:
    """Parameters of the HNSW graph; None stands for Qdrant's default."""

    m: int | None = None
    ef_construct: int | None = None
    full_scan_threshold: int | None = None
    max_indexing_threads: int | None = None
    on_disk: bool | None = None
    payload_m: int | None = None

    def engine_config(self) -> qdrant_edge.HnswIndexConfig:
        """The engine's form, which has no defaults."""
        return qdrant_edge.HnswIndexConfig(
            m=DEFAULT_HNSW_M if self.m is None else self.m,
            ef_construct=DEFAULT_HNSW_EF_CONSTRUCT if self.ef_construct is None else self.ef_construct,
            full_scan_threshold=(
                DEFAULT_FULL_SCAN_THRESHOLD_KB if self.full_scan_threshold is None else self.full_scan_threshold
            ),
            max_indexing_threads=self.max_indexing_threads or 0,
            on_disk=self.on_disk,
            payload_m=self.payload_m,
        )


@dataclass(frozen=True, slots=True)
class OptimizerSchema:
    """When the engine's optimizer acts; None stands for Qdrant's default."""

    deleted_threshold: float | None = None
    vacuum_min_vector_number: int | None = None
    default_segment_number: int | None = None
    max_segment_size: int | None = None
    indexing_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class DenseSchema:
    """One dense vector of each point: its dimension, and `Cosine`, `Euclid`, `Dot` or `Manhattan`."""

    size: int
    distance: str
    on_disk: bool | None = None
    hnsw: HnswSchema | None = None


@dataclass(frozen=True, slots=True)
class SparseSchema:
    """One sparse vector of each point; with `idf` the query's weights are multiplied by the terms' IDF."""

    idf: bool = False
    on_disk: bool | None = None
    full_scan_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class CollectionSchema:
    """What a collection stores. The dense vector named "" is the unnamed one.

    The numbers of shards and copies are those that were asked for, and are told as a Qdrant server of one node tells
    them; there is one of each.
    """

    dense: Mapping[str, DenseSchema]
    sparse: Mapping[str, SparseSchema]
    hnsw: HnswSchema = dataclasses.field(default_factory=HnswSchema)
    optimizers: OptimizerSchema = dataclasses.field(default_factory=OptimizerSchema)
    on_disk_payload: bool = True
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1

    def to_json(self) -> dict[str, Any]:
        """As the catalog stores it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_json` wrote.

        Raises:
            KeyError, TypeError: It did not write this.
        """
        dense = {
            name: DenseSchema(**{**vector, "hnsw": None if vector["hnsw"] is None else HnswSchema(**vector["hnsw"])})
            for name, vector in stored["dense"].items()
        }
        return cls(
            dense=dense,
            sparse={name: SparseSchema(**vector) for name, vector in stored["sparse"].items()},
            hnsw=HnswSchema(**stored["hnsw"]),
            optimizers=OptimizerSchema(**stored["optimizers"]),
            on_disk_payload=stored["on_disk_payload"],
            metadata=stored["metadata"],
            **{name: stored.get(name, 1) for name in DISTRIBUTION},
        )

    def engine_config(self) -> qdrant_edge.EdgeConfig:
        """The engine's form."""
        dense = {
            name: qdrant_edge.EdgeVectorParams(
                size=vector.size,
                distance=_DISTANCES[vector.distance],
                on_disk=vector.on_disk,
                hnsw_config=None if vector.hnsw is None else vector.hnsw.engine_config(),
            )
            for name, vector in self.dense.items()
        }
        sparse = {
            name: qdrant_edge.EdgeSparseVectorParams(
                full_scan_threshold=vector.full_scan_threshold,
                on_disk=vector.on_disk,
                modifier=qdrant_edge.Modifier.Idf if vector.idf else None,
            )
            for name, vector in self.sparse.items()
        }
        return qdrant_edge.EdgeConfig(
            vectors=dense,
            sparse_vectors=sparse,
            on_disk_payload=self.on_disk_payload,
            hnsw_config=self.hnsw.engine_config(),
            optimizers=qdrant_edge.EdgeOptimizersConfig(**dataclasses.asdict(self.optimizers)),
            max_search_threads=_SEARCH_THREAD_COUNT,
        )
