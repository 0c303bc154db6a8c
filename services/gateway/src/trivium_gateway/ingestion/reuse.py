"""What the embedding model made of the chunks of documents that are written anew, or that were moved."""

from collections.abc import Iterable, Mapping

from trivium_serving.errors import TriviumError

from trivium_gateway.ingestion.pieces import Piece
from trivium_gateway.ingestion.preparation import PreparedDocument
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import DocumentVersions
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.points import EmbeddedChunk

__all__ = ["embeddings_carried", "embeddings_known", "stored_before"]

_MOST_CHUNKS = 4_096
"""Of more there is no room for the vectors beside those that are being made."""


def stored_before(document: PreparedDocument) -> tuple[str, ...]:
    """List the ids under which earlier versions of a document may be stored."""
    return (document.id, document.moved_from) if document.moved_from else (document.id,)


async def embeddings_known(
    chunks: ChunkStore,
    embed: EmbedClient,
    collection: ResolvedCollection,
    documents: Iterable[PreparedDocument],
    versions: Mapping[str, DocumentVersions],
    tenant: str,
) -> dict[str, EmbeddedChunk]:
    """Find what need not be embedded again, because an earlier version of one of some documents has the same chunk.

    Args:
        chunks: Where they are.
        embed: Says whether it makes token codes: then a chunk that has none is embedded again.
        collection: Whose chunks are all of one embedding model.
        documents: What will be written.
        versions: What is stored of them; and of what they were before they were moved.
        tenant: Whose documents.

    Returns:
        By the text that was embedded. It may be less than there is, and is nothing if that cannot be read now: it
        only saves time.
    """
    current: list[str] = []
    room = _MOST_CHUNKS
    for document in documents:
        for stored in filter(None, map(versions.get, stored_before(document))):
            version = stored.current()
            if version is not None and stored.chunk_counts[version] <= room:
                room -= stored.chunk_counts[version]
                current.append(version)
    if not current:
        return {}
    try:
        with_codes = (await (await embed.of(collection.embedded_by)).model()).gives_codes
        found = await chunks.embedded(collection, current, tenant)
    except TriviumError:
        return {}
    return {chunk.indexed_text: embedded for chunk, embedded in found if embedded.token_codes or not with_codes}


def embeddings_carried(pieces: Iterable[Piece]) -> dict[str, EmbeddedChunk]:
    """Find what the embedding model made elsewhere of the very pieces that some documents are cut into.

    Returns:
        By the text that was embedded, as `embeddings_known`.
    """
    carried: dict[str, EmbeddedChunk] = {}
    for piece in pieces:
        embedded = piece.writing.cut.document.embedded.get((piece.span.start, piece.span.end))
        if embedded is not None:
            carried[piece.text()] = embedded
    return carried
