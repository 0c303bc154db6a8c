"""Documents as they come in and as they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from trivium_serving.errors import TriviumError

from trivium_gateway.collections import ResolvedCollection
from trivium_gateway.metadata import JsonValue, Metadata

__all__ = ["DocumentResult", "DocumentStatus", "Documents", "NewDocument", "StoredDocument"]


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
    """

    id: str | None = None
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    text: str | None = None
    data: bytes | None = None
    filename: str = ""
    media_type: str = ""


class DocumentStatus(Enum):
    """What became of a document; the values are those of the HTTP interface."""

    INDEXED = "indexed"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What became of one document.

    Attributes:
        id: Its id, the one given or the one made for it.
        status: The outcome.
        chunk_count: Number of pieces it is cut into; 0 if it failed.
        error: Why it failed, else None.
    """

    id: str
    status: DocumentStatus
    chunk_count: int
    error: TriviumError | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored.

    Attributes:
        id: Its id.
        title: Its title; may be empty.
        uri: Where it came from; may be empty.
        metadata: Facts about it.
        chunk_count: Number of pieces it is cut into.
        text: The stored text; empty in lists.
    """

    id: str
    title: str
    uri: str
    metadata: Metadata
    chunk_count: int
    text: str = ""


class Documents:
    """Reads and deletes stored documents."""

    async def get(self, collection: ResolvedCollection, document_id: str, *, tenant: str = "default") -> StoredDocument:
        """Return one document with its stored text.

        Raises:
            NotFound: The collection has no such document.
        """
        raise NotImplementedError

    async def list(
        self, collection: ResolvedCollection, *, page_size: int, page_token: str = "", tenant: str = "default"
    ) -> tuple[list[StoredDocument], str]:
        """Return a page of documents without their texts, in a stable order that has no meaning.

        Args:
            collection: Whose documents.
            page_size: Most documents to return, from 1 to 1000. A page may be shorter and still not be the last.
            page_token: Where to go on; empty to begin.
            tenant: Whose documents.

        Returns:
            The documents, and the token of the next page, empty after the last.

        Raises:
            InvalidField: The page size is out of range, or the token is not one of ours.
        """
        raise NotImplementedError

    async def delete(
        self, collection: ResolvedCollection, document_ids: Sequence[str], *, tenant: str = "default"
    ) -> list[str]:
        """Delete documents; those that do not exist are passed over.

        Returns:
            The ids of those that were there, in the order given, each once.

        Raises:
            InvalidField: No id is given.
            TooLarge: There are more ids than one call may have.
        """
        raise NotImplementedError
