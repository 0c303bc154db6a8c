"""The gRPC surface of keys: converts messages, and decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
from trivium.gateway.v1 import key_service_pb2 as pb
from trivium.gateway.v1.key_service_pb2_grpc import KeyServiceServicer, add_KeyServiceServicer_to_server

from trivium_gateway.access.keyring import DEFAULT_GRACE_SECONDS
from trivium_gateway.surfaces.door import principal

if TYPE_CHECKING:
    from trivium_gateway.access.keyring import Keyring
    from trivium_gateway.access.keys import Key

FULL_NAME = pb.DESCRIPTOR.services_by_name["KeyService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]


class KeyServicer(KeyServiceServicer):
    """Serves trivium.gateway.v1.KeyService.

    Args:
        keyring: Does the work.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def CreateKey(self, request: pb.CreateKeyRequest, context: _Context) -> pb.CreateKeyResponse:
        """Makes a key."""
        made = await self._keyring.create(
            principal(),
            name=request.name,
            tenant=request.tenant,
            scopes=tuple(request.scopes),
            user=request.user,
            groups=tuple(request.groups),
            expires_at=request.expires_at.seconds if request.HasField("expires_at") else None,
        )
        return pb.CreateKeyResponse(key=_message(made.key), text=made.text)

    async def ListKeys(self, request: pb.ListKeysRequest, context: _Context) -> pb.ListKeysResponse:
        """Lists keys."""
        return pb.ListKeysResponse(keys=map(_message, await self._keyring.list(principal())))

    async def RotateKey(self, request: pb.RotateKeyRequest, context: _Context) -> pb.RotateKeyResponse:
        """Gives a key another secret."""
        grace_seconds = request.grace_seconds if request.HasField("grace_seconds") else DEFAULT_GRACE_SECONDS
        made = await self._keyring.rotate(principal(), request.id, grace_seconds=grace_seconds)
        return pb.RotateKeyResponse(key=_message(made.key), text=made.text)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: _Context) -> pb.RevokeKeyResponse:
        """Ends a key."""
        await self._keyring.revoke(principal(), request.id)
        return pb.RevokeKeyResponse()


def serve(keyring: Keyring, server: grpc.aio.Server) -> None:
    """Has a server serve keys."""
    add_KeyServiceServicer_to_server(KeyServicer(keyring), server)


def _message(key: Key) -> pb.Key:
    message = pb.Key(
        id=key.id,
        name=key.name,
        tenant=key.tenant,
        scopes=sorted(key.scopes),
        user=key.user,
        groups=sorted(key.groups),
    )
    message.created_at.FromDatetime(datetime.fromtimestamp(key.created_at, UTC))
    if key.expires_at is not None:
        message.expires_at.FromDatetime(datetime.fromtimestamp(key.expires_at, UTC))
    return message
