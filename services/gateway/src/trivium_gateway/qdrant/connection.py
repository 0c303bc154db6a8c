"""The connection to Qdrant: raw gRPC calls with deadlines below a second, and domain errors instead of codes."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from trivium_serving import tracing
from trivium_serving.channels import outgoing_metadata

from trivium_gateway.qdrant.client import QdrantAddress, QdrantClient
from trivium_gateway.qdrant.errors import closed, qdrant_error
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.links import QdrantLinks
from trivium_gateway.qdrant.version import is_too_old, too_old

__all__ = ["QdrantConnection"]

_Result = TypeVar("_Result")

_READER_COUNT = 2


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

    def of(self, client: QdrantClient) -> Any:
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
        route = QdrantAddress(url, grpc_port, api_key, authorities_file, compression)
        self._metadata = route.metadata
        self._links = QdrantLinks(lambda: QdrantClient(route))
        # Their own, so that no question waits behind documents that are cut.
        self._readers = ThreadPoolExecutor(_READER_COUNT, thread_name_prefix="read")

    @property
    def points(self) -> _Stub:
        """Qdrant's Points service, whose methods `call` takes."""
        return _Stub("points")

    @property
    def collections(self) -> _Stub:
        """Qdrant's Collections service."""
        return _Stub("collections")

    async def version(self, *, timeout_seconds: float) -> str:
        """Ask Qdrant for its version, which shows that it is there. While it is too old, no call is made."""
        try:
            version = str(await self._links.call(QdrantClient.version, timeout_seconds))
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
            metadata = (*self._metadata, *outgoing_metadata(), *tracing.outgoing_headers().items())

            def make(client: QdrantClient, seconds: float) -> Awaitable[Any]:
                answer: Awaitable[Any] = method.of(client)(request, timeout=seconds, metadata=metadata)
                return answer

            try:
                return await self._links.call(make, timeout_seconds)
            except grpc.aio.AioRpcError as error:
                named = getattr(request, "collection_name", "")
                if error.code() is grpc.StatusCode.NOT_FOUND and await self._has_alias_for(named, timeout_seconds):
                    raise closed(named) from qdrant_error(error, self.address)
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
