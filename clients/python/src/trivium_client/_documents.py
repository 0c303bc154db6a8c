"""Documents, as they are given and as they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

DocumentStatus: TypeAlias = Literal["indexed", "updated", "unchanged", "failed"]
"""What became of a document: new; replaced an earlier version; there already; refused, see its error."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to add or replace. Give either `text` or `data`.

    Attributes:
        text: The content as plain text.
        id: Identifies the document in its collection; empty for the hash of the uri, else of the content.
        title: Its title; empty to take the content's own.
        uri: Where it came from; may be empty.
        metadata: Facts to filter by: strings, numbers, booleans, dates, lists of one of these, and objects of those.
        data: The content as the bytes of a file: text, Markdown, HTML or PDF.
        filename: The file's name; its ending tells the type where `media_type` does not.
        media_type: The file's type, for example `application/pdf`; may be empty.
        default_id: Its id where `id` is empty and no document with its uri is stored; one that is keeps its own id.
        moved_from: The document that it was before it was moved: what says the same in both is not embedded again.
        readers: Who may read it: `user:NAME`, `group:NAME`, or `*` for everyone of the tenant; none for who could
            before, which is everyone of a new one.
    """

    text: str | None = None
    id: str = ""
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    filename: str = ""
    media_type: str = ""
    default_id: str = ""
    moved_from: str = ""
    readers: Sequence[str] = ()

    @classmethod
    def from_file(
        cls, path: str | Path, *, document_id: str = "", title: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Self:
        """Reads a file.

        Args:
            path: The file; its ending tells the type.
            document_id: The document's id; empty for that of the document that was read from this file before, if
                there is one, else for the file's name.
            title: Its title; empty to take the content's own.
            metadata: Facts to filter by.

        Raises:
            OSError: If the file cannot be read.
        """
        path = Path(path)
        return cls(
            id=document_id,
            default_id=path.name,
            title=title,
            uri=(path.parent.resolve() / path.name).as_posix(),
            metadata=metadata or {},
            data=path.read_bytes(),
            filename=path.name,
        )


@dataclass(frozen=True, slots=True)
class DocumentError:
    """Why a document failed."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What became of one document.

    Attributes:
        id: Its id.
        status: The outcome.
        chunk_count: Number of pieces it was cut into.
        error: Why it failed; else None.
        content_hash: Of what is stored now, see `Document`; empty if it failed.
        parts: What became of the files in it, if it is a mail or an archive: they are documents of their own.
    """

    id: str
    status: DocumentStatus
    chunk_count: int
    error: DocumentError | None
    content_hash: str = ""
    parts: tuple["DocumentResult", ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is stored; in lists `text` is None.

    `content_hash` stays the same as long as nothing of the document changes, or of how it is stored.
    `container` is the id of the document that it is in, a mail or an archive, with which it is deleted; else empty.
    `readers` are those who may read it, `*` for everyone of the tenant; empty if the key may not add documents.
    """

    id: str
    title: str
    uri: str
    metadata: Mapping[str, Any]
    chunk_count: int
    text: str | None
    content_hash: str = ""
    container: str = ""
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingestion is: documents answered so far, and those of them that failed."""

    done_count: int
    failed_count: int
