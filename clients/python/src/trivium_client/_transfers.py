"""Documents as they are exported and imported, and their messages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trivium.gateway.v1 import transfer_service_pb2 as pb

from trivium_client import _requests
from trivium_client._collections import SettingValues
from trivium_client._setting_values import setting_values
from trivium_client._structs import json_object, struct_of

_MESSAGE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ExportedCollection:
    """What exported documents come from.

    Attributes:
        name: Its name.
        model: The embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        has_vectors: Whether the documents have their vectors.
        settings: How it is searched and judged; None for one whose settings nobody has changed.
        chunk_count: Number of pieces of documents in it, when the export began.
    """

    name: str
    model: str
    model_fingerprint: str
    dimension: int
    has_vectors: bool
    settings: SettingValues | None = None
    chunk_count: int = 0


@dataclass(frozen=True, slots=True)
class ExportedPiece:
    """What the embedding model made of a piece of a document.

    Attributes:
        start: Where it begins in the stored text, in code points.
        end: Where it ends, exclusive.
        vector: Its vector: numbers of 32 bits, the lowest byte first.
        token_codes: The vectors of its tokens, packed; empty if it has none.
        learned_indices: Its learned sparse vector, in a collection that has such: ids of words, ascending.
        learned_values: The weight of each, above 0.
    """

    start: int
    end: int
    vector: bytes
    token_codes: bytes = b""
    learned_indices: tuple[int, ...] = ()
    learned_values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedDocument:
    """A document, or more pieces of the one before.

    Attributes:
        id: Its id.
        continues: Whether this has nothing but more pieces of the document before, which were too many.
        title: Its title; may be empty.
        uri: Where it came from; may be empty.
        metadata: Facts about it.
        readers: Who may read it.
        container: Id of the document that it is in, a mail or an archive; empty if it is in none.
        text: Its stored text.
        lines: Where the lines of its text stand: start in the text, page, and left, upper, right and lower edge.
        pieces: What it is cut into, in order; none without vectors.
    """

    id: str
    continues: bool = False
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    readers: Sequence[str] = ()
    container: str = ""
    text: str = ""
    lines: Sequence[tuple[int, int, float, float, float, float]] = ()
    pieces: Sequence[ExportedPiece] = ()

    @property
    def size_bytes(self) -> int:
        """About how large it is."""
        return (
            4 * len(self.text)
            + 48 * len(self.lines)
            + sum(len(one.vector) + len(one.token_codes) + 8 * len(one.learned_indices) + 16 for one in self.pieces)
        )


@dataclass(frozen=True, slots=True)
class ExportMark:
    """Between documents: where to go on, or that all is there.

    Attributes:
        page_token: Where an export goes on that breaks off behind this.
        done: Whether this is the end.
    """

    page_token: str
    done: bool = False


Exported: TypeAlias = ExportedCollection | ExportedDocument | ExportMark
"""A part of an export."""


def exported_from(message: pb.ExportDocumentsResponse) -> Exported:
    if message.HasField("collection"):
        told = message.collection
        settings = setting_values(told.settings) if told.HasField("settings") else None
        return ExportedCollection(
            told.name,
            told.model,
            told.model_fingerprint,
            told.dimension,
            told.has_vectors,
            settings,
            told.chunk_count,
        )
    if message.HasField("document"):
        return _document_from(message.document)
    return ExportMark(message.page_token, message.done)


def import_requests(
    source: ExportedCollection, documents: Iterable[ExportedDocument], *, collection: str, embed: bool
) -> list[pb.ImportDocumentsRequest]:
    """The messages of a call, each of some megabytes.

    Raises:
        InvalidRequest: A value is none that the contract can say.
    """
    told = pb.ExportedCollection(
        name=source.name,
        model=source.model,
        model_fingerprint=source.model_fingerprint,
        dimension=source.dimension,
        has_vectors=source.has_vectors,
        settings=_requests.settings_message(source.settings) if source.settings is not None else None,
        chunk_count=source.chunk_count,
    )
    requests = [pb.ImportDocumentsRequest(collection=collection, source=told, embed=embed)]
    size = 0
    for document in documents:
        if size > _MESSAGE_BYTES:
            requests.append(pb.ImportDocumentsRequest())
            size = 0
        requests[-1].documents.append(_document_message(document))
        size += document.size_bytes
    return requests


def streaming(call: Any) -> Any:
    """A call that takes a stream as one that takes a list, which can be sent again."""
    return lambda requests, **options: call(iter(requests), **options)


def _document_from(message: pb.ExportedDocument) -> ExportedDocument:
    return ExportedDocument(
        id=message.id,
        continues=message.continues,
        title=message.title,
        uri=message.uri,
        metadata=json_object(message.metadata),
        readers=tuple(message.readers),
        container=message.container,
        text=message.text,
        lines=tuple((one.start, one.page, one.x0, one.y0, one.x1, one.y1) for one in message.lines),
        pieces=tuple(
            ExportedPiece(
                one.start, one.end, one.vector, one.token_codes, tuple(one.learned_indices), tuple(one.learned_values)
            )
            for one in message.pieces
        ),
    )


def _document_message(document: ExportedDocument) -> pb.ExportedDocument:
    return pb.ExportedDocument(
        id=document.id,
        continues=document.continues,
        title=document.title,
        uri=document.uri,
        metadata=struct_of("metadata", document.metadata),
        readers=document.readers,
        container=document.container,
        text=document.text,
        lines=[
            pb.ExportedLine(start=start, page=page, x0=x0, y0=y0, x1=x1, y1=y1)
            for start, page, x0, y0, x1, y1 in document.lines
        ],
        pieces=[
            pb.ExportedPiece(
                start=one.start,
                end=one.end,
                vector=one.vector,
                token_codes=one.token_codes,
                learned_indices=one.learned_indices,
                learned_values=one.learned_values,
            )
            for one in document.pieces
        ],
    )
