"""Qdrant's own `Qdrant` service, which says who answers."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from trivium_qdrant_edge.generated import qdrant

if TYPE_CHECKING:
    from typing import Final

TITLE: Final = "qdrant-edge - vector search engine, embedded"

# The version of Qdrant's API that is served: that of the client whose stubs these are.
API_VERSION: Final = version("qdrant-client")


class HealthServicer(qdrant.QdrantServicer):
    """Answers `HealthCheck`."""

    async def HealthCheck(self, request: qdrant.HealthCheckRequest, context: object) -> qdrant.HealthCheckReply:
        return qdrant.HealthCheckReply(title=TITLE, version=API_VERSION)
