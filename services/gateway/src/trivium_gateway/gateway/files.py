"""The files that documents came in, for whoever may read these."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, NotFound

from trivium_gateway.ingestion.page_picture import MOST_SCALE

if TYPE_CHECKING:
    from trivium_gateway.gateway.library import Library
    from trivium_gateway.ingestion.extraction import Extractor
    from trivium_gateway.ingestion.page_picture import PagePicture
    from trivium_gateway.library.originals import OriginalFile
    from trivium_gateway.request.principal import Principal


class Files:
    """Gives files back, and draws their pages.

    Args:
        library: Finds the documents.
        extractor: Draws.
    """

    def __init__(self, library: Library, extractor: Extractor) -> None:
        self._library = library
        self._extractor = extractor

    async def get(self, principal: Principal, collection: str, document_id: str) -> tuple[OriginalFile, bytes]:
        """Returns the file that a document came in.

        Raises:
            NotFound: There is no such document, or its file is not kept (FILE_NOT_KEPT).
        """
        file = (await self._library.get_document(principal, collection, document_id)).file
        if file is not None:
            with suppress(FileNotFoundError):  # deleted since
                return file, await asyncio.to_thread(file.path.read_bytes)
        raise NotFound(
            f"The file of the document {document_id!r} is not kept: it came as text, or to another gateway, or there "
            "was no room. Send the file again.",
            reason="FILE_NOT_KEPT",
        )

    async def draw_page(
        self, principal: Principal, collection: str, document_id: str, *, page: int, scale: float
    ) -> PagePicture:
        """Draws a page of the PDF file that a document came in.

        Args:
            principal: Who looks.
            collection: Name of the collection; empty for `default`.
            document_id: The document.
            page: Which page, from 1.
            scale: Pixels for each point.

        Raises:
            InvalidField: The scale is out of range, or the file is no PDF.
            NotFound: There is no such document or page (PAGE_NOT_FOUND), or the file is not kept (FILE_NOT_KEPT).
            Overloaded: Too many files are being read.
        """
        if not 0 < scale <= MOST_SCALE:
            raise InvalidField("scale", f"scale is {scale}; it must be above 0 and at most {MOST_SCALE:g}.")
        file, data = await self.get(principal, collection, document_id)
        if file.format.name != "pdf":
            raise InvalidField("page", f"The file is {file.format.title}: only pages of PDF files are drawn.")
        drawn = await self._extractor.picture(data, page, scale)
        if not drawn.png:
            raise NotFound(f"There is no page {page}: the file has {drawn.page_count}.", reason="PAGE_NOT_FOUND")
        return drawn
