"""/v1/feedback."""

from __future__ import annotations

import zipfile
from contextlib import aclosing
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response, StreamingResponse

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse
from trivium_gateway.surfaces.http.shapes.feedback import DeleteFeedbackResponse, FeedbackResponse, ListFeedbackResponse
from trivium_gateway.surfaces.pages import FEEDBACK_ON_A_PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.library.feedback import Feedback

_LIMITS = GatewayLimits()
_PIECE_BYTES = 64 * 1024


class FeedbackBody(JsonBody):
    """What to say of an answer."""

    request_id: str = Field(
        description="The request that it is about. What was asked and answered is taken from its trace, if that is "
        "still there."
    )
    rating: Literal[-1, 1] = Field(description="1 for right, -1 for wrong.")
    comment: str | None = Field(None, description="What to say of it.")
    answer: str | None = Field(None, description="The right answer.")
    document_ids: Annotated[list[str], *at_most(_LIMITS.max_feedback_documents)] | None = Field(
        None, description="The documents that answer the question."
    )
    question: str | None = Field(None, description="What was asked, for when there is no trace of it any more.")
    collection: str | None = Field(None, description="Where, likewise; default `default`.")


def feedback_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["feedback"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v1/feedback",
        summary="Say whether an answer is right, and what would be",
        **documented(FeedbackResponse, FeedbackBody),
    )
    async def give_feedback(request: Request) -> Response:
        body = await read_json(request, FeedbackBody, gateway.limits.max_body_bytes)
        kept = await gateway.feedback.give(
            principal(),
            body.request_id,
            body.rating,
            comment=body.comment or "",
            answer=body.answer or "",
            document_ids=body.document_ids or (),
            question=body.question or "",
            collection=body.collection or "",
        )
        return JsonResponse(feedback_json(kept))

    @router.get(
        "/v1/feedback", summary="List what was said of answers, the oldest first", **documented(ListFeedbackResponse)
    )
    async def list_feedback(page_size: int = FEEDBACK_ON_A_PAGE, page_token: str = "") -> Response:
        page, following = await gateway.feedback.page(principal(), page_size=page_size, page_token=page_token)
        return JsonResponse({"feedback": [feedback_json(one) for one in page], "next_page_token": following or None})

    @router.get(
        "/v1/feedback/export",
        summary="A set of labelled questions of what was said: queries.jsonl, qrels.tsv, corpus.jsonl",
        response_class=Response,
        responses={
            200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
            "default": {"model": ErrorResponse},
        },
    )
    async def export_feedback(
        collection: str = "",
        corpus: Annotated[
            Literal["all", "judged"], Query(description="All documents, or those that a question is about.")
        ] = "all",
    ) -> Response:
        pieces = _zipped(gateway.feedback.export(principal(), collection, judged_only=corpus == "judged"))
        first = await anext(pieces)  # what fails before it is an error response as anywhere else
        headers = {"Content-Disposition": 'attachment; filename="feedback.zip"'}
        return StreamingResponse(_joined(first, pieces), media_type="application/zip", headers=headers)

    @router.delete(
        "/v1/feedback/{request_id}",
        summary="Delete what was said of an answer",
        **documented(DeleteFeedbackResponse),
    )
    async def delete_feedback(request_id: str) -> Response:
        return JsonResponse({"deleted": await gateway.feedback.delete(principal(), request_id)})

    return router


def feedback_json(feedback: Feedback) -> dict[str, Any]:
    """What someone said of an answer."""
    return {
        "request_id": feedback.request_id,
        "rating": feedback.rating,
        "comment": feedback.comment,
        "answer": feedback.answer,
        "document_ids": list(feedback.document_ids),
        "question": feedback.question,
        "collection": feedback.collection,
        "given_answer": feedback.given_answer,
        "cited_document_ids": list(feedback.cited_document_ids),
        "refused": feedback.refused,
        "user": feedback.user or None,
        "created_at": f"{datetime.fromtimestamp(feedback.created_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


class _Pipe(bytearray):
    """Takes what a ZipFile writes to where it cannot go back."""

    def write(self, data: bytes) -> int:
        """Takes more."""
        self += data
        return len(data)

    def flush(self) -> None:
        """Holds nothing back."""


async def _joined(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """All pieces again. If one fails, the connection breaks off, so that nobody takes what came for all of it."""
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece


async def _zipped(lines: AsyncGenerator[tuple[str, bytes], None]) -> AsyncGenerator[bytes, None]:
    """The files as a zip, piece by piece. They are stored as they are: compression would hold up everybody else."""
    pipe = _Pipe()
    async with aclosing(lines):
        current, line = await anext(lines)
        with zipfile.ZipFile(cast("IO[bytes]", pipe), "w") as archive:  # it needs no more of a file
            writing = archive.open(current, "w", force_zip64=True)
            try:
                writing.write(line)
                async for name, line in lines:
                    if name != current:
                        writing.close()
                        current, writing = name, archive.open(name, "w", force_zip64=True)
                    writing.write(line)
                    if len(pipe) >= _PIECE_BYTES:
                        yield bytes(pipe)
                        pipe.clear()
            finally:
                writing.close()
        yield bytes(pipe)
