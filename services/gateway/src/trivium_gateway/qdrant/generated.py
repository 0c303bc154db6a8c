"""Qdrant's generated code for gRPC, without the rest of qdrant-client.

The rest is several hundred models of Qdrant's REST API: a second and 40 MB at the start of each process, for nothing.
"""

from typing import TYPE_CHECKING

from trivium_serving.importing import import_alone

if TYPE_CHECKING:
    from qdrant_client import grpc as qdrant
else:
    qdrant = import_alone("qdrant_client.grpc")

__all__ = ["qdrant"]
