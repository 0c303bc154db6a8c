"""How a chunk is kept in Qdrant, and the filters over chunks. Every filter begins in `scoped_filter`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pybase64
from google.protobuf.timestamp_pb2 import Timestamp

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.filters import AnyOf, Condition, Filter, Not, Part, Range
from trivium_gateway.domain.metadata import Metadata, MetadataKind, flat_metadata
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.learned import LEARNED, sparse_vector
from trivium_gateway.qdrant.line_boxes import packed_boxes, unpacked_boxes
from trivium_gateway.qdrant.owners import owners, owners_read_by, readers_of
from trivium_gateway.qdrant.point_ids import point_id
from trivium_gateway.qdrant.text_bytes import text_bytes_of, text_bytes_payload
from trivium_gateway.qdrant.values import from_value, to_value

__all__ = [
    "BM25",
    "CHUNK_FIELDS",
    "DENSE",
    "HAS_TOKEN_CODES",
    "SCHEMA_VERSION",
    "TOKEN_CODES",
    "EmbeddedChunk",
    "Point",
    "Scope",
    "chunk_from_payload",
    "coded_condition",
    "empty_condition",
    "id_condition",
    "integer_condition",
    "keyword_condition",
    "metadata_key",
    "metadata_path",
    "narrowed",
    "point_of",
    "scoped_filter",
    "token_codes_from",
    "token_codes_payload",
]

DENSE = "dense"
"""Name of the vector that the embedding model makes."""
BM25 = "bm25"
"""Name of the sparse vector of the words."""
CHUNK_FIELDS = (
    *("document_id", "chunk_index", "content_hash", "chunk_count"),
    *("text", "title", "uri", "start", "end", "metadata"),
    *("heading", "page", "table_header", "nested_metadata", "container", "boxes", "tenant"),
)
"""Payload fields that a chunk is read from."""
TOKEN_CODES = "token_codes"
"""Payload field of the vectors of a chunk's tokens, in base64: a payload has no bytes."""
HAS_TOKEN_CODES = "has_token_codes"
"""Payload field that is true where there are token codes: it has an index, so that those can be counted."""
SCHEMA_VERSION = 2
"""Version of the payload's layout, kept in each payload. Of version 1 were chunks without `chunk_count`."""

Point = qdrant.PointStruct
"""A chunk with its vectors, ready to be written; only this folder looks into it."""
Scope = qdrant.Filter
"""Which chunks a call is about; made by `scoped_filter`, and only this folder looks into it."""

_METADATA_PREFIX, _PLAIN_KEY = "metadata.", re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """What the embedding model made of a chunk.

    Attributes:
        vector: Its dense vector.
        token_codes: The vectors of its tokens, packed; empty if there are none.
        learned: Its learned sparse vector; None if there is none. One without any weights is there, and is not kept.
    """

    vector: Sequence[float]
    token_codes: bytes
    learned: SparseWeights | None = None


