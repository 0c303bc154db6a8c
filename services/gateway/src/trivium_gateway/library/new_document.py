"""A document to add, as it arrives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trivium_serving.errors import TriviumError

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.metadata import JsonValue
from trivium_gateway.qdrant.points import EmbeddedChunk

__all__ = ["CarriedContent", "NewDocument"]


@dataclass(frozen=True, slots=True)
class CarriedContent:
    """What comes with the stored text of a document that was exported.

    Attributes:
        container: Id of the document that it is in, a mail or an archive; empty if it is in none.
        boxes: Where the lines of the text stand on its pages.
        model_fingerprint: Of the collections whose embedding model made what follows; empty if nothing does.
        embedded: What it made of the document's pieces, by where these begin and end.
    """

    container: str = ""
    boxes: Sequence[LineBox] = ()
    model_fingerprint: str = ""
    embedded: Mapping[tuple[int, int], EmbeddedChunk] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to add or replace, unchecked.

    Attributes:
        id: Identifies it in its collection; None or empty for the hash of the uri, else of the content.
        title: Its title; empty to take the content's own.
        uri: Where it came from; may be empty.
        metadata: Facts about it; checked during ingestion.
        text: Its text; None if `data` holds the content.
        data: A file; None if `text` holds the content.
        filename: The file's name; its ending tells the type where `media_type` does not.
        media_type: The file's type; may be empty.
        container: Id of the document that it is in, a mail or an archive; empty if it is in none.
        failure: Why it cannot be ingested, if that is known already.
        default_id: Its id where it has none and no document with its uri is stored; may be empty.
        moved_from: The document that it was before it was moved; may be empty.
        readers: Who may read it: `user:NAME`, `group:NAME`, or `*` for everyone of the tenant; none to leave that as it
            is, which is everyone for a new one.
        carried: What comes with its stored text, where that was exported; None for a document that is new to Trivium.
    """

    id: str | None = None
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    text: str | None = None
    data: bytes | None = None
    filename: str = ""
    media_type: str = ""
    container: str = ""
    failure: TriviumError | None = None
    default_id: str = ""
    moved_from: str = ""
    readers: Sequence[str] = ()
    carried: CarriedContent | None = None
