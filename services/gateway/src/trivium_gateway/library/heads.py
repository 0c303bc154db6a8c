"""Says which versions of documents count, by looking at their chunks 0."""

from collections.abc import Iterable

from trivium_gateway.domain.readers import Reader
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import current_version
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.point_ids import earlier_head_id, head_id

__all__ = ["DocumentHeads"]


class DocumentHeads:
    """Looks chunks 0 up by their ids, which takes no search. They also say who may read their documents.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

    async def current(
        self,
        collection: ResolvedCollection,
        versions: Iterable[tuple[str, str]],
        reader: Reader,
        timeout_seconds: float,
    ) -> dict[str, str]:
        """Give the versions of some documents that count.

        Args:
            collection: Where they are.
            versions: Document ids, and versions of them that were seen. One that an earlier version of Trivium wrote
                is found only if it is named.
            reader: As whom.
            timeout_seconds: For each call.

        Returns:
            The version by document; a document of which none is committed, or that the reader may not read, is
            missing.
        """
        wanted = list(versions)
        ids = {head_id(reader.tenant, document_id) for document_id, _ in wanted}
        ids |= {
            earlier_head_id(reader.tenant, document_id, seen)
            for document_id, seen in wanted
            if seen and "." not in seen
        }
        chunks = QdrantChunks(self._connection, collection.physical, reader)
        committed: dict[str, list[str]] = {}
        for head in await chunks.by_ids(sorted(ids), ("document_id", "content_hash", "tenant"), timeout_seconds):
            if reader.may_read(head.readers):
                committed.setdefault(head.document_id, []).append(head.version)
        return {document_id: current_version(found) or "" for document_id, found in committed.items()}
