"""Whether a process of the stack still says anything, whatever it says."""

from typing import Any

import grpc

from trivium_client.stack.ports import Address

_ASK_SECONDS = 2.0
_HEALTH = "/grpc.health.v1.Health/Check"


class Questioner:
    """Asks a process for its health, again and again, over one connection: a new one for each costs ten times as much.

    Args:
        address: Where it serves gRPC.
    """

    def __init__(self, address: Address) -> None:
        self._target = str(address.reachable)
        self._channel: grpc.aio.Channel | None = None

    async def __call__(self) -> bool:
        """Asks once; takes up to two seconds.

        Returns:
            Whether the process said anything. Nobody there is an answer, too: that is a process which starts or ends.
        """
        # Without TLS: a process that speaks TLS refuses that, which is an answer. An empty message asks of the server.
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=[("grpc.enable_http_proxy", 0)])
        ask: Any = self._channel.unary_unary(_HEALTH)  # without a serializer it takes bytes
        try:
            await ask(b"", timeout=_ASK_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                # Where none can be made, gRPC says so for a while without asking anybody.
                await self.close()
            return error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
        return True

    async def close(self) -> None:
        """Gives the connection back."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
