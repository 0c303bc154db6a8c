"""Searches a collection's files with the engine alone, its vectors kept in another form: a child of `million.py`."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import qdrant_edge
from trivium_qdrant_edge.schema import CollectionSchema, DenseSchema, SparseSchema

_NEAREST = 10
_OVERSAMPLING = 2.0
"""As the gateway asks a Qdrant server."""


def _quantisation(kind: str) -> object:
    if kind == "scalar":
        return qdrant_edge.ScalarQuantizationConfig(type=qdrant_edge.ScalarType.Int8, quantile=0.99, always_ram=True)
    return qdrant_edge.BinaryQuantizationConfig(always_ram=True) if kind == "binary" else None


def _load(path: str, kind: str) -> qdrant_edge.EdgeShard:
    schema = CollectionSchema(dense={"dense": DenseSchema(384, "Cosine")}, sparse={"bm25": SparseSchema(idf=True)})
    plain = schema.engine_config()
    config = qdrant_edge.EdgeConfig(
        vectors={
            "dense": qdrant_edge.EdgeVectorParams(
                size=384, distance=qdrant_edge.Distance.Cosine, quantization_config=_quantisation(kind)
            )
        },
        sparse_vectors=plain.sparse_vectors,
        on_disk_payload=plain.on_disk_payload,
        hnsw_config=plain.hnsw_config,
        optimizers=plain.optimizers,
        max_search_threads=plain.max_search_threads,
    )
    return qdrant_edge.EdgeShard.load(path, config)


def main() -> None:
    """Builds, asks, and writes down what it found and how long that took."""
    path, kind, questions, answers = sys.argv[1:]
    begin = time.perf_counter()
    shard = _load(path, kind)
    shard.optimize()
    shard.flush()
    shard.close()
    built = time.perf_counter()
    shard = _load(path, kind)
    loaded = time.perf_counter()
    quantised = qdrant_edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
    params = None if kind == "none" else qdrant_edge.SearchParams(quantization=quantised)
    given = np.load(questions)
    found, seconds = [], []
    for vector, shelf in zip(given["asked"].tolist(), given["shelves"].tolist(), strict=True):
        on_shelf = qdrant_edge.FieldCondition(
            key="metadata.shelf", range=qdrant_edge.RangeFloat(gte=float(shelf), lte=float(shelf))
        )
        asked = time.perf_counter()
        hits = shard.query(
            qdrant_edge.QueryRequest(
                limit=_NEAREST,
                query=qdrant_edge.Query.Nearest(vector, using="dense"),
                filter=qdrant_edge.Filter(must=[on_shelf]),
                params=params,
            )
        )
        seconds.append(time.perf_counter() - asked)
        found.append([str(hit.id) for hit in hits])
    sizes = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE))
    told = {
        "build_seconds": built - begin,
        "load_seconds": loaded - built,
        "found": found,
        "seconds": seconds,
        "rss": int(sizes["VmRSS"]) / 1e3,
        "anonymous": int(sizes["RssAnon"]) / 1e3,
    }
    Path(answers).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
