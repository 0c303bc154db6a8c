"""What bodies of responses look like, for the OpenAPI description. `rendering.py` makes them; a test compares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

# Both are always there.
_SEARCH_QUERY = Field(
    description="What was searched for in place of a question that leans on its conversation; null if it was searched "
    "for as it is."
)
_QUERIES = Field(description="All texts that were searched for, the question or what it was rewritten as first.")


class Shape(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SpanShape(Shape):
    """A half-open range of Unicode code points."""

    start: int
    end: int


class ScoresShape(Shape):
    """Scores of the single stages; null where a stage did not see the passage."""

    dense: float | None
    sparse: float | None
    fused: float | None
    rerank: float | None
    dense_weight: float | None = Field(
        description="How much the vectors counted, from 0, where their model cannot read the query, to 1; null where "
        "only one leg searched."
    )
    rerank_weight: float | None = Field(
        description="How much the reranker counted beside the search, from 0 to 1; null where it did not run or "
        "decides alone."
    )
    maxsim: float | None = Field(
        description="How near each token of the query comes to some token of the passage, the mean of the cosines; "
        "null unless the reranker compares tokens."
    )
    coverage: float | None = Field(
        description="What part of the query's telling words the passage has; null unless something is judged by it."
    )
    calibrated: bool = Field(
        description="Whether the passage's score is a probability: as likely as it says, such a passage answers such a "
        "query."
    )
    calibration: str = Field(
        description="By which calibration answers are judged: the fingerprint of the embedding model, with /search "
        "behind it where tokens were not compared, or words; empty if there is none."
    )


class PassageShape(Shape):
    """A piece of a document."""

    id: str
    document_id: str
    title: str
    uri: str
    text: str
    score: float = Field(ge=0, le=1)
    scores: ScoresShape
    span: SpanShape = Field(description="Where the text stands in the document's stored text.")
    metadata: dict[str, Any]
    duplicates: list[str] = Field(
        description="Other documents that say the same in nearly the same words, best first; this passage stands for "
        "theirs."
    )
    heading: list[str] = Field(description="The headings that it stands under, outermost first.")
    page: int | None = Field(description="Its page, from 1; null in a document without pages.")
    found_by: list[int] = Field(
        description="Positions of the `queries` that found it, from 0; empty if there was only one."
    )


class BoxShape(Shape):
    """A part of a page, in points from the upper left corner of the page as it is shown."""

    page: int = Field(ge=1)
    x0: float
    y0: float
    x1: float
    y1: float


class CitationShape(Shape):
    """A place in the answer that cites a passage."""

    index: int = Field(ge=1, description="`[n]` is `passages[n-1]`.")
    document_id: str
    passage_id: str
    title: str
    uri: str
    span: SpanShape = Field(description="Where the passage stands in the document's stored text.")
    page: int | None = Field(description="The passage's page, from 1; null in a document without pages.")
    heading: list[str] = Field(description="The headings that the passage stands under, outermost first.")
    answer_span: SpanShape = Field(
        description="Where `[n]` stands in the answer; empty, at the sentence's end, for a sentence without a mark."
    )
    sentence: SpanShape = Field(description="The part of the answer that it stands for.")
    support: float = Field(ge=0, le=1, description="How surely that rests on the passage.")
    verdict: Literal["supported", "weak", "unsupported"]
    quote: SpanShape | None = Field(
        description="What of the document's stored text supports it most: a sentence, row or item, or null."
    )
    boxes: list[BoxShape] = Field(
        description="Where the quote's lines stand on their pages; empty for a document without pages."
    )


class DegradationShape(Shape):
    """A stage that was replaced by the next best means."""

    stage: str = Field(description="For example embed, search.dense, search.sparse, rerank or generate.")
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
    usage: UsageShape
    dropped_passages: list[int]
    model: str
    request_id: str


class DocumentErrorShape(Shape):
    """Why a document failed."""

    reason: str
    message: str


class PartResultShape(Shape):
    """What became of a file in a mail or an archive."""

    id: str
    status: Literal["indexed", "updated", "unchanged", "failed"]
    chunks: int
    error: DocumentErrorShape | None = Field(None, description="Only of a document that failed.")
    content_hash: str | None = Field(None, description="Of what is stored now; missing if it failed.")


class DocumentResultShape(PartResultShape):
    """What became of a document."""

    parts: list[PartResultShape] | None = Field(
        None, description="Only of a mail or an archive with files in it: what became of these."
    )


class AddDocumentsResponse(Shape):
    """One outcome per document, in order."""

    documents: list[DocumentResultShape]


class AcceptedResponse(Shape):
    """The job that adds the documents."""

    job: str


class FailureShape(Shape):
    """A document that is not in, or a file in it, and why."""

    id: str
    error: DocumentErrorShape


class JobResponse(Shape):
    """A job."""

    id: str
    kind: Literal["ingest"]
    collection: str
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(
        description="`failed` has ended, too, and not all of its documents are in."
    )
    done: int = Field(description="Documents that have ended, those that failed among them.")
    total: int = Field(description="All documents; one that came twice counts once.")
    failed: list[FailureShape] = Field(description="Some of what failed; none where a job was just changed.")
    failed_count: int = Field(description="Documents that failed.")
    waiting: DocumentErrorShape | None = Field(description="What keeps it from going on now; null if nothing does.")
    created: str
    started: str | None
    ended: str | None


class JobPageResponse(JobResponse):
    """A job with a page of what failed."""

    next_page_token: str = Field(description="Empty on the last page.")


class DeletedJobResponse(JobResponse):
    """A job that was cancelled, or is forgotten."""

    forgotten: bool


class ListJobsResponse(Shape):
    """Jobs, the latest first, each with some of what failed."""

    jobs: list[JobResponse]
    next_page_token: str = Field(description="Empty on the last page.")


class ListedDocumentShape(Shape):
    """A stored document, without its text."""

    id: str
    container: str | None = Field(description="The document that it is in, a mail or an archive; else null.")
    title: str
    uri: str
    metadata: dict[str, Any]
    chunk_count: int
    content_hash: str = Field(description="Stays the same as long as nothing of the document changes.")


class DocumentResponse(ListedDocumentShape):
    """A stored document."""

    text: str


class ListDocumentsResponse(Shape):
    """A page of documents."""

    documents: list[ListedDocumentShape]
    next_page_token: str = Field(description="Empty after the last page.")


class DeleteDocumentResponse(Shape):
    """The id, or nothing if there was no such document."""

    deleted_ids: list[str]


class SettingsVersionShape(Shape):
    """Settings of a collection as they were from some moment on."""

    number: int = Field(description="Counts the changes, from 1; 0 for what was before the first.")
    made_at: str | None = Field(description="When, RFC 3339; null for what was before the first change.")
    note: str = Field(description="Why, in the words of their author.")
    values: dict[str, float | str] = Field(description="What is set; all else is left to the gateway.")


class CollectionResponse(Shape):
    """A collection. Unless it is ready, only its name is known."""

    name: str
    state: Literal["ready", "opening", "damaged", "unavailable"]
    chunk_count: int | None
    coded_chunk_count: int | None = Field(
        description="Number of those that have the vectors of their tokens, so that the reranker need not read them; "
        "null if that is not known yet."
    )
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: list[str]
    needs_reindex: bool
    settings: SettingsVersionShape | None = Field(
        description="How it is searched and judged; null for one whose settings nobody has changed."
    )
    earlier_settings: list[SettingsVersionShape] = Field(
        description="The versions before that it can go back to, the last one last."
    )


class ReindexResponse(Shape):
    """How far a collection is that is made anew. While it is running, call again."""

    kind: Literal["reindex"]
    state: Literal["running", "done"]
    done: int
    total: int


class ListCollectionsResponse(Shape):
    """All collections, by name."""

    collections: list[CollectionResponse]


class DeleteCollectionResponse(Shape):
    """The name of the collection that is gone."""

    deleted: str


class KeyResponse(Shape):
    """A key, without what opens anything."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    user: str | None
    groups: list[str]
    created_at: str = Field(description="When it was made, RFC 3339.")
    expires_at: str | None = Field(description="When it ends; null for never.")


class MadeKeyResponse(KeyResponse):
    """A key with its text, which is shown once."""

    key: str = Field(description="What its owner sends, as `Authorization: Bearer tv_...`.")


class ListKeysResponse(Shape):
    """Keys, the oldest first."""

    keys: list[KeyResponse]


class DeleteKeyResponse(Shape):
    """The id of the key that is revoked."""

    deleted: str


class StageShape(Shape):
    """How a stage is."""

    stage: str = Field(description="For example embed, search, rerank or generate.")
    ready: bool
    model: str
    detail: str


class ReadinessResponse(Shape):
    """Whether any answer is possible, and how each stage is."""

    ready: bool
    stages: list[StageShape]


class ErrorShape(Shape):
    """What is wrong."""

    code: int
    status: str
    reason: str
    message: str
    field: str | None = Field(None, description="Only where one field is at fault.")


class ErrorResponse(Shape):
    """An error. `message` and `detail` repeat the message."""

    error: ErrorShape
    message: str
    detail: str
