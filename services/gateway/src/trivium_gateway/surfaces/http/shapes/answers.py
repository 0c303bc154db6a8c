"""What was found, and answers."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from trivium_gateway.surfaces.http.shapes.passages import CitationShape, PassageShape, SpanShape
from trivium_gateway.surfaces.http.shapes.shape import Shape

# Both are always there.
_SEARCH_QUERY = Field(
    description="What was searched for in place of a question that leans on its conversation; null if it was searched "
    "for as it is."
)
_QUERIES = Field(description="All texts that were searched for, the question or what it was rewritten as first.")


class DegradationShape(Shape):
    """A stage that was replaced by the next best means."""

    stage: str = Field(
        description="For example embed, search.dense, search.sparse, search.learned, rerank or generate."
    )
    reason: Literal["unavailable", "timeout", "overloaded", "loading"]
    fallback: str
    detail: str | None = Field(
        None,
        description="There where waiting does not help, because somebody has to act: the reason of the error behind "
        "it, for example MODEL_CHANGED.",
    )

    @model_serializer(mode="wrap")
    def _without_empty_detail(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        shown: dict[str, Any] = serialize(self)
        return {name: value for name, value in shown.items() if name != "detail" or value}


class TimingsShape(Shape):
    """Milliseconds per stage; null where a stage did not run."""

    embed: float | None
    search: float | None
    rerank: float | None
    generate: float | None
    total: float


class StageTimeShape(Shape):
    """When a stage ran."""

    name: str = Field(description="For example embed, search, rerank or generate.")
    start_ms: float = Field(description="From the arrival of the request.")
    duration_ms: float


class UsageShape(Shape):
    """Tokens of the language model; `is_estimated` where its API does not count them."""

    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool


class CachedShape(Shape):
    """What was not made anew, because it was asked before and nothing has changed since."""

    retrieval: bool = Field(description="Whether the passages come from a cache.")
    answer: bool = Field(description="Whether the text does.")
    similar_question: str | None = Field(
        description="The question that was asked before, if it is another one that means the same; null if it is not, "
        "or nothing comes from a cache."
    )


class SearchedQueryShape(Shape):
    """A text that was searched for."""

    text: str
    origin: Literal["question", "request", "model", "passage"] = Field(
        description="question: what was asked, or its rewriting; request: sent along; model: written by the language "
        "model; passage: made up by it, to find its like."
    )


class RetrieveResponse(Shape):
    """The passages for a query, best first."""

    search_query: str | None = _SEARCH_QUERY
    queries: list[SearchedQueryShape] = _QUERIES
    passages: list[PassageShape]
    timings: TimingsShape
    stages: list[StageTimeShape] = Field(description="All stages that ran, in the order in which they began.")
    degraded: list[DegradationShape]
    cached: CachedShape
    request_id: str


class AnswerResponse(Shape):
    """An answer. With `stream`, the same as the data of the last server-sent event, `summary`."""

    answer: str
    answerable: bool
    confidence: float | None = Field(
        description="How likely it is that the passages state the answer; null without a calibration for the models."
    )
    reason: Literal["no_passages", "weak_evidence", "not_stated"] | None = Field(
        description="Why not, if the documents cannot answer it: nothing was found; what was found is hardly about it; "
        "it is, and does not state the answer."
    )
    refused: bool = Field(description="Whether the answer is a refusal.")
    search_query: str | None = _SEARCH_QUERY
    queries: list[SearchedQueryShape] = _QUERIES
    citations: list[CitationShape] = Field(
        description="In the order of the text; after them, those of sentences without a mark."
    )
    unsupported: list[SpanShape] = Field(
        description="Sentences of the answer that cite nothing and that no passage supports."
    )
    passages: list[PassageShape]
    timings: TimingsShape
    stages: list[StageTimeShape] = Field(description="All stages that ran, in the order in which they began.")
    degraded: list[DegradationShape]
    cached: CachedShape
    usage: UsageShape
    dropped_passages: list[int]
    model: str
    request_id: str
