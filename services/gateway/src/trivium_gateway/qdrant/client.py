"""A client of Qdrant: one connection, and the stubs of its services."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from trivium_serving.tls import TlsFiles

from trivium_gateway.qdrant.generated import qdrant

__all__ = ["QdrantAddress", "QdrantClient"]

_CHANNEL_OPTIONS = {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.http2.ping_timeout_ms": 5_000,
    # A Qdrant that was restarted is used again within a second.
    "grpc.initial_reconnect_backoff_ms": 100,
    # The time to connect, despite its name.
    "grpc.min_reconnect_backoff_ms": 2_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.enable_http_proxy": 0,
    # A second channel is a second connection.
    "grpc.use_local_subchannel_pool": 1,
}

_UNCOMPRESSED = {"grpc.compression_enabled_algorithms_bitset": 1}
"""A Qdrant server compresses each answer to whoever takes that, which is a third of a search on a fast network."""


class QdrantAddress:
    """Where Qdrant is, and how it is spoken to.

    Args:
        url: Qdrant's HTTP address, for example `http://127.0.0.1:6333`; `https` means TLS for gRPC, too.
        grpc_port: The port of its gRPC API on the same host.
        api_key: Its API key; empty for none.
        authorities_file: Whom to trust over https; empty for those that the environment names, or else the system's.
        compression: `gzip` to compress what travels, in both directions; `off` not to.

    Raises:
        TlsError: The files for TLS cannot be used.
    """

    def __init__(self, url: str, grpc_port: int, api_key: str, authorities_file: str, compression: str) -> None:
        host = urlsplit(url).hostname or ""
        self._target = f"[{host}]:{grpc_port}" if ":" in host else f"{host}:{grpc_port}"
        self._credentials = _credentials(authorities_file) if url.startswith("https:") else None
        self._compression = grpc.Compression.Gzip if compression == "gzip" else None
        self._options = _CHANNEL_OPTIONS | ({} if self._compression else _UNCOMPRESSED)
        self.metadata = (("api-key", api_key),) if api_key else ()
        """What goes with each call."""

    def open_channel(self) -> grpc.aio.Channel:
        """Open a connection of its own; it connects when first used."""
        arguments: dict[str, Any] = {"options": [*self._options.items()], "compression": self._compression}
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._target, **arguments)
        return grpc.aio.secure_channel(self._target, self._credentials, **arguments)


class QdrantClient:
    """One connection to Qdrant. The generated stubs have no types.

    Args:
        address: Where it leads.
    """

    def __init__(self, address: QdrantAddress) -> None:
        self._address = address

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        return self._address.open_channel()

    @cached_property
    def points(self) -> Any:
        """Qdrant's Points service."""
        return qdrant.PointsStub(self._channel)  # type: ignore[no-untyped-call]

    @cached_property
    def collections(self) -> Any:
        """Qdrant's Collections service."""
        return qdrant.CollectionsStub(self._channel)  # type: ignore[no-untyped-call]

    @cached_property
    def _root(self) -> Any:
        return qdrant.QdrantStub(self._channel)  # type: ignore[no-untyped-call]

    async def version(self, timeout_seconds: float) -> str:
        """Ask for Qdrant's version.

        Raises:
            AioRpcError: It does not tell.
        """
        request = qdrant.HealthCheckRequest()
        answer = await self._root.HealthCheck(request, timeout=timeout_seconds, metadata=self._address.metadata)
        return str(answer.version)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _credentials(authorities_file: str) -> grpc.ChannelCredentials:
    """Whom to trust, and which certificate to show if asked."""
    files = TlsFiles.from_environment()
    if authorities_file:
        files = dataclasses.replace(files, authorities=Path(authorities_file))
    return files.read().channel_credentials()
