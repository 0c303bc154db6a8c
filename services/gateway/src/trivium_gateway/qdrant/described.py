"""What Qdrant says of a physical collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_gateway.domain.comparison import IndexComparison
from trivium_gateway.domain.indexes import IndexBeside, IndexMaking
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.settings import SettingsHistory
from trivium_gateway.qdrant import text_bytes
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.points import DENSE, HAS_TOKEN_CODES, metadata_key
from trivium_gateway.qdrant.values import from_value
from trivium_gateway.qdrant.words import QDRANTS_OWN

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BESIDE",
    "CHUNKING",
    "CONTENTS",
    "EMBEDDED_BY",
    "GENERATION",
    "LANGUAGE",
    "LEARNED_BY",
    "REPORT",
    "RESTRICTED",
    "SETTINGS",
    "SYSTEM_FIELDS",
    "PhysicalCollection",
    "described",
]

SETTINGS = "settings"
RESTRICTED = "restricted"
GENERATION = "generation"
BESIDE = "beside"
EMBEDDED_BY = "embedded_by"
REPORT = "report"
CONTENTS = "contents"
CHUNKING = "chunking"
LANGUAGE = "language"
LEARNED_BY = "learned_by"

SYSTEM_FIELDS = {
    "tenant": qdrant.FieldType.FieldTypeKeyword,
    "document_id": qdrant.FieldType.FieldTypeKeyword,
    "container": qdrant.FieldType.FieldTypeKeyword,
    "chunk_index": qdrant.FieldType.FieldTypeInteger,
    "content_hash": qdrant.FieldType.FieldTypeKeyword,
    "chunk_count": qdrant.FieldType.FieldTypeInteger,
    "uri": qdrant.FieldType.FieldTypeKeyword,
    HAS_TOKEN_CODES: qdrant.FieldType.FieldTypeBool,
    text_bytes.HIGH: qdrant.FieldType.FieldTypeInteger,
    text_bytes.LOW: qdrant.FieldType.FieldTypeInteger,
}
_KINDS = {
    qdrant.PayloadSchemaType.Keyword: MetadataKind.TEXT,
    qdrant.PayloadSchemaType.Float: MetadataKind.NUMBER,
    qdrant.PayloadSchemaType.Bool: MetadataKind.BOOLEAN,
    qdrant.PayloadSchemaType.Datetime: MetadataKind.DATE,
}


@dataclass(frozen=True, slots=True)
class PhysicalCollection:
    """What Qdrant says of one physical collection.

    Attributes:
        made: What it is made with, as noted at its creation.
        metadata_kinds: The metadata keys that are indexed, and their kinds.
        indexed_fields: The other fields that are indexed.
        point_count: How many points it has, roughly.
        settings: How it is searched and judged.
        is_restricted: Whether there are or were documents in it that not everyone of the tenant may read.
        beside: The other index of its collection; None if there is none.
        embedded_by: Fingerprint of another model that makes the same vectors; empty if none is known.
        comparison: What the comparison with the index before it has shown; None if there was none.
        contents: The mark that each write moves; empty before the first one.
    """

    made: IndexMaking
    metadata_kinds: Mapping[str, MetadataKind]
    indexed_fields: frozenset[str]
    point_count: int
    settings: SettingsHistory
    is_restricted: bool = False
    beside: IndexBeside | None = None
    embedded_by: str = ""
    comparison: IndexComparison | None = None
    contents: str = ""

    @property
    def is_indexed(self) -> bool:
        """Whether it has all indexes that data must find."""
        return self.indexed_fields >= SYSTEM_FIELDS.keys()


def described(reply: Any) -> PhysicalCollection:
    """Read what Qdrant answers about a collection."""
    config = reply.result.config
    facts = {key: from_value(value) for key, value in config.metadata.items()}
    kinds: dict[str, MetadataKind] = {}
    fields = set()
    for path, index in sorted(reply.result.payload_schema.items()):
        key, kind = metadata_key(path), _KINDS.get(index.data_type)
        if key is None:
            fields.add(path)
        elif kind is not None:
            kinds[key] = kind
    return PhysicalCollection(
        made=IndexMaking(
            model=str(facts.get("model", "")),
            fingerprint=str(facts.get("model_fingerprint", "")),
            dimension=config.params.vectors_config.params_map.map[DENSE].size,
            analyzer=int(facts.get("analyzer", QDRANTS_OWN)),
            generation=str(facts.get(GENERATION, "")),
            language=str(facts.get(LANGUAGE, "")),
            chunking=str(facts.get(CHUNKING, "")),
            learned=str(facts.get(LEARNED_BY, "")),
        ),
        metadata_kinds=kinds,
        indexed_fields=frozenset(fields),
        point_count=reply.result.points_count,
        settings=SettingsHistory.from_text(str(facts.get(SETTINGS, ""))),
        is_restricted=bool(facts.get(RESTRICTED)),
        beside=IndexBeside.from_text(str(facts.get(BESIDE, ""))),
        embedded_by=str(facts.get(EMBEDDED_BY, "")),
        comparison=IndexComparison.from_text(str(facts.get(REPORT, ""))),
        contents=str(facts.get(CONTENTS, "")),
    )
