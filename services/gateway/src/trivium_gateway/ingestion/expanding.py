"""Puts the files that are in mails and archives behind these, as documents of their own."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import quote

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.ingestion.formats.attached import UNPACKED, WITHIN
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_gateway.ingestion.preparation import document_id_of
from trivium_gateway.ingestion.windows import each_of
from trivium_gateway.library.documents import NewDocument

__all__ = ["DocumentExpander"]


class DocumentExpander:
    """Finds the documents within documents.

    Args:
        extractor: Unpacks.
        limits: What is allowed.
    """

    def __init__(self, extractor: Extractor, limits: GatewayLimits) -> None:
        self._extractor = extractor
        self._limits = limits

    async def expanded(
        self, documents: AsyncIterable[NewDocument] | Iterable[NewDocument]
    ) -> AsyncGenerator[NewDocument, None]:
        """Give documents, each before what is in it.

        What is in a document has its id with `!/` and a name behind it, its uri with the name, and its metadata, and
        tells it as its container. What cannot be unpacked has failed.
        """
        async with aclosing(each_of(documents)) as each:
            async for document in each:
                try:
                    parts = await self._within(document)
                except (InvalidField, TooLarge) as error:
                    document, parts = replace(document, failure=error), []
                yield document
                for part in parts:
                    yield part

    async def _within(self, document: NewDocument) -> list[NewDocument]:
        data = document.data
        if data is None or document.text is not None or len(data) > self._limits.max_document_bytes:
            return []
        try:
            format_name = recognise(data, document.filename, document.media_type).name
        except InvalidField:
            return []  # it is refused when it is read
        if format_name not in UNPACKED:
            return []
        parts = await self._extractor.unpack(format_name, document.filename, data)
        container = document_id_of(document)
        return [
            NewDocument(
                id=f"{container}{WITHIN}{part.name}",
                uri=f"{document.uri}#{quote(part.name)}" if document.uri else "",
                metadata=document.metadata,
                data=part.data,
                filename=part.name.rpartition("/")[2],
                media_type=part.media_type,
                container=container,
                failure=part.failure,
                readers=document.readers,
            )
            for part in parts
        ]
