"""Takes the documents of collections out with their vectors, and puts them in again, for whoever may."""

from __future__ import annotations

import base64
import binascii
import math
import uuid
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound

from trivium_gateway.domain.sparse_weights import NO_WEIGHTS, SparseWeights
from trivium_gateway.library.new_document import CarriedContent, NewDocument
from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.qdrant.points import EmbeddedChunk
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence

    from trivium_gateway.domain.chunks import LineBox
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.gateway.library import Library
    from trivium_gateway.library.documents import DocumentResult
    from trivium_gateway.library.exporting import DocumentExport, ExportedDocument
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.request.call_limit import CallLimit
    from trivium_gateway.request.principal import Principal

__all__ = ["CarriedDocument", "CarriedPiece", "ExportedCollection", "Transfers"]

_MOST_CARRIED_PIECES = 4_096
"""Of more pieces of one document the vectors are made anew: there is no room for them beside the others."""


@dataclass(frozen=True, slots=True)
class ExportedCollection:
    """What exported documents come from.

    Attributes:
        name: Its name.
        model: Name of the embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint; with late chunking or learned sparse vectors, that of all of them
            (`IndexMaking.vectors`).
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
    settings: CollectionSettings | None = None
    chunk_count: int = 0


@dataclass(frozen=True, slots=True)
class CarriedPiece:
    """A piece as it was exported.

    Attributes:
        start: Where it begins in the stored text, in code points.
        end: Where it ends, exclusive.
        vector: Its vector: numbers of 32 bits, the lowest byte first.
        token_codes: The vectors of its tokens, packed; empty if it has none.
        learned: Its learned sparse vector, unchecked; without weights if it has none.
    """

    start: int
    end: int
    vector: bytes
    token_codes: bytes
    learned: SparseWeights = NO_WEIGHTS


@dataclass(frozen=True, slots=True)
class CarriedDocument:
    """A document as it was exported, or more pieces of the one before. Unchecked.

    Attributes:
        id: Its id.
        continues: Whether this has nothing but more pieces of the document before.
        title: Its title.
        uri: Where it came from.
        metadata: Facts about it.
        readers: Who may read it.
        container: Id of the document that it is in; empty if it is in none.
        text: Its stored text.
        boxes: Where the lines of the text stand on its pages.
        pieces: Its pieces; none without vectors.
    """

    id: str
    continues: bool
    title: str
    uri: str
    metadata: Mapping[str, JsonValue]
    readers: Sequence[str]
    container: str
    text: str
    boxes: Sequence[LineBox]
    pieces: Sequence[CarriedPiece]


class Transfers:
    """Exports and imports documents.

    Args:
        library: Lets calls in, and takes documents in.
        export: Reads documents.
        exports: Bounds exports: each may read a whole collection, as slowly as its caller takes it.
    """

    def __init__(self, library: Library, export: DocumentExport, exports: CallLimit) -> None:
        self._library = library
        self._calls = library.calls
        self._export = export
        self._exports = exports

    async def export(
        self, principal: Principal, name: str, *, page_token: str = "", with_vectors: bool = True
    ) -> AsyncGenerator[tuple[ExportedCollection | ExportedDocument | None, str], None]:
        """The documents of a collection that a principal may read; see DocumentExport.run.

        Args:
            principal: Who exports.
            name: The collection's name; empty for `default`.
            page_token: Where to go on; empty to begin.
            with_vectors: Whether to give what the embedding model made of them, too.

        Yields:
            The collection; then documents, or None and where to go on if this breaks off.

        Raises:
            PermissionDenied: It may not read, or not know who else may.
            NotFound: There is no such collection.
            InvalidField: The token is none.
            Overloaded: There are too many exports.
        """
        name = name or DEFAULT_COLLECTION
        offset = _offset_of(page_token)
        with self._exports.place(principal.tenant):
            async with self._calls.noted(principal, "documents.export", name, Scope.READ) as collections:
                if not principal.may_know_readers:
                    principal.require(Scope.INGEST)
                collection = await collections.find(name, tenant=principal.tenant)
                if collection is None:
                    raise NotFound(f"There is no collection {name!r} yet.", reason="COLLECTION_NOT_FOUND")
                described = await collections.get(name, reader=principal.reader)
            changed = collection.settings.change_count
            yield (
                ExportedCollection(
                    name,
                    collection.made.model,
                    collection.made.vectors,
                    collection.made.dimension,
                    with_vectors,
                    collection.settings.now.settings if changed else None,
                    described.chunk_count or 0,
                ),
                "",
            )
            documents = self._export.run(collection, reader=principal.reader, offset=offset, with_vectors=with_vectors)
            async with aclosing(documents):
                async for document, following in documents:
                    yield document, _token_of(following)

    async def take_in(
        self,
        principal: Principal,
        name: str,
        source: ExportedCollection,
        documents: AsyncIterable[CarriedDocument],
        *,
        embed: bool,
        max_documents: int,
    ) -> list[DocumentResult]:
        """Adds or replaces documents as they were exported. What only the collection has stays.

        Args:
            principal: Whose documents.
            name: Name of the collection; empty for `default`.
            source: What they come from.
            documents: The documents.
            embed: Whether to embed their texts if the collection has another model.
            max_documents: Most documents in one call.

        Returns:
            One result per document, in order.

        Raises:
            FailedPrecondition: The collection has another model, and `embed` is not set (MODEL_DIFFERS).
        """
        await self._calls.permit(principal, Scope.INGEST, "documents.ingest", name or DEFAULT_COLLECTION)
        async with self._calls.call(principal, Scope.INGEST) as collections:
            collection = await collections.resolve(name, tenant=principal.tenant)
        same = (
            {collection.made.vectors}
            if collection.made.vectors != collection.made.fingerprint
            else {collection.made.vectors, collection.embedded_by}
        )
        is_same = source.model_fingerprint in same
        if source.has_vectors and not is_same and not embed:
            raise FailedPrecondition(
                f"The documents have vectors of {source.model} (fingerprint {source.model_fingerprint[:12]}), and the "
                f"collection {collection.name!r} has those of {collection.made.model} "
                f"({collection.made.vectors[:12]}). Set `embed` to have their texts embedded anew.",
                reason="MODEL_DIFFERS",
            )
        carried = _documents(documents, collection, with_vectors=source.has_vectors and is_same)
        return await self._library.ingest(principal, name, carried, max_documents=max_documents)


async def _documents(
    parts: AsyncIterable[CarriedDocument], collection: ResolvedCollection, *, with_vectors: bool
) -> AsyncIterator[NewDocument]:
    """The documents, each put together from its parts."""
    current: NewDocument | None = None
    async for part in parts:
        if part.continues:
            if current is None or part.id != current.id:
                raise InvalidField(
                    "documents",
                    f"More pieces of {part.id[:80]!r} do not come behind that document: something is missing.",
                )
            current = _with_pieces(current, part, collection) if with_vectors else current
            continue
        if current is not None:
            yield current
        if not part.id or not part.readers:
            raise InvalidField("documents", "A document has no id, or no readers: it is none that was exported.")
        if not all(_is_possible(box) for box in part.boxes):
            raise InvalidField("documents", f"A line of {part.id[:80]!r} stands nowhere on a page: it is damaged.")
        current = NewDocument(
            id=part.id,
            title=part.title,
            uri=part.uri,
            metadata=part.metadata,
            text=part.text,
            readers=part.readers,
            carried=CarriedContent(part.container, part.boxes, collection.made.vectors if with_vectors else ""),
        )
        if with_vectors:
            current = _with_pieces(current, part, collection)
    if current is not None:
        yield current


def _with_pieces(document: NewDocument, part: CarriedDocument, collection: ResolvedCollection) -> NewDocument:
    """A document with what the embedding model made of more of its pieces; it fails if that cannot be."""
    if document.carried is None or document.failure is not None:
        return document
    embedded = dict(document.carried.embedded)
    for piece in part.pieces[: _MOST_CARRIED_PIECES - len(embedded)]:
        try:
            vector = np.frombuffer(piece.vector, dtype="<f4")
        except ValueError:
            vector = np.zeros(0, dtype="<f4")
        # One of another length is refused by Qdrant, with all that is written beside it; one that is no direction, too.
        length = float(np.linalg.norm(vector))
        is_direction = len(vector) == collection.made.dimension and math.isfinite(length) and length > 0
        if not is_direction or not piece.learned.is_possible():
            failure = InvalidField(
                "documents",
                f"A vector of {document.id!r} is not {collection.made.dimension} numbers of 32 bits, or is no "
                "direction, or a sparse one is not ascending ids with a weight above 0 for each: it is damaged.",
                reason="VECTOR_DAMAGED",
            )
            return replace(document, failure=failure)
        learned = piece.learned if collection.made.learned else None
        embedded[piece.start, piece.end] = EmbeddedChunk(vector.tolist(), piece.token_codes, learned)
    return replace(document, carried=replace(document.carried, embedded=embedded))


def _is_possible(box: LineBox) -> bool:
    return box.start >= 0 and box.page >= 1 and all(map(math.isfinite, (box.x0, box.y0, box.x1, box.y1)))


def _token_of(offset: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(offset).bytes).decode().rstrip("=") if offset else ""


def _offset_of(page_token: str) -> str:
    if not page_token:
        return ""
    try:
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(page_token + "==")))
    except (ValueError, binascii.Error):
        raise InvalidField(
            "page_token", "The page token is not one that an export gave. Leave it out to begin anew."
        ) from None
