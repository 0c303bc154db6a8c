"""Ingestion of any number of documents: batches, a few of them on the way at once, each repeated if it has to be."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client import _requests, _responses
from trivium_client._connection import MAX_MESSAGE_BYTES, Connection
from trivium_client._documents import DocumentError, DocumentResult, NewDocument
from trivium_client._errors import (
    Cancelled,
    GatewayUnreachable,
    InvalidRequest,
    Overloaded,
    TooLarge,
    TriviumError,
    Unavailable,
    error_from_rpc,
)

Call: TypeAlias = Any
"""A call in flight; grpc has no public type for it."""

FIRST_BATCH_SIZE = 8
"""Batches begin with so many documents and double: a few documents show progress, many go in large batches."""
BATCH_BYTES = 4 << 20
"""A batch is closed when it is larger than this."""
MAX_DOCUMENT_BYTES = MAX_MESSAGE_BYTES - BATCH_BYTES - (1 << 20)
"""A larger document may fit in no message, as the last of its batch; the gateway's own limit is lower."""

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 10.0


@dataclass(slots=True)
class _Batch:
    """Some documents, in order: those to send, and the results of those that were refused before sending."""

    request: pb.IngestDocumentsRequest
    refused: dict[int, DocumentResult] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0

    def add(self, document: NewDocument | Mapping[str, Any]) -> None:
        """Adds a document; one that cannot be sent at all fails alone, like one that the gateway refuses."""
        try:
            message = _requests.document_input(as_document(document))
            size = message.ByteSize()
            if size > MAX_DOCUMENT_BYTES:
                raise TooLarge(
                    f"the document has {size:,} bytes; at most {MAX_DOCUMENT_BYTES:,} fit in a message: split it",
                    reason="TOO_LARGE",
                )
        except InvalidRequest as error:
            given = document.id if isinstance(document, NewDocument) else str(document.get("id") or "")
            self.refused[self.count] = DocumentResult(given, "failed", 0, DocumentError(error.reason, error.message))
        else:
            self.request.documents.append(message)
            self.bytes += size
        self.count += 1

    @property
    def ids(self) -> set[str]:
        return {document.id for document in self.request.documents if document.id}

    def results(self, response: pb.IngestDocumentsResponse) -> Iterator[DocumentResult]:
        """Yields the results of all documents, in order."""
        answered = iter(response.documents)
        for index in range(self.count):
            yield self.refused.get(index) or _responses.document_result(next(answered))


class Ingestion:
    """Sends documents in batches and yields what became of each.

    Args:
        connection: The gateway.
        collection: Where to write to; empty for `default`.
        batch_size: Most documents in a call.
        concurrency: Most calls at once.
        timeout_seconds: For one call.
        patience_seconds: How long to repeat a batch that the gateway cannot take now.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        collection: str,
        batch_size: int,
        concurrency: int,
        timeout_seconds: float,
        patience_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._collection = collection
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._sleep = sleep
        self._reached = False

    def run(self, documents: Iterable[NewDocument | Mapping[str, Any]]) -> Iterator[DocumentResult]:
        """Yields one result per document, in order. Documents are read as they are needed.

        Raises:
            TriviumError: If a batch fails as a whole: the collection does not exist, the gateway is gone.
        """
        flying: deque[tuple[_Batch, Call]] = deque()
        try:
            for batch in self._batches(documents):
                # Two versions of one document never fly together: the later one must win.
                while flying and (
                    len(flying) >= self._concurrency or any(batch.ids & other.ids for other, _ in flying)
                ):
                    yield from self._land(*flying.popleft())
                flying.append((batch, self._send(batch)))
            while flying:
                yield from self._land(*flying.popleft())
        finally:
            for _, call in flying:
                call.cancel()

    def _batches(self, documents: Iterable[NewDocument | Mapping[str, Any]]) -> Iterator[_Batch]:
        size = min(FIRST_BATCH_SIZE, self._batch_size)
        batch = self._new_batch()
        for document in documents:
            batch.add(document)
            if batch.count >= size or batch.bytes > BATCH_BYTES:
                yield batch
                batch = self._new_batch()
                size = min(size * 2, self._batch_size)
        if batch.count:
            yield batch

    def _new_batch(self) -> _Batch:
        return _Batch(pb.IngestDocumentsRequest(collection=self._collection))

    def _send(self, batch: _Batch) -> Call:
        return self._connection.stub.IngestDocuments.future(_messages(batch.request), timeout=self._timeout_seconds)

    def _land(self, batch: _Batch, call: Call) -> Iterator[DocumentResult]:
        """Waits for a batch, repeating it while that makes sense: ingestion is idempotent."""
        if not batch.request.documents:
            call.cancel()
            return batch.results(pb.IngestDocumentsResponse())
        deadline = time.monotonic() + self._timeout_seconds + self._patience_seconds
        give_up = None
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                response = call.result()
            except grpc.RpcError as rpc_error:
                error = error_from_rpc(rpc_error, self._connection.address, self._timeout_seconds)
            except grpc.FutureCancelledError:
                raise TriviumError("the ingestion was cancelled", reason="CANCELLED") from None
            else:
                self._reached = True
                if len(response.documents) != len(batch.request.documents):
                    raise TriviumError(
                        f"the gateway answered {len(response.documents)} of {len(batch.request.documents)} documents",
                        reason="INCOMPLETE_RESPONSE",
                    )
                return batch.results(response)
            now = time.monotonic()
            give_up = give_up or min(deadline, now + self._patience_seconds)
            pause = max(wait, error.retry_after_seconds or 0.0)
            if not self._worth_repeating(error) or now + pause > give_up:
                raise error
            self._sleep(pause)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            call = self._send(batch)

    def _worth_repeating(self, error: TriviumError) -> bool:
        # A gateway that was never there is most likely not started: say so at once.
        # Cancelled is what a gateway that shuts down makes of what it had not begun.
        return isinstance(error, Overloaded | Unavailable | Cancelled) or (
            isinstance(error, GatewayUnreachable) and self._reached
        )


def as_document(document: NewDocument | Mapping[str, Any]) -> NewDocument:
    """Takes a document in the form of the HTTP interface, too: `{"id", "title", "text", "uri", "metadata"}`.

    Raises:
        InvalidRequest: If a field is unknown or of the wrong type.
    """
    if isinstance(document, NewDocument):
        return document
    known = {"id": str, "title": str, "text": str, "uri": str, "metadata": Mapping}
    for name, value in document.items():
        if name not in known:
            raise InvalidRequest(
                f"a document has no field {name!r}; it has {', '.join(known)}: put facts of your own into metadata",
                reason="INVALID_DOCUMENT",
                field=name,
            )
        if value is not None and not isinstance(value, known[name]):
            raise InvalidRequest(
                f"{name} is {type(value).__name__}, not {'an object' if name == 'metadata' else 'a string'}",
                reason="INVALID_DOCUMENT",
                field=name,
            )
    return NewDocument(
        text=document.get("text"),
        id=document.get("id") or "",
        title=document.get("title") or "",
        uri=document.get("uri") or "",
        metadata=document.get("metadata") or {},
    )


def _messages(request: pb.IngestDocumentsRequest) -> Iterator[pb.IngestDocumentsRequest]:
    yield request
