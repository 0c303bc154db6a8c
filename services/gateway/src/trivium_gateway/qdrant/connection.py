"""The connection to Qdrant: raw gRPC calls with deadlines below a second, and domain errors instead of codes."""

import asyncio
import dataclasses
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import grpc
from qdrant_client import AsyncQdrantClient
from qdrant_client import grpc as qdrant
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from trivium_serving import tracing
from trivium_serving.channels import outgoing_metadata
from trivium_serving.errors import DeadlineExceeded
from trivium_serving.tls import TlsFiles

from trivium_gateway.qdrant.errors import busy, closed, qdrant_error
from trivium_gateway.qdrant.links import QdrantLinks
from trivium_gateway.qdrant.version import is_too_old, too_old

__all__ = ["QdrantConnection"]

_Result = TypeVar("_Result")

_READER_COUNT = 2
_CHANNEL_OPTIONS = {
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


class _Stub:
    """One of Qdrant's services; its methods are found on whichever connection a call is made over."""

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute

    def __getattr__(self, name: str) -> "_Method":
        return _Method(self._attribute, name)


@dataclasses.dataclass(frozen=True, slots=True)
class _Method:
    """A method of one of Qdrant's services."""

    stub: str
    name: str

    def of(self, client: AsyncQdrantClient) -> Any:
        """The method of a client; the generated code has no types."""
        return getattr(getattr(client, self.stub), self.name)


class QdrantConnection:
    """Calls Qdrant, or anything that speaks its gRPC API.

    Args:
        url: Qdrant's HTTP address, for example `http://127.0.0.1:6333`; `https` means TLS for gRPC, too.
        grpc_port: The port of its gRPC API on the same host.
        api_key: Its API key; empty for none.
        authorities_file: Whom to trust over https; empty for those that the environment names, or else the system's.
        compression: `gzip` to compress what travels, in both directions; `off` not to.

    Raises:
        TlsError: The files for TLS cannot be used.
    """

    def __init__(
        self, url: str, grpc_port: int, api_key: str = "", authorities_file: str = "", compression: str = "off"
    ) -> None:
        self.address = f"{url} (gRPC port {grpc_port})"
        self.is_too_old = False
        is_compressed = compression == "gzip"
        options = _CHANNEL_OPTIONS | ({} if is_compressed else _UNCOMPRESSED) | _tls_options(url, authorities_file)

        def open_client() -> AsyncQdrantClient:
            with warnings.catch_warnings():
                # On a network of one's own a key without TLS is the operator's choice.
                warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
                return AsyncQdrantClient(
                    url=url,
                    grpc_port=grpc_port,
                    prefer_grpc=True,
                    api_key=api_key or None,
                    check_compatibility=False,
                    pool_size=1,
                    grpc_options=dict(options),
                    grpc_compression=grpc.Compression.Gzip if is_compressed else None,
                )

        self._links = QdrantLinks(open_client)
        # Their own, so that no question waits behind documents that are cut.
        self._readers = ThreadPoolExecutor(_READER_COUNT, thread_name_prefix="read")

    @property
    def points(self) -> _Stub:
        """Qdrant's Points service, whose methods `call` takes."""
        return _Stub("grpc_points")

    @property
    def collections(self) -> _Stub:
        """Qdrant's Collections service."""
        return _Stub("grpc_collections")

    async def version(self, *, timeout_seconds: float) -> str:
        """Ask Qdrant for its version, which shows that it is there. While it is too old, no call is made."""

        async def ask(client: AsyncQdrantClient, seconds: float) -> str:
            async with asyncio.timeout(seconds):
                return str((await client.info()).version)

        try:
            version = str(await self._links.call(ask, timeout_seconds))
        except TimeoutError:
            raise DeadlineExceeded("Qdrant did not answer in time.") from None
        except grpc.aio.AioRpcError as error:
            raise qdrant_error(error, self.address) from error
        self.is_too_old = is_too_old(version)
        return version

    async def ask(self, seconds: float) -> None:
        """Have Qdrant say anything; see trivium_serving.pulse."""
        await self.version(timeout_seconds=seconds)

    async def call(self, method: _Method, request: Any, *, timeout_seconds: float) -> Any:
        """Make one call, again over another connection if this one is dead; see `QdrantLinks`.

        Args:
            method: A method of `points` or `collections`; harmless to repeat.
            request: Its request.
            timeout_seconds: Its deadline.

        Raises:
            NotFound: Qdrant does not have what the request names, and knows no alias for it.
            AlreadyExists: It has what the request would create.
            Overloaded: It has no capacity now.
            StorageFull: Its volume has no room for what would be written.
            FailedPrecondition: The collection is damaged (COLLECTION_DAMAGED).
            DeadlineExceeded: It did not answer in time.
            Unavailable: It cannot be reached, is too old (QDRANT_TOO_OLD), or failed otherwise (UPSTREAM_FAILED); or
                it is still opening the collection, or has an alias for one that it does not find, which then is not
                open yet and never deleted (COLLECTION_UNAVAILABLE).
        """
        if self.is_too_old:
            raise too_old("")
        with tracing.span(type(request).__name__, kind="client") as span:
            span.set(self._described(request))
            metadata = (*outgoing_metadata(), *tracing.outgoing_headers().items())

            def make(client: AsyncQdrantClient, seconds: float) -> Awaitable[Any]:
                answer: Awaitable[Any] = method.of(client)(request, timeout=seconds, metadata=metadata)
                return answer

            try:
                return await self._links.call(make, timeout_seconds)
            except ResourceExhaustedResponse as error:
                meant = busy(error.retry_after_s)
                raise meant.because(f"Qdrant at {self.address}: {error.message}") from error
            except grpc.aio.AioRpcError as error:
                named = getattr(request, "collection_name", "")
                if error.code() is grpc.StatusCode.NOT_FOUND and await self._has_alias_for(named, timeout_seconds):
                    raise closed(named) from error
                raise qdrant_error(error, self.address, named) from error

    async def beside(self, work: Callable[[], _Result]) -> _Result:
        """Read an answer beside the event loop: it takes some milliseconds, in which everybody else would wait."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _has_alias_for(self, collection: str, timeout_seconds: float) -> bool:
        """Whether an alias points to a collection: deleting the collection would have deleted it, too."""
        reply: Any = await self.call(
            self.collections.ListAliases, qdrant.ListAliasesRequest(), timeout_seconds=timeout_seconds
        )
        return any(one.collection_name == collection for one in reply.aliases)

    async def close(self) -> None:
        """Close the channels."""
        self._readers.shutdown(wait=False)
        await self._links.close()

    def _described(self, request: object) -> dict[str, str]:
        """A call as OpenTelemetry's conventions for databases describe it."""
        return {
            "db.system.name": "qdrant",
            "db.operation.name": type(request).__name__,
            "db.collection.name": getattr(request, "collection_name", ""),
            "server.address": self.address,
        }


def _tls_options(url: str, authorities_file: str) -> dict[str, Any]:
    """The options by which qdrant-client's channels learn whom to trust, and which certificate to show if asked."""
    if not url.startswith("https:"):
        return {}
    files = TlsFiles.from_environment()
    if authorities_file:
        files = dataclasses.replace(files, authorities=Path(authorities_file))
    content = files.read()
    options = {
        "root_certificates": content.authorities,
        "private_key": content.key,
        "certificate_chain": content.certificate,
    }
    return {name: value for name, value in options.items() if value}
