"""Stands before the real engine and plays one that serves while some collections are not open yet."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from qdrant_client import grpc as qdrant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_REQUESTS: dict[str, Any] = {
    "/qdrant.Collections/Get": qdrant.GetCollectionInfoRequest,
    "/qdrant.Collections/Delete": qdrant.DeleteCollection,
    "/qdrant.Points/Query": qdrant.QueryPoints,
    "/qdrant.Points/QueryBatch": qdrant.QueryBatchPoints,
    "/qdrant.Points/Scroll": qdrant.ScrollPoints,
    "/qdrant.Points/Count": qdrant.CountPoints,
    "/qdrant.Points/Get": qdrant.GetPoints,
    "/qdrant.Points/Facet": qdrant.FacetCounts,
    "/qdrant.Points/Upsert": qdrant.UpsertPoints,
    "/qdrant.Points/Delete": qdrant.DeletePoints,
}


class OpeningQdrant(grpc.GenericRpcHandler):
    """Passes every call on, but knows nothing of the collections in `closed`. Their aliases it knows.

    Args:
        target: Where the engine's gRPC is.
    """

    def __init__(self, target: str) -> None:
        self._channel: Any = grpc.aio.insecure_channel(target)
        self.closed: set[str] = set()
        self.calls: list[str] = []
        self.refused = asyncio.Event()
        """Set once somebody asked for a collection that is closed."""
        self.delay_seconds: dict[str, float] = {}
        """How long calls of a method wait before they are passed on."""
        self.failures: dict[str, tuple[grpc.StatusCode, str]] = {}
        """How calls of a method fail, in place of being passed on."""
        self.most_at_once = 0
        self._at_once = 0
        self.port = 0

    def service(self, handler_call_details: Any) -> Any:
        """Handle a call of any method."""
        method = handler_call_details.method

        async def handle(request: bytes, context: Any) -> bytes:
            self.calls.append(method)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                return await answer(request, context)
            finally:
                self._at_once -= 1

        async def answer(request: bytes, context: Any) -> bytes:
            if method in self.failures:
                await context.abort(*self.failures[method])
            await asyncio.sleep(self.delay_seconds.get(method, 0))
            kind = _REQUESTS.get(method)
            if kind is not None and kind.FromString(request).collection_name in self.closed:
                if method == "/qdrant.Collections/Delete":
                    return qdrant.CollectionOperationResponse(result=False).SerializeToString()
                self.refused.set()
                await context.abort(grpc.StatusCode.NOT_FOUND, "Not found: Collection doesn't exist!")
            try:
                reply: bytes = await self._channel.unary_unary(method)(request, timeout=30)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")
            if method == "/qdrant.Collections/List":
                listed = qdrant.ListCollectionsResponse.FromString(reply)
                open_ones = [one for one in listed.collections if one.name not in self.closed]
                return qdrant.ListCollectionsResponse(collections=open_ones).SerializeToString()
            return reply

        return grpc.unary_unary_rpc_method_handler(handle)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[OpeningQdrant]:
        """Serve on a free port."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self,))
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)
            await self._channel.close()
