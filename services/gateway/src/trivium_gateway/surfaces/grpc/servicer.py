"""The gRPC surface: converts messages, and decides nothing."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1.gateway_service_pb2_grpc import GatewayServiceServicer, add_GatewayServiceServicer_to_server
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.events import Summary
from trivium_gateway.domain.degradation import header_value
from trivium_gateway.domain.limits import check_document_count
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.grpc.messages.answers import event_message, found_message
from trivium_gateway.surfaces.grpc.messages.collections import collection_message, settings_from
from trivium_gateway.surfaces.grpc.messages.documents import document_from, document_message, result_message
from trivium_gateway.surfaces.grpc.messages.indexes import estimate_message, progress_message
from trivium_gateway.surfaces.grpc.messages.questions import question_from, search_from
from trivium_gateway.surfaces.pages import DOCUMENTS_ON_A_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.gateway import Gateway
    from trivium_gateway.library.documents import NewDocument, StoredDocument

FULL_NAME = pb.DESCRIPTOR.services_by_name["GatewayService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]

_DEGRADED_TRAILER = "trivium-degraded"


class GatewayServicer(GatewayServiceServicer):
    """Serves trivium.gateway.v1.GatewayService.

    Args:
        gateway: Does the work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def Retrieve(self, request: pb.RetrieveRequest, context: _Context) -> pb.RetrieveResponse:
        """Finds the passages that answer a query."""
        found = await self._gateway.questions.retrieve(search_from(request))
        _set_trailer(context, found.degraded)
        return found_message(found)

    async def Answer(self, request: pb.AnswerRequest, context: _Context) -> AsyncIterator[pb.AnswerResponse]:
        """Answers a question as a stream."""
        events = self._gateway.questions.answer(question_from(request))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Summary):
                    _set_trailer(context, event.degraded)
                yield event_message(event)

    async def IngestDocuments(
        self, request_iterator: AsyncIterator[pb.IngestDocumentsRequest], context: _Context
    ) -> pb.IngestDocumentsResponse:
        """Adds or replaces documents."""
        requests = aiter(request_iterator)
        first = await anext(requests, pb.IngestDocumentsRequest())
        limit = self._gateway.limits.max_documents_per_stream
        check_document_count(len(first.documents), limit)  # before any work on those that it may have

        async def documents() -> AsyncIterator[NewDocument]:
            for document in first.documents:
                yield document_from(document)
            # The next message is taken when the work on those before has room for it: until then gRPC holds the sender.
            async for request in requests:
                if request.collection and request.collection != first.collection:
                    raise InvalidField(
                        "collection",
                        f"The call began with collection {first.collection!r} and goes on with {request.collection!r}. "
                        "Make one call per collection.",
                    )
                for document in request.documents:
                    yield document_from(document)

        results = await self._gateway.library.ingest(principal(), first.collection, documents(), max_documents=limit)
        return pb.IngestDocumentsResponse(documents=map(result_message, results))

    async def GetDocument(self, request: pb.GetDocumentRequest, context: _Context) -> pb.GetDocumentResponse:
        """Returns one document with its stored text."""
        document = await self._gateway.library.get_document(principal(), request.collection, request.id)
        return pb.GetDocumentResponse(document=_shown(document))

    async def ListDocuments(self, request: pb.ListDocumentsRequest, context: _Context) -> pb.ListDocumentsResponse:
        """Lists documents."""
        page_size = request.page_size if request.HasField("page_size") else DOCUMENTS_ON_A_PAGE
        documents, next_token = await self._gateway.library.list_documents(
            principal(),
            request.collection,
            page_size=page_size,
            page_token=request.page_token,
        )
        return pb.ListDocumentsResponse(documents=map(_shown, documents), next_page_token=next_token)

    async def DeleteDocuments(
        self, request: pb.DeleteDocumentsRequest, context: _Context
    ) -> pb.DeleteDocumentsResponse:
        """Deletes documents."""
        deleted = await self._gateway.library.delete_documents(principal(), request.collection, tuple(request.ids))
        return pb.DeleteDocumentsResponse(deleted_ids=deleted)

    async def SetReaders(self, request: pb.SetReadersRequest, context: _Context) -> pb.SetReadersResponse:
        """Changes who may read documents."""
        ids, readers = tuple(request.ids), tuple(request.readers)
        changed = await self._gateway.library.permit(principal(), request.collection, ids, readers)
        return pb.SetReadersResponse(changed_ids=changed)

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: _Context
    ) -> pb.CreateCollectionResponse:
        """Creates a collection."""
        collection = await self._gateway.library.create_collection(principal(), request.name)
        return pb.CreateCollectionResponse(collection=collection_message(collection))

    async def GetCollection(self, request: pb.GetCollectionRequest, context: _Context) -> pb.GetCollectionResponse:
        """Describes one collection."""
        collection = await self._gateway.library.get_collection(principal(), request.name)
        return pb.GetCollectionResponse(collection=collection_message(collection))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: _Context
    ) -> pb.ListCollectionsResponse:
        """Lists all collections."""
        found = await self._gateway.library.list_collections(principal())
        return pb.ListCollectionsResponse(collections=map(collection_message, found))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: _Context
    ) -> pb.DeleteCollectionResponse:
        """Deletes a collection and everything in it."""
        await self._gateway.library.delete_collection(principal(), request.name)
        return pb.DeleteCollectionResponse()

    async def ReindexCollection(
        self, request: pb.ReindexCollectionRequest, context: _Context
    ) -> pb.ReindexCollectionResponse:
        """Makes a collection anew, a part of it each call."""
        rebuilding = self._gateway.rebuilding
        progress = await rebuilding.reindex(principal(), request.name, model=request.model, force=request.force)
        return progress_message(progress)

    async def EstimateReindex(
        self, request: pb.EstimateReindexRequest, context: _Context
    ) -> pb.EstimateReindexResponse:
        """Says what it would take to give a collection another model."""
        return estimate_message(await self._gateway.rebuilding.estimate(principal(), request.name, request.model))

    async def RollBackCollectionIndex(
        self, request: pb.RollBackCollectionIndexRequest, context: _Context
    ) -> pb.RollBackCollectionIndexResponse:
        """Has the index before answer again."""
        collection = await self._gateway.rebuilding.roll_back(principal(), request.name)
        return pb.RollBackCollectionIndexResponse(collection=collection_message(collection))

    async def DiscardCollectionIndex(
        self, request: pb.DiscardCollectionIndexRequest, context: _Context
    ) -> pb.DiscardCollectionIndexResponse:
        """Deletes the index beside the one that answers."""
        collection = await self._gateway.rebuilding.discard(principal(), request.name)
        return pb.DiscardCollectionIndexResponse(collection=collection_message(collection))

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: _Context
    ) -> pb.UpdateCollectionResponse:
        """Changes how a collection is searched and judged."""
        changed = await self._gateway.library.change_settings(
            principal(),
            request.name,
            settings_from(request.settings),
            clear=request.clear,
            note=request.note,
            based_on=request.based_on if request.HasField("based_on") else None,
        )
        return pb.UpdateCollectionResponse(collection=collection_message(changed))

    async def RollBackCollectionSettings(
        self, request: pb.RollBackCollectionSettingsRequest, context: _Context
    ) -> pb.RollBackCollectionSettingsResponse:
        """Takes the last change of a collection's settings back."""
        collection = await self._gateway.library.roll_back_settings(principal(), request.name)
        return pb.RollBackCollectionSettingsResponse(collection=collection_message(collection))

    async def GetStatus(self, request: pb.GetStatusRequest, context: _Context) -> pb.GetStatusResponse:
        """Says how each stage is."""
        readiness = self._gateway.readiness
        stages = [
            pb.StageStatus(stage=one.stage, ready=one.ready, model=one.model, detail=one.detail)
            for one in readiness.stages()
        ]
        return pb.GetStatusResponse(ready=readiness.ready, stages=stages)


def serve(gateway: Gateway, server: grpc.aio.Server) -> None:
    """Has a server serve the gateway."""
    add_GatewayServiceServicer_to_server(GatewayServicer(gateway), server)


def _shown(document: StoredDocument) -> pb.Document:
    return document_message(document, with_readers=principal().may_know_readers)


def _set_trailer(context: _Context, degraded: Iterable[Degradation]) -> None:
    if value := header_value(degraded):
        context.set_trailing_metadata(((_DEGRADED_TRAILER, value),))
