"""Ingestion: documents in, searchable chunks out, at the speed of the encoder."""

from collections.abc import AsyncIterable, Iterable

from trivium_gateway.collections import ResolvedCollection
from trivium_gateway.documents import DocumentResult, NewDocument

__all__ = ["Ingester"]


class Ingester:
    """Writes documents into collections."""

    async def ingest(
        self,
        collection: ResolvedCollection,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
        tenant: str = "default",
    ) -> list[DocumentResult]:
        """Add or replace documents. Each fails alone; what is reported as written is durable.

        Args:
            collection: Where to write.
            documents: The documents; read ahead of the work only as far as keeps the encoder busy.
            max_documents: Most documents in one call: `GatewayLimits.max_documents_per_request` or `..._per_stream`.
            tenant: Whose documents.

        Returns:
            One result per document, in order. A document that comes twice is written twice, in order.

        Raises:
            TooLarge: There are more documents than `max_documents` (TOO_MANY_DOCUMENTS); those before are written.
            FailedPrecondition: The collection belongs to another model than the embed service runs (MODEL_CHANGED).
            Unavailable: The embed service or Qdrant could not be reached at the start of the call. Later on, it is the
                documents that fail.
        """
        raise NotImplementedError
