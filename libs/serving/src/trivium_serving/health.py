"""What a server says of its health, as `grpc.health.v1` asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

_FOLLOW_SECONDS = 0.05


class _HealthServicer(health.aio.HealthServicer):
    """The reference health service, except that its watches end with the server.

    Its own would go on after the shutdown, and every drain would last as long as it may.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopped = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Streams a name's status until the client leaves or the server stops."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            stopping.cancel()

    async def enter_graceful_shutdown(self) -> None:
        """Makes every name NOT_SERVING for good, tells the watches, and ends them."""
        await super().enter_graceful_shutdown()
        await asyncio.sleep(0)  # the watches send what changed before they end
        self._stopped.set()


class Health:
    """What the gRPC health service answers, per service name; the empty name is the server as a whole.

    Args:
        names: The gRPC services of the server.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._servicer = _HealthServicer()
        self._server_names = ("", *names)
        self._serving: dict[str, bool] = {}

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the health service."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    def is_serving(self, name: str = "") -> bool:
        """What was last set for a name."""
        return self._serving.get(name, False)

    async def set(self, name: str, serving: bool) -> None:
        """Says whether a name is served, and tells everyone who watches. The name need not be a gRPC service's."""
        self._serving[name] = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._servicer.set(name, status)

    async def set_server(self, serving: bool) -> None:
        """Sets the server as a whole and each of its gRPC services."""
        for name in self._server_names:
            await self.set(name, serving)

    async def follow(self, healthy: Callable[[], bool]) -> None:
        """Keeps the server's status true to what computes for it, until cancelled.

        Args:
            healthy: Whether it can compute now; asked again and again, so it must be cheap.
        """
        while True:
            if self.is_serving() != healthy():
                await self.set_server(healthy())
            await asyncio.sleep(_FOLLOW_SECONDS)

    async def shut_down(self) -> None:
        """Makes every name NOT_SERVING for good."""
        self._serving.clear()
        await self._servicer.enter_graceful_shutdown()
