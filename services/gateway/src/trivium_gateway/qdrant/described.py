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
        model: Name of the model whose vectors it holds, as noted at its creation.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        metadata_kinds: The metadata keys that are indexed, and their kinds.
        indexed_fields: The other fields that are indexed.
        point_count: How many points it has, roughly.
        analyzer: Version of the analyzer that its words were indexed by.
        settings: How it is searched and judged.
        is_restricted: Whether there are or were documents in it that not everyone of the tenant may read.
        generation: Tells it from others of the same model and analyzer.
        beside: The other index of its collection; None if there is none.
        embedded_by: Fingerprint of another model that makes the same vectors; empty if none is known.
        comparison: What the comparison with the index before it has shown; None if there was none.
        contents: The mark that each write moves; empty before the first one.
        language: The language that the analyzer goes by where a text does not tell.
        chunking: How its documents were cut by the collection's own settings; see `CollectionSettings.chunking`.
    """

    model: str
    model_fingerprint: str
    dimension: int
    metadata_kinds: Mapping[str, MetadataKind]
    indexed_fields: frozenset[str]
    point_count: int
    analyzer: int
    settings: SettingsHistory
    is_restricted: bool = False
    generation: str = ""
    beside: IndexBeside | None = None
    embedded_by: str = ""
    comparison: IndexComparison | None = None
    contents: str = ""
    language: str = ""
    chunking: str = ""

    @property
    def made(self) -> IndexMaking:
        """What it is made with."""
        return IndexMaking(
            self.model,
            self.model_fingerprint,
            self.dimension,
            self.analyzer,
            self.generation,
            self.language,
            self.chunking,
        )

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
        model=str(facts.get("model", "")),
        model_fingerprint=str(facts.get("model_fingerprint", "")),
        dimension=config.params.vectors_config.params_map.map[DENSE].size,
        metadata_kinds=kinds,
        indexed_fields=frozenset(fields),
        point_count=reply.result.points_count,
        analyzer=int(facts.get("analyzer", QDRANTS_OWN)),
        settings=SettingsHistory.from_text(str(facts.get(SETTINGS, ""))),
        is_restricted=bool(facts.get(RESTRICTED)),
        generation=str(facts.get(GENERATION, "")),
        beside=IndexBeside.from_text(str(facts.get(BESIDE, ""))),
        embedded_by=str(facts.get(EMBEDDED_BY, "")),
        comparison=IndexComparison.from_text(str(facts.get(REPORT, ""))),
        contents=str(facts.get(CONTENTS, "")),
        language=str(facts.get(LANGUAGE, "")),
        chunking=str(facts.get(CHUNKING, "")),
    )
