"""Whether a model service is there, as it says itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from trivium_serving.errors import Unavailable

from trivium_gateway.models.upstream import upstream_error

if TYPE_CHECKING:
    from grpc.aio import Channel


class ServiceHealth:
    """Asks a service for its health.

    Args:
        service: Its short name, for example `embed`.
        channel: To the service; the one that requests use, so that asking also reconnects it.
        full_name: Its full name, for example `trivium.embed.v1.EmbedService`.
    """

    def __init__(self, service: str, channel: Channel, full_name: str) -> None:
        self.service = service
        self._stub: Any = health_pb2_grpc.HealthStub(channel)  # its types know no methods
        self._request = health_pb2.HealthCheckRequest(service=full_name)

    async def check(self, *, timeout_seconds: float) -> None:
        """Asks once.

        Raises:
            TriviumError: It does not serve, or does not say so.
        """
        try:
            response = await self._stub.Check(self._request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise upstream_error(self.service, error) from error
        if response.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable(f"The {self.service} service is loading or stopping.", reason="LOADING")
