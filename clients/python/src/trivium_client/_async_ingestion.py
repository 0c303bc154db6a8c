"""Ingestion of any number of documents, in an event loop: a few batches on the way at once, each repeated."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import Any

import grpc.aio
from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client._async_connection import AsyncConnection
from trivium_client._batches import Batch, Batches
from trivium_client._channel import new_request_id
from trivium_client._documents import DocumentResult, NewDocument
from trivium_client._errors import closed_error
from trivium_client._retries import Patience


class AsyncIngestion:
    """Sends documents in batches and yields what became of each; arguments as of `Ingestion`."""

    def __init__(
        self,
        connection: AsyncConnection,
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

    async def run(
        self, documents: AsyncIterable[NewDocument | Mapping[str, Any]] | Iterable[NewDocument | Mapping[str, Any]]
    ) -> AsyncGenerator[DocumentResult, None]:
        """Yields one result per document, in order. Documents are read as they are needed.

        Raises:
            TriviumError: If a batch fails as a whole: the collection does not exist, the gateway is gone.
        """
        flying: deque[tuple[Batch, asyncio.Task[list[DocumentResult]]]] = deque()
        try:
            async for batch in self._cut(documents):
                while flying and (
                    len(flying) >= self._concurrency or any(batch.may_not_fly_with(other) for other, _ in flying)
                ):
                    for result in await flying[0][1]:
                        yield result
                    flying.popleft()
                flying.append((batch, asyncio.create_task(self._deliver(batch))))
            while flying:
                for result in await flying[0][1]:
                    yield result
                flying.popleft()
        finally:
            tasks = [task for _, task in flying]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(
        self, documents: AsyncIterable[NewDocument | Mapping[str, Any]] | Iterable[NewDocument | Mapping[str, Any]]
    ) -> AsyncGenerator[Batch, None]:
        if isinstance(documents, AsyncIterable):
            async for document in documents:
                for batch in self._batches.add(document):
                    yield batch
        else:
            for document in documents:
                for batch in self._batches.add(document):
                    yield batch
        for batch in self._batches.rest():
            yield batch

    async def _deliver(self, batch: Batch) -> list[DocumentResult]:
        """Sends a batch, repeating it while that makes sense: ingestion is idempotent."""
        if not batch.request.documents:
            return batch.results(pb.IngestDocumentsResponse())
        patience = Patience(timeout_seconds=self._timeout_seconds, patience_seconds=self._patience_seconds)
        request_id = new_request_id()
        while True:
            try:
                response = await self._connection.stub.IngestDocuments(
                    iter([batch.request]), timeout=self._timeout_seconds, metadata=self._connection.metadata(request_id)
                )
            except grpc.aio.AioRpcError as rpc_error:
                error = self._connection.error(rpc_error, self._timeout_seconds, request_id)
            except asyncio.CancelledError:
                if self._connection.was_closed_under_a_call():
                    raise closed_error() from None
                raise
            else:
                self._reached = True
                return batch.results(response)
            pause = patience.pause_seconds(error, reached=self._reached)
            if pause is None:
                raise error
            await self._connection.sleep(pause)
