"""Divides a stream of documents into windows that are worked on together."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from trivium_gateway.ingestion.preparation import document_id_of
from trivium_gateway.library.documents import NewDocument

__all__ = ["each_of", "windows_of"]

_WINDOW_DOCUMENTS = 128
_WINDOW_BYTES = 512 * 1024


async def windows_of(
    documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
) -> AsyncGenerator[list[tuple[str, NewDocument]], None]:
    """Divide documents into windows of bounded size, in none of which an id comes twice.

    Yields:
        Some documents, each with its id, in their order.
    """
    window: list[tuple[str, NewDocument]] = []
    ids: set[str] = set()
    size = 0
    async with aclosing(each_of(documents)) as each:
        async for document in each:
            document_id = document_id_of(document)
            if document_id in ids or len(window) >= _WINDOW_DOCUMENTS or size >= _WINDOW_BYTES:
                yield window
                window, ids, size = [], set(), 0
            window.append((document_id, document))
            ids.add(document_id)
            size += len(document.text or "") + len(document.data or b"")
    if window:
        yield window


async def each_of(documents: AsyncIterable[NewDocument] | Iterable[NewDocument]) -> AsyncGenerator[NewDocument, None]:
    """Give documents one after the other, wherever they come from."""
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document
