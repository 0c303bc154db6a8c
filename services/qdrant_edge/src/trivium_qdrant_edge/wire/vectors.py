"""Point ids and vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import qdrant_edge
from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.bm25 import bm25_model
from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.fields import unsupported
from trivium_qdrant_edge.wire.values import payload_to_python

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_qdrant_edge.schema import CollectionSchema

NamedVector = list[float] | qdrant_edge.SparseVector


def point_id_to_engine(point_id: qdrant.PointId) -> qdrant_edge.PointId:
    """A point's id: a number, or a UUID as text, which the engine checks.

    Raises:
        InvalidField: It is neither.
    """
    kind = point_id.WhichOneof("point_id_options")
    if kind == "num":
        return point_id.num
    if kind == "uuid":
        return point_id.uuid
    raise InvalidField("id", "Wrong input: a point id without a number or UUID")


def point_id_to_wire(point_id: Any) -> qdrant.PointId:
    """A point's id as it travels."""
    return qdrant.PointId(num=point_id) if isinstance(point_id, int) else qdrant.PointId(uuid=str(point_id))


def dense_to_engine(values: Sequence[float], field: str) -> list[float]:
    """A dense vector, known to be finite: the engine takes NaN and then never finds the point.

    Raises:
        InvalidField: It is not finite.
    """
    numbers = list(values[:])  # a copy by slice is faster than by iteration
    if not math.isfinite(sum(numbers)):
        raise InvalidField(field, "Wrong input: a vector must have finite numbers only")
    return numbers


def sparse_to_engine(indices: Sequence[int], values: Sequence[float], field: str) -> qdrant_edge.SparseVector:
    """A sparse vector; the engine checks none of this.

    Raises:
        InvalidField: The numbers of indices and values differ, an index comes twice, or a value is not finite.
    """
    if len(indices) != len(values):
        raise InvalidField(field, f"Wrong input: {len(indices)} indices but {len(values)} values")
    if len(set(indices)) != len(indices):
        raise InvalidField(field, "Wrong input: the indices of a sparse vector must be unique")
    return qdrant_edge.SparseVector(list(indices), dense_to_engine(values, field))


def stored_vectors_to_engine(vectors: qdrant.Vectors, schema: CollectionSchema, field: str) -> dict[str, NamedVector]:
    """The vectors of a point to store, known to fit the collection.

    Args:
        vectors: As they came.
        schema: The collection's.
        field: Where they came from, for errors.

    Raises:
        InvalidField: They do not fit.
        Unimplemented: They are of a kind that is not supported.
    """
    kind = vectors.WhichOneof("vectors_options")
    if kind is None:
        raise InvalidField(field, "Wrong input: Expected some vectors")
    named: Mapping[str, qdrant.Vector] = {"": vectors.vector} if kind == "vector" else vectors.vectors.vectors
    return {name: _stored_vector(vector, name, schema, f"{field}.{name}") for name, vector in named.items()}


def _stored_vector(vector: qdrant.Vector, name: str, schema: CollectionSchema, field: str) -> NamedVector:
    converted = _any_stored_vector(vector, field)
    dense, sparse = schema.dense.get(name), schema.sparse.get(name)
    if dense is None and sparse is None:
        raise InvalidField(field, f"Wrong input: Not existing vector name error: {name}")
    if isinstance(converted, list) != (dense is not None):
        expected = "sparse" if dense is None else "dense"
        raise InvalidField(field, f"Wrong input: vector `{name}` of this collection is {expected}, this one is not")
    if dense is not None and isinstance(converted, list) and len(converted) != dense.size:
        raise InvalidField(
            field, f"Wrong input: Vector dimension error: expected dim: {dense.size}, got {len(converted)}"
        )
    return converted


def _any_stored_vector(vector: qdrant.Vector, field: str) -> NamedVector:
    kind = vector.WhichOneof("vector")
    if kind == "dense":
        return dense_to_engine(vector.dense.data, field)
    if kind == "sparse":
        return sparse_to_engine(vector.sparse.indices, vector.sparse.values, field)
    if kind == "document":
        document = vector.document
        return bm25_model(document.model, payload_to_python(document.options)).embed_document(document.text)
    if kind is not None:
        raise unsupported(f"a vector given as `{kind}`")
    if vector.HasField("vectors_count"):
        raise unsupported("a multi-vector")
    if vector.HasField("indices"):
        return sparse_to_engine(vector.indices.data, vector.data, field)
    return dense_to_engine(vector.data, field)


def query_vector_to_engine(vector: qdrant.VectorInput, field: str) -> NamedVector:
    """The vector of a query.

    Raises:
        InvalidField: It cannot be one.
        Unimplemented: It is of a kind that is not supported.
    """
    kind = vector.WhichOneof("variant")
    if kind == "dense":
        return dense_to_engine(vector.dense.data, field)
    if kind == "sparse":
        return sparse_to_engine(vector.sparse.indices, vector.sparse.values, field)
    if kind == "document":
        document = vector.document
        return bm25_model(document.model, payload_to_python(document.options)).embed_query(document.text)
    if kind is None:
        raise InvalidField(field, "Wrong input: a query without a vector")
    raise unsupported(f"a query vector given as `{kind}`")


def vectors_to_wire(vectors: Any) -> qdrant.VectorsOutput | None:
    """The vectors of a point that was found, None if none were asked for."""
    if vectors is None:
        return None
    if isinstance(vectors, list):
        return qdrant.VectorsOutput(vector=_vector_to_wire(vectors))
    named = {name: _vector_to_wire(vector) for name, vector in vectors.items()}
    if named.keys() == {""}:
        return qdrant.VectorsOutput(vector=named[""])
    return qdrant.VectorsOutput(vectors=qdrant.NamedVectorsOutput(vectors=named))


def _vector_to_wire(vector: NamedVector) -> qdrant.VectorOutput:
    if isinstance(vector, list):
        return qdrant.VectorOutput(dense=qdrant.DenseVector(data=vector))
    return qdrant.VectorOutput(sparse=qdrant.SparseVector(indices=vector.indices, values=vector.values))
