"""What traces look like, for the OpenAPI description. `surfaces/traces.py` makes them; a test compares."""

from typing import Any, Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.answers import StageTimeShape
from trivium_gateway.surfaces.http.shapes.passages import ScoresShape
from trivium_gateway.surfaces.http.shapes.shape import Shape


class TracedStageShape(StageTimeShape):
    """When a stage ran, and what it saw and decided."""

    facts: dict[str, Any] = Field(description="By the names that OpenTelemetry traces have for it.")


class TracedDegradationShape(Shape):
    """A stage that was replaced by the next best means."""

    stage: str
    reason: Literal["unavailable", "timeout", "overloaded", "loading"]
    fallback: str
    detail: str


class TracedRequestShape(Shape):
    """What was asked, and how."""

    text: str | None = Field(description="The question; null unless texts are included.")
    history_turns: int
    collection: str
    collections: list[str] = Field(description="All that were asked, `collection` first.")
    filter: dict[str, Any] | None = Field(description="Null unless texts are included.")
    is_filtered: bool
    top_n: int
    candidates: int | None
    rerank: bool
    collapse: bool
    mode: Literal["auto", "model", "extractive"] | None
    refusal: Literal["off", "mark", "refuse"] | None
    strict: bool | None


class TracedQueryShape(Shape):
    """A text that was searched for."""

    text: str | None = Field(description="Null unless texts are included.")
    origin: Literal["question", "request", "model", "passage"]


class TracedCandidateShape(Shape):
    """A chunk that the search found; null where a stage did not see it."""

    id: str
    document_id: str | None = Field(description="Null of what fusion cut off, which nobody reads.")
    query: int | None = Field(description="Position of the query that found it, from 0.")
    search_rank: int | None = Field(description="Its place, from 1, in the search's order.")
    dense: float | None
    sparse: float | None
    fused: float | None
    learned: float | None
    rank: int | None = Field(description="Its place, from 1, in the end.")
    rerank: float | None
    score: float | None = Field(description="What it was ordered by.")
    passage: int | None = Field(description="Number, from 1, of the passage that shows it or says the same.")


class TracedPassageShape(Shape):
    """A passage, without its text."""

    id: str
    document_id: str
    score: float
    scores: ScoresShape
    duplicates: list[str]
    collection: str


class TracedCitationShape(Shape):
    """A citation, without its text."""

    index: int
    support: float
    verdict: Literal["supported", "weak", "unsupported"]


class TracedAnswerShape(Shape):
    """How the question was answered."""

    text: str | None = Field(description="Null unless texts are included.")
    answerable: bool
    confidence: float | None
    reason: Literal["no_passages", "weak_evidence", "not_stated"] | None
    refused: bool
    model: str
    finish_reason: str
    citations: list[TracedCitationShape]
    dropped_passages: list[int]
    unsupported_count: int


class ExplanationShape(Shape):
    """What became of a document, by its best chunk; null where a stage did not see it."""

    document_id: str
    fate: Literal[
        "not_searched",
        "not_in_collection",
        "not_permitted",
        "filtered",
        "excluded",
        "not_found",
        "cut_by_fusion",
        "not_read",
        "outranked",
        "near_duplicate",
        "refused",
        "dropped",
        "not_cited",
        "cited",
        "shown",
    ]
    message: str
    place: int | None
    rank: int | None
    fused_rank: int | None
    dense_rank: int | None
    sparse_rank: int | None
    learned_rank: int | None
    dense: float | None
    sparse: float | None
    learned: float | None
    rerank: float | None
    score: float | None


class TraceResponse(Shape):
    """What a question or query went through."""

    request_id: str
    operation: Literal["answer", "retrieve"]
    outcome: Literal["ok", "degraded", "invalid", "overloaded", "timeout", "failed", "cancelled"]
    error: str | None = Field(description="The reason of the error that ended it.")
    started_at: str
    duration_ms: float
    request: TracedRequestShape
    settings: dict[str, Any] = Field(
        description="Settings of the gateway that decide how questions are answered; in `search` those of the "
        "collection and the request."
    )
    queries: list[TracedQueryShape]
    stages: list[TracedStageShape]
    facts: dict[str, Any]
    degraded: list[TracedDegradationShape]
    candidates: list[TracedCandidateShape] = Field(
        description="All that the search found: first those that were ordered, best first, then what was cut off."
    )
    passages: list[TracedPassageShape]
    answer: TracedAnswerShape | None
    explanation: ExplanationShape | None = Field(description="Null unless a document_id is given.")


class ReplayResponse(Shape):
    """What was asked twice."""

    before: TraceResponse
    after: TraceResponse
