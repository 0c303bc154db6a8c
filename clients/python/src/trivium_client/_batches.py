"""Batches of documents: how many go together, and what became of each."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client import _requests, _responses
from trivium_client._channel import MAX_MESSAGE_BYTES
from trivium_client._documents import DocumentError, DocumentResult, NewDocument
from trivium_client._errors import InternalError, InvalidRequest, TooLarge

FIRST_BATCH_SIZE = 8
"""Batches begin with so many documents and double: a few documents show progress, many go in large batches."""
BATCH_BYTES = 4 << 20
"""A batch is closed when it is larger than this."""
MAX_DOCUMENT_BYTES = MAX_MESSAGE_BYTES - BATCH_BYTES - (1 << 20)
"""A larger document may fit in no message, as the last of its batch; the gateway's own limit is lower."""

_DERIVED_ID_CHARACTERS = 32
_KINDS = {"metadata": "an object", "readers": "a list"}


@dataclass(slots=True)
class Batch:
    """Some documents, in order: those to send, and the results of those that were refused before sending.

    Attributes:
        ids: What the gateway will call those to send.
    """

    request: pb.IngestDocumentsRequest
    refused: dict[int, DocumentResult] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0
    ids: set[str] = field(default_factory=set)

    def add(self, document: NewDocument | Mapping[str, Any]) -> None:
        """Adds a document; one that cannot be sent at all fails alone, like one that the gateway refuses."""
        try:
            given = as_document(document)
            message = _requests.document_input(given)
            size = message.ByteSize()
            if size > MAX_DOCUMENT_BYTES:
                raise TooLarge(
                    f"the document has {size:,} bytes; at most {MAX_DOCUMENT_BYTES:,} fit in a message: split it",
                    reason="TOO_LARGE",
                )
        except InvalidRequest as error:
            name = document.id if isinstance(document, NewDocument) else str(document.get("id") or "")
            self.refused[self.count] = DocumentResult(name, "failed", 0, DocumentError(error.reason, error.message))
        else:
            self.request.documents.append(message)
            self.ids.add(_id_in_gateway(given))
            self.bytes += size
        self.count += 1

    def may_not_fly_with(self, other: "Batch") -> bool:
        """Whether both have a version of one document: the later one must win."""
        return not self.ids.isdisjoint(other.ids)

    def results(self, response: pb.IngestDocumentsResponse) -> list[DocumentResult]:
        """The results of all documents, in order.

        Raises:
            InternalError: If the gateway did not answer for each document that was sent.
        """
        if len(response.documents) != len(self.request.documents):
            raise InternalError(
                f"the gateway answered {len(response.documents)} of {len(self.request.documents)} documents",
                reason="INCOMPLETE_RESPONSE",
            )
        answered = iter(response.documents)
        return [self.refused.get(index) or _responses.document_result(next(answered)) for index in range(self.count)]


class Batches:
    """Puts documents into batches, which begin small and grow.

    Args:
        collection: Where to write to; empty for `default`.
        batch_size: Most documents in a batch.

    Raises:
        InvalidRequest: If the batch size is not positive.
    """

    def __init__(self, *, collection: str, batch_size: int) -> None:
        if batch_size < 1:
            raise InvalidRequest(
                f"batch_size is {batch_size}; give at least 1", reason="INVALID_FIELD", field="batch_size"
            )
        self._collection = collection
        self._batch_size = batch_size
        self._size = min(FIRST_BATCH_SIZE, batch_size)
        self._open = self._new()

    def add(self, document: NewDocument | Mapping[str, Any]) -> Iterator[Batch]:
        """Adds a document, and yields the batch that it filled, if it did."""
        self._open.add(document)
        if self._open.count >= self._size or self._open.bytes > BATCH_BYTES:
            yield self._open
            self._open = self._new()
            self._size = min(self._size * 2, self._batch_size)

    def rest(self) -> Iterator[Batch]:
        """Yields the last batch, if there is anything in it."""
        if self._open.count:
            yield self._open

    def _new(self) -> Batch:
        return Batch(pb.IngestDocumentsRequest(collection=self._collection))


def _id_in_gateway(document: NewDocument) -> str:
    """The id that the gateway will know a document by: where none is given, it derives one."""
    if document.id or document.default_id:
        return document.id or document.default_id
    content = document.text if document.text is not None else document.data or b""
    derived_from = document.uri or content
    if isinstance(derived_from, str):
        derived_from = derived_from.encode(errors="replace")
    return hashlib.sha256(derived_from).hexdigest()[:_DERIVED_ID_CHARACTERS]


def as_document(document: NewDocument | Mapping[str, Any]) -> NewDocument:
    """Takes a document in the form of the HTTP interface, too: `{"id", "title", "text", "uri", "metadata", "readers"}`.

    Raises:
        InvalidRequest: If a field is unknown or of the wrong type.
    """
    if isinstance(document, NewDocument):
        return document
    known = {"id": str, "title": str, "text": str, "uri": str, "metadata": Mapping, "readers": list}
    for name, value in document.items():
        if name not in known:
            raise InvalidRequest(
                f"a document has no field {name!r}; it has {', '.join(known)}: put facts of your own into metadata",
                reason="INVALID_DOCUMENT",
                field=name,
            )
        if value is not None and not isinstance(value, known[name]):
            raise InvalidRequest(
                f"{name} is {type(value).__name__}, not {_KINDS.get(name, 'a string')}",
                reason="INVALID_DOCUMENT",
                field=name,
            )
    return NewDocument(
        text=document.get("text"),
        id=document.get("id") or "",
        title=document.get("title") or "",
        uri=document.get("uri") or "",
        metadata=document.get("metadata") or {},
        readers=tuple(document.get("readers") or ()),
    )
