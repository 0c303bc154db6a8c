"""Whether a process of the stack still says anything, whatever it says."""

from typing import Any

import grpc

from trivium_client.stack.ports import Address

_ASK_SECONDS = 2.0
_HEALTH = "/grpc.health.v1.Health/Check"


async def answers(address: Address) -> bool:
    """Asks a process for its health; takes up to two seconds.

    Args:
        address: Where it serves gRPC.

    Returns:
        Whether it said anything. Nobody there is an answer, too: that is a process which starts or ends.
    """
    # Without TLS: a process that speaks TLS refuses that, which is an answer. An empty message asks about the server.
    async with grpc.aio.insecure_channel(str(address.reachable), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            ask: Any = channel.unary_unary(_HEALTH)  # without a serializer it takes bytes
            await ask(b"", timeout=_ASK_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
    return True
