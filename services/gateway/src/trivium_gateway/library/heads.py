"""Says which versions of documents count, by looking at their chunks 0."""

from collections.abc import Iterable

from qdrant_client import grpc as qdrant

from trivium_gateway.library.collections import ResolvedCollection
from trivium_gateway.library.versions import current_version
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.points import chunk_from_payload, earlier_head_id, head_id

__all__ = ["DocumentHeads"]

_IDS_PER_CALL = 1000


class DocumentHeads:
    """Looks chunks 0 up by their ids, which takes no search.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

    async def current(
        self,
        collection: ResolvedCollection,
        versions: Iterable[tuple[str, str]],
        tenant: str,
        timeout_seconds: float,
    ) -> dict[str, str]:
        """Give the versions of some documents that count.

        Args:
            collection: Where they are.
            versions: Document ids, and versions of them that were seen. One that an earlier version of Trivium wrote
                is found only if it is named.
            tenant: Whose they are.
            timeout_seconds: For each call.

        Returns:
            The version by document; a document of which none is committed is missing.
        """
        wanted = list(versions)
        ids = {head_id(tenant, document_id) for document_id, _ in wanted}
        ids |= {earlier_head_id(tenant, document_id, seen) for document_id, seen in wanted if seen and "." not in seen}
        committed: dict[str, list[str]] = {}
        ordered = sorted(ids)
        for start in range(0, len(ordered), _IDS_PER_CALL):
            request = qdrant.GetPoints(
                collection_name=collection.physical,
                ids=[qdrant.PointId(uuid=one) for one in ordered[start : start + _IDS_PER_CALL]],
                with_payload=qdrant.WithPayloadSelector(
                    include=qdrant.PayloadIncludeSelector(fields=("document_id", "content_hash"))
                ),
                with_vectors=qdrant.WithVectorsSelector(enable=False),
            )
            reply = await self._connection.call(self._connection.points.Get, request, timeout_seconds=timeout_seconds)
            for point in reply.result:
                head = chunk_from_payload(point.payload)
                committed.setdefault(head.document_id, []).append(head.version)
        return {document_id: current_version(found) or "" for document_id, found in committed.items()}