def point_of(chunk: Chunk, embedded: EmbeddedChunk, words: qdrant.Vector | None, tenant: str) -> qdrant.PointStruct:
    """Make the point that keeps a chunk.

    Its payload has the metadata flat, as filters see them; beside these, as `nested_metadata`, as they came, if that is
    something else.

    Args:
        chunk: The chunk.
        embedded: What the embedding model made of it.
        words: The vector of its words; None if it has none.
        tenant: Whose it is.
    """
    payload: dict[str, Any] = {
        "tenant": owners(tenant, chunk.readers),
        "document_id": chunk.document_id,
        "chunk_index": chunk.index,
        "text": chunk.text,
        "title": chunk.title,
        "uri": chunk.uri,
        "start": chunk.start,
        "end": chunk.end,
        "content_hash": chunk.version,
        "chunk_count": chunk.chunk_count,
        "metadata": flat_metadata(chunk.metadata),
        "schema_version": SCHEMA_VERSION,
    }
    if payload["metadata"] != chunk.metadata:
        payload["nested_metadata"] = chunk.metadata
    place = {"heading": list(chunk.heading), "page": chunk.page, "table_header": chunk.table_header}
    place |= {"container": chunk.container, "boxes": packed_boxes(chunk.boxes, chunk.start)}
    payload |= {key: value for key, value in place.items() if value} | text_bytes_payload(chunk.text_bytes)
    codes = token_codes_payload(embedded.token_codes) if embedded.token_codes else {}
    vectors = {DENSE: qdrant.Vector(dense=qdrant.DenseVector(data=embedded.vector))}
    vectors |= {BM25: words} if words is not None else {}
    if embedded.learned is not None and embedded.learned.indices:
        vectors[LEARNED] = qdrant.Vector(sparse=sparse_vector(embedded.learned))
    return qdrant.PointStruct(
        id=qdrant.PointId(uuid=point_id(tenant, chunk.document_id, chunk.index, chunk.version)),
        payload={key: to_value(value) for key, value in payload.items()} | codes,
        vectors=qdrant.Vectors(vectors=qdrant.NamedVectors(vectors=vectors)),
    )


def chunk_from_payload(payload: Mapping[str, Any]) -> Chunk:
    """Read a chunk from a point's payload. Fields that were not asked for are empty."""
    fields = {key: from_value(value) for key, value in payload.items() if key != TOKEN_CODES}
    return Chunk(
        document_id=fields.get("document_id", ""),
        index=fields.get("chunk_index", 0),
        title=fields.get("title", ""),
        uri=fields.get("uri", ""),
        text=fields.get("text", ""),
        start=fields.get("start", 0),
        end=fields.get("end", 0),
        version=fields.get("content_hash", ""),
        chunk_count=fields.get("chunk_count", 0),
        metadata=cast("Metadata", fields.get("nested_metadata") or fields.get("metadata", {})),
        heading=tuple(fields.get("heading", ())),
        page=fields.get("page", 0),
        table_header=fields.get("table_header", ""),
        container=fields.get("container", ""),
        boxes=unpacked_boxes(fields.get("boxes", ""), fields.get("start", 0)),
        readers=readers_of(fields.get("tenant")),
        text_bytes=text_bytes_of(fields),
    )


def token_codes_payload(token_codes: bytes) -> dict[str, Any]:
    """Make the part of a payload that keeps a chunk's token codes."""
    return {
        TOKEN_CODES: to_value(pybase64.b64encode_as_string(token_codes)),
        HAS_TOKEN_CODES: to_value(True),
    }


def token_codes_from(payload: Mapping[str, Any]) -> bytes:
    """Read a chunk's token codes from its point's payload; empty if it has none that can be read."""
    value = payload.get(TOKEN_CODES)
    try:
        return pybase64.b64decode(value.string_value, validate=True) if value is not None else b""
    except ValueError:
        return b""


def scoped_filter(
    reader: Reader,
    conditions: Iterable[qdrant.Condition] = (),
    user_filter: Filter | None = None,
    *,
    without: Iterable[qdrant.Condition] = (),
) -> qdrant.Filter:
    """Make the filter of a call. It is the only place that makes one, and no filter is without its reader.

    Args:
        reader: Whose points, and which of them.
        conditions: What the gateway itself asks for.
        user_filter: What the request asks for.
        without: What no point may fulfil.
    """
    asked = [_condition_of(part) for part in user_filter.parts] if user_filter else []
    own = keyword_condition("tenant", owners_read_by(reader))
    return qdrant.Filter(must=[own, *conditions, *asked], must_not=without)


def narrowed(scope: Scope, ids: Iterable[str]) -> Scope:
    """Make the filter of those points of a scope that have some ids."""
    return qdrant.Filter(must=[*scope.must, id_condition(ids)], must_not=scope.must_not)


