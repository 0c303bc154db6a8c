"""What stands between a gateway and the real engine, and fails calls or answers them on command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from model_services.upstream_words import WORDS

from .conftest import Qdrant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Relay(grpc.GenericRpcHandler):
    """Stands before Qdrant and passes its calls on, or fails them in WORDS."""

    def __init__(self, target: str) -> None:
        self._channel: Any = grpc.aio.insecure_channel(target)
        self.fault: grpc.StatusCode | None = None
        self.methods: tuple[str, ...] = ("",)
        """The ends of those that fail."""
        self.passing = 0
        """How many of these still pass before."""
        self.answers: dict[str, bytes] = {}
        """What is answered instead, by the end of a method."""

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        async def relay(request: bytes, context: Any) -> bytes:
            if self.fault is not None and method.endswith(self.methods):
                self.passing -= 1
                if self.passing < 0:
                    await context.abort(self.fault, WORDS)
            for end, instead in self.answers.items():
                if method.endswith(end):
                    return instead
            answer: bytes = await self._channel.unary_unary(method)(request)
            return answer

        return grpc.unary_unary_rpc_method_handler(relay)

    async def close(self) -> None:
        await self._channel.close()


@asynccontextmanager
async def relayed(qdrant: Qdrant) -> AsyncIterator[tuple[Relay, Qdrant]]:
    """Runs a relay, and gives the Qdrant that is behind it as a gateway sees it."""
    relay = Relay(f"127.0.0.1:{qdrant.port}")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((relay,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield relay, Qdrant(qdrant.folder, port, qdrant.http_port)
    finally:
        await server.stop(0)
        await relay.close()
