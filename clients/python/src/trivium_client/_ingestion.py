"""Ingestion of any number of documents, from a thread: a few batches on the way at once, each repeated if need be."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import grpc
from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client._batches import Batch, Batches
from trivium_client._channel import new_request_id
from trivium_client._connection import Connection
from trivium_client._documents import DocumentResult, NewDocument
from trivium_client._errors import closed_error
from trivium_client._retries import Patience

Call: TypeAlias = Any
"""A call in flight; grpc has no public type for it."""


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
    ) -> None:
        self._connection = connection
        self._batches = Batches(collection=collection, batch_size=batch_size)
        self._concurrency = concurrency
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._reached = False

    def run(self, documents: Iterable[NewDocument | Mapping[str, Any]]) -> Generator[DocumentResult, None, None]:
        """Yields one result per document, in order. Documents are read as they are needed.

        Raises:
            TriviumError: If a batch fails as a whole: the collection does not exist, the gateway is gone.
        """
        flying: deque[tuple[Batch, Call, str]] = deque()
        try:
            for batch in self._cut(documents):
                while flying and (
                    len(flying) >= self._concurrency or any(batch.may_not_fly_with(other) for other, _, _ in flying)
                ):
                    yield from self._land(*flying.popleft())
                request_id = new_request_id()
                flying.append((batch, self._send(batch, request_id), request_id))
            while flying:
                yield from self._land(*flying.popleft())
        finally:
            for _, call, _ in flying:
                call.cancel()

    def _cut(self, documents: Iterable[NewDocument | Mapping[str, Any]]) -> Iterator[Batch]:
        for document in documents:
            yield from self._batches.add(document)
        yield from self._batches.rest()

    def _send(self, batch: Batch, request_id: str) -> Call:
        return self._connection.stub.IngestDocuments.future(
            _messages(batch.request), timeout=self._timeout_seconds, metadata=self._connection.metadata(request_id)
        )

    def _land(self, batch: Batch, call: Call, request_id: str) -> list[DocumentResult]:
        """Waits for a batch, repeating it while that makes sense: ingestion is idempotent."""
        if not batch.request.documents:
            call.cancel()
            return batch.results(pb.IngestDocumentsResponse())
        patience = Patience(timeout_seconds=self._timeout_seconds, patience_seconds=self._patience_seconds)
        while True:
            try:
                response = call.result()
            except grpc.RpcError as rpc_error:
                error = self._connection.error(rpc_error, self._timeout_seconds, request_id)
            except grpc.FutureCancelledError:
                raise closed_error() from None
            else:
                self._reached = True
                return batch.results(response)
            pause = patience.pause_seconds(error, reached=self._reached)
            if pause is None:
                raise error
            self._connection.sleep(pause)
            call = self._send(batch, request_id)


def _messages(request: pb.IngestDocumentsRequest) -> Iterator[pb.IngestDocumentsRequest]:
    yield request