def keyword_condition(field: str, values: Sequence[str]) -> qdrant.Condition:
    """Ask that a text field has one of some values."""
    several = qdrant.Match(keywords=qdrant.RepeatedStrings(strings=values))
    match = qdrant.Match(keyword=values[0]) if len(values) == 1 else several
    return qdrant.Condition(field=qdrant.FieldCondition(key=field, match=match))


def integer_condition(field: str, value: int) -> qdrant.Condition:
    """Ask that a field has a whole number."""
    return qdrant.Condition(field=qdrant.FieldCondition(key=field, match=qdrant.Match(integer=value)))


def coded_condition() -> qdrant.Condition:
    """Ask that a point has token codes."""
    return qdrant.Condition(field=qdrant.FieldCondition(key=HAS_TOKEN_CODES, match=qdrant.Match(boolean=True)))


def id_condition(ids: Iterable[str]) -> qdrant.Condition:
    """Ask that a point is one of some."""
    return qdrant.Condition(has_id=qdrant.HasIdCondition(has_id=[qdrant.PointId(uuid=one) for one in ids]))


def empty_condition(field: str) -> qdrant.Condition:
    """Ask that a point has no such field."""
    return qdrant.Condition(is_empty=qdrant.IsEmptyCondition(key=field))


def metadata_path(key: str) -> str:
    """Give the payload path of a metadata key, for example `metadata.year` or `metadata."dc.title"`."""
    return _METADATA_PREFIX + (key if _PLAIN_KEY.fullmatch(key) else f'"{key}"')


def metadata_key(path: str) -> str | None:
    """Give the metadata key of a payload path; None if it is none of the metadata's."""
    return path.removeprefix(_METADATA_PREFIX).strip('"') if path.startswith(_METADATA_PREFIX) else None


def _condition_of(part: Part) -> qdrant.Condition:
    if isinstance(part, Not):
        return qdrant.Condition(filter=qdrant.Filter(must_not=[_all_of(part.filter)]))
    if isinstance(part, Filter):
        return _all_of(part)
    if isinstance(part, AnyOf):
        return qdrant.Condition(filter=qdrant.Filter(should=[_all_of(one) for one in part.filters]))
    return _field_condition(part)


def _all_of(user_filter: Filter) -> qdrant.Condition:
    return qdrant.Condition(filter=qdrant.Filter(must=[_condition_of(part) for part in user_filter.parts]))


def _field_condition(condition: Condition) -> qdrant.Condition:
    key = metadata_key(condition.field)
    path = condition.field if key is None else metadata_path(key)
    options: list[qdrant.Condition] = []
    if condition.kind is MetadataKind.TEXT and condition.values:
        options.append(keyword_condition(path, cast("tuple[str, ...]", condition.values)))
    elif condition.kind is MetadataKind.BOOLEAN:
        matches = [qdrant.Match(boolean=bool(value)) for value in condition.values]
        options += [qdrant.Condition(field=qdrant.FieldCondition(key=path, match=match)) for match in matches]
    # Numbers and dates have indexes that answer ranges, and no matches.
    options += [_range_condition(path, condition.kind, bounds) for bounds in condition.ranges]
    if condition.or_absent:
        options.append(empty_condition(path))
    return options[0] if len(options) == 1 else qdrant.Condition(filter=qdrant.Filter(should=options))


def _range_condition(path: str, kind: MetadataKind, bounds: Range) -> qdrant.Condition:
    given = {"gt": bounds.gt, "gte": bounds.gte, "lt": bounds.lt, "lte": bounds.lte}
    if kind is MetadataKind.DATE:
        moments = {name: _timestamp(moment) for name, moment in given.items() if isinstance(moment, datetime)}
        return qdrant.Condition(field=qdrant.FieldCondition(key=path, datetime_range=qdrant.DatetimeRange(**moments)))
    numbers = {name: number for name, number in given.items() if isinstance(number, float)}
    return qdrant.Condition(field=qdrant.FieldCondition(key=path, range=qdrant.Range(**numbers)))


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
