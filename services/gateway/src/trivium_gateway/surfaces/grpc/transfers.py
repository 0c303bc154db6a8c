"""The gRPC surface of exports and imports: converts messages, and decides nothing."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from trivium.gateway.v1 import transfer_service_pb2 as pb
from trivium.gateway.v1.transfer_service_pb2_grpc import TransferServiceServicer, add_TransferServiceServicer_to_server

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.limits import check_document_count
from trivium_gateway.domain.readers import shown_readers
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.gateway.transfers import CarriedDocument, CarriedPiece, ExportedCollection
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.grpc.messages.collections import settings_from, settings_message
from trivium_gateway.surfaces.grpc.messages.documents import result_message
from trivium_gateway.surfaces.grpc.messages.structs import json_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.library.exporting import ExportedDocument

FULL_NAME = pb.DESCRIPTOR.services_by_name["TransferService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]


class TransferServicer(TransferServiceServicer):
    """Serves trivium.gateway.v1.TransferService.

    Args:
        gateway: Does the work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._transfers = gateway.transfers
        self._limits = gateway.limits

    async def ExportDocuments(
        self, request: pb.ExportDocumentsRequest, context: _Context
    ) -> AsyncIterator[pb.ExportDocumentsResponse]:
        """Gives the documents of a collection."""
        exported = self._transfers.export(
            principal(),
            request.collection,
            page_token=request.page_token,
            with_vectors=not request.without_vectors,
        )
        async with aclosing(exported):
            async for content, page_token in exported:
                if isinstance(content, ExportedCollection):
                    yield pb.ExportDocumentsResponse(collection=_collection_message(content))
                elif content is not None:
                    yield pb.ExportDocumentsResponse(document=_document_message(content))
                else:
                    yield pb.ExportDocumentsResponse(page_token=page_token)
        yield pb.ExportDocumentsResponse(done=True)

    async def ImportDocuments(
        self, request_iterator: AsyncIterator[pb.ImportDocumentsRequest], context: _Context
    ) -> pb.ImportDocumentsResponse:
        """Adds or replaces documents as they were exported."""
        requests = aiter(request_iterator)
        first = await anext(requests, pb.ImportDocumentsRequest())
        limit = self._limits.max_documents_per_stream
        check_document_count(len(first.documents), limit)

        async def documents() -> AsyncIterator[CarriedDocument]:
            for document in first.documents:
                yield _document_from(document)
            async for request in requests:
                for document in request.documents:
                    yield _document_from(document)

        results = await self._transfers.take_in(
            principal(),
            first.collection,
            _collection_from(first.source),
            documents(),
            embed=first.embed,
            max_documents=limit,
        )
        return pb.ImportDocumentsResponse(documents=map(result_message, results))


def serve(gateway: Gateway, server: grpc.aio.Server) -> None:
    """Has a server serve exports and imports."""
    add_TransferServiceServicer_to_server(TransferServicer(gateway), server)


def _collection_message(collection: ExportedCollection) -> pb.ExportedCollection:
    return pb.ExportedCollection(
        name=collection.name,
        model=collection.model,
        model_fingerprint=collection.model_fingerprint,
        dimension=collection.dimension,
        has_vectors=collection.has_vectors,
        settings=settings_message(collection.settings) if collection.settings is not None else None,
        chunk_count=collection.chunk_count,
    )


def _collection_from(message: pb.ExportedCollection) -> ExportedCollection:
    return ExportedCollection(
        name=message.name,
        model=message.model,
        model_fingerprint=message.model_fingerprint,
        dimension=message.dimension,
        has_vectors=message.has_vectors,
        settings=settings_from(message.settings) if message.HasField("settings") else None,
        chunk_count=message.chunk_count,
    )


def _document_message(document: ExportedDocument) -> pb.ExportedDocument:
    message = pb.ExportedDocument(
        id=document.id,
        continues=document.continues,
        title=document.title,
        uri=document.uri,
        readers=[] if document.continues else shown_readers(document.readers),
        container=document.container,
        text=document.text,
        lines=[
            pb.ExportedLine(start=one.start, page=one.page, x0=one.x0, y0=one.y0, x1=one.x1, y1=one.y1)
            for one in document.boxes
        ],
        pieces=[
            pb.ExportedPiece(
                start=one.start,
                end=one.end,
                vector=np.asarray(one.embedded.vector, dtype="<f4").tobytes(),
                token_codes=one.embedded.token_codes,
                learned_indices=one.embedded.learned.indices if one.embedded.learned else (),
                learned_values=one.embedded.learned.values if one.embedded.learned else (),
            )
            for one in document.pieces
        ],
    )
    message.metadata.update(dict(document.metadata))
    return message


def _document_from(message: pb.ExportedDocument) -> CarriedDocument:
    return CarriedDocument(
        id=message.id,
        continues=message.continues,
        title=message.title,
        uri=message.uri,
        metadata=json_from(message.metadata),
        readers=list(message.readers),
        container=message.container,
        text=message.text,
        boxes=[LineBox(one.start, one.page, one.x0, one.y0, one.x1, one.y1) for one in message.lines],
        pieces=[
            CarriedPiece(
                one.start,
                one.end,
                one.vector,
                one.token_codes,
                SparseWeights(list(one.learned_indices), list(one.learned_values)),
            )
            for one in message.pieces
        ],
    )
