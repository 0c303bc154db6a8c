"""The gRPC surface of feedback: converts messages, and decides nothing."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
from trivium.gateway.v1 import feedback_service_pb2 as pb
from trivium.gateway.v1.feedback_service_pb2_grpc import FeedbackServiceServicer, add_FeedbackServiceServicer_to_server

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.pages import FEEDBACK_ON_A_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.library.feedback import Feedback

FULL_NAME = pb.DESCRIPTOR.services_by_name["FeedbackService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]

_PIECE_BYTES = 64 * 1024


class FeedbackServicer(FeedbackServiceServicer):
    """Serves trivium.gateway.v1.FeedbackService.

    Args:
        gateway: Does the work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._box = gateway.feedback

    async def GiveFeedback(self, request: pb.GiveFeedbackRequest, context: _Context) -> pb.GiveFeedbackResponse:
        """Keeps what someone says of an answer."""
        kept = await self._box.give(
            principal(),
            request.request_id,
            request.rating,
            comment=request.comment,
            answer=request.answer,
            document_ids=list(request.document_ids),
            question=request.question,
            collection=request.collection,
        )
        return pb.GiveFeedbackResponse(feedback=_message(kept))

    async def ListFeedback(self, request: pb.ListFeedbackRequest, context: _Context) -> pb.ListFeedbackResponse:
        """Lists what was said."""
        page_size = request.page_size if request.HasField("page_size") else FEEDBACK_ON_A_PAGE
        page, following = await self._box.page(principal(), page_size=page_size, page_token=request.page_token)
        return pb.ListFeedbackResponse(feedback=map(_message, page), next_page_token=following)

    async def DeleteFeedback(self, request: pb.DeleteFeedbackRequest, context: _Context) -> pb.DeleteFeedbackResponse:
        """Deletes what was said of an answer."""
        return pb.DeleteFeedbackResponse(count=await self._box.delete(principal(), request.request_id))

    async def ExportFeedback(
        self, request: pb.ExportFeedbackRequest, context: _Context
    ) -> AsyncIterator[pb.ExportFeedbackResponse]:
        """Makes a set of labelled questions of it, some lines at a time."""
        name, lines = "", b""
        exported = self._box.export(principal(), request.collection, judged_only=request.judged_only)
        async with aclosing(exported):
            async for file, line in exported:
                if name and (file != name or len(lines) >= _PIECE_BYTES):
                    yield pb.ExportFeedbackResponse(file=name, lines=lines)
                    lines = b""
                name, lines = file, lines + line
        yield pb.ExportFeedbackResponse(file=name, lines=lines)


def serve(gateway: Gateway, server: grpc.aio.Server) -> None:
    """Has a server serve feedback."""
    add_FeedbackServiceServicer_to_server(FeedbackServicer(gateway), server)


def _message(feedback: Feedback) -> pb.Feedback:
    message = pb.Feedback(
        request_id=feedback.request_id,
        rating=feedback.rating,
        comment=feedback.comment,
        answer=feedback.answer,
        document_ids=feedback.document_ids,
        question=feedback.question,
        collection=feedback.collection,
        given_answer=feedback.given_answer,
        cited_document_ids=feedback.cited_document_ids,
        refused=feedback.refused,
        user=feedback.user,
    )
    message.created_at.FromDatetime(datetime.fromtimestamp(feedback.created_at, UTC))
    return message
