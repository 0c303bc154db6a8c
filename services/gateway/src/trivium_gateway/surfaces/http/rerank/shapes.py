"""The responses of the three dialects, and what they look like for the OpenAPI description."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, RootModel
from trivium_serving.errors import (
    DeadlineExceeded,
    InvalidField,
    NotFound,
    Overloaded,
    TooLarge,
    TriviumError,
    Unavailable,
)
from trivium_serving.request_context import request_id

from trivium_gateway.surfaces.http.errors import TOLD_HEADERS, error_body, error_response
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from trivium_gateway.answering.reranking import RankedTexts

_TEXTS_PER_SEARCH_UNIT = 100


class DocumentShape(Shape):
    """A document's text."""

    text: str


class ResultShape(Shape):
    """One document's place."""

    index: int = Field(description="Its position in the request, from 0.")
    relevance_score: float = Field(ge=0, le=1)
    document: DocumentShape | None = Field(None, description="Only if `return_documents`.")


class CohereResponse(Shape):
    """Cohere's shape, best first."""

    id: str
    results: list[ResultShape]
    meta: dict[str, Any]


class TokensShape(Shape):
    """Tokens that the model read, query included."""

    prompt_tokens: int
    total_tokens: int


class JinaResponse(CohereResponse):
    """Jina's shape, and with `id` and `meta` Cohere's v1, best first."""

    model: str
    object: Literal["list"]
    usage: TokensShape


class TeiResultShape(Shape):
    """One text's place."""

    index: int = Field(description="Its position in the request, from 0.")
    score: float = Field(ge=0, le=1)
    text: str | None = Field(None, description="Only if `return_text`.")


class TeiResponse(RootModel[list[TeiResultShape]]):
    """TEI's shape, best first."""


class TeiErrorResponse(Shape):
    """TEI's shape of an error. `message` and `detail` repeat it; `reason` is Trivium's."""

    error: str
    error_type: Literal["Validation", "Overloaded", "Unhealthy", "Backend"]
    reason: str
    message: str
    detail: str


def cohere_json(ranked: RankedTexts, documents: Sequence[str] | None, version: Literal["1", "2"]) -> dict[str, Any]:
    """The body in Cohere's shape.

    Args:
        ranked: The order.
        documents: The texts in the order of the request, if the response is to have them.
        version: Of Cohere's API.
    """
    results: list[dict[str, Any]] = [
        {"index": one.index, "relevance_score": one.score}
        | ({} if documents is None else {"document": {"text": documents[one.index]}})
        for one in ranked.rankings
    ]
    units = math.ceil(ranked.text_count / _TEXTS_PER_SEARCH_UNIT)
    meta = {
        "api_version": {"version": version},
        "billed_units": {"search_units": units},
        "tokens": {"input_tokens": ranked.token_count, "output_tokens": 0},
    }
    return {"id": request_id(), "results": results, "meta": meta}


def jina_json(ranked: RankedTexts, documents: Sequence[str] | None) -> dict[str, Any]:
    """The body in Jina's shape, for Cohere's clients of v1 too; arguments as for cohere_json."""
    usage = {"prompt_tokens": ranked.token_count, "total_tokens": ranked.token_count}
    return {"model": ranked.model, "object": "list", "usage": usage, **cohere_json(ranked, documents, "1")}


def tei_json(ranked: RankedTexts, texts: Sequence[str] | None) -> list[dict[str, Any]]:
    """The body in TEI's shape; arguments as for cohere_json."""
    return [
        {"index": one.index, "score": one.score} | ({} if texts is None else {"text": texts[one.index]})
        for one in ranked.rankings
    ]


def tei_error_response(error: TriviumError) -> Response:
    """An error in TEI's shape, with the status and headers that it has everywhere."""
    response, body = error_response(error), error_body(error)
    message = body["message"]
    shown = {
        "error": message,
        "error_type": _tei_type(error),
        "reason": body["error"]["reason"],
        "message": message,
        "detail": message,
    }
    headers = {name: response.headers[name] for name in TOLD_HEADERS if name in response.headers}
    return JsonResponse(shown, status_code=response.status_code, headers=headers)


def _tei_type(error: TriviumError) -> str:
    if isinstance(error, InvalidField | TooLarge | NotFound):
        return "Validation"
    if isinstance(error, Overloaded):
        return "Overloaded"
    return "Unhealthy" if isinstance(error, Unavailable | DeadlineExceeded) else "Backend"
