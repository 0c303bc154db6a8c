"""What responses here look like, for the OpenAPI description; a test holds them against real ones."""

from typing import Any, Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.answers import (
    CachedShape,
    DegradationShape,
    RetrieveResponse,
    SearchedQueryShape,
    StageTimeShape,
    TimingsShape,
)
from trivium_gateway.surfaces.http.shapes.passages import CitationShape, PassageShape, SpanShape
from trivium_gateway.surfaces.http.shapes.shape import Shape


class EvidenceShape(Shape):
    """Trivium's own: what an answer rests on, as in /v1/answer."""

    answerable: bool
    confidence: float | None
    reason: Literal["no_passages", "weak_evidence", "not_stated"] | None
    refused: bool
    search_query: str | None = Field(
        description="What was searched for in place of a last message that leans on the others, else null."
    )
    queries: list[SearchedQueryShape] = Field(description="All texts that were searched for.")
    citations: list[CitationShape]
    unsupported: list[SpanShape]
    passages: list[PassageShape]
    timings: TimingsShape
    stages: list[StageTimeShape]
    degraded: list[DegradationShape]
    dropped_passages: list[int]
    dropped_messages: int = Field(description="How many of the oldest messages had no room in the history.")
    cached: CachedShape
    model: str = Field(description="What wrote the answer.")
    request_id: str


class UrlCitationShape(Shape):
    """A citation."""

    start_index: int = Field(description="Where the mark begins in the text, in code points.")
    end_index: int = Field(description="Where it ends; half-open.")
    url: str = Field(description="The document's uri if it is one of the web, else where the gateway shows it.")
    title: str


class AnnotationShape(Shape):
    """An annotation."""

    type: Literal["url_citation"]
    url_citation: UrlCitationShape


class FunctionShape(Shape):
    """A function to call."""

    name: str
    arguments: str


class ToolCallShape(Shape):
    """A call of a tool."""

    id: str
    type: Literal["function"]
    function: FunctionShape


class AssistantMessageShape(Shape):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = Field(description="In the place of JSON, if nothing was found to answer from.")
    annotations: list[AnnotationShape]
    tool_calls: list[ToolCallShape] = Field(default_factory=list, description="Only if tools are called.")


class ChoiceShape(Shape):
    """The one answer."""

    index: int
    message: AssistantMessageShape
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls"]


class ChatUsageShape(Shape):
    """Tokens of the language model; 0 where none ran."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletionResponse(Shape):
    """An answer, as OpenAI's chat completions have it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceShape]
    usage: ChatUsageShape
    trivium: EvidenceShape


class ModelShape(Shape):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    calibration: str | None = Field(
        None, description="Trivium: what scores and confidence are calibrated for; null if for nothing."
    )
    settings_version: int = Field(
        0, description="Trivium: the settings of its collection that are in force; 0 if nobody has changed them."
    )


class ListModelsResponse(Shape):
    """All models."""

    object: Literal["list"]
    data: list[ModelShape]


class SparseEmbeddingShape(Shape):
    """The weights of words that tell of a text."""

    indices: list[int] = Field(description="Ids of words in the model's vocabulary, ascending.")
    values: list[float] = Field(description="The weight of each, above 0.")


class EmbeddingShape(Shape):
    """The vector of a text."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="Numbers, or with `base64` little-endian float32.")
    sparse_embedding: SparseEmbeddingShape | None = Field(
        None, description="Trivium: the learned sparse vector, if `sparse` asks for it."
    )


class EmbeddingUsageShape(Shape):
    """Tokens of the embedding model."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(Shape):
    """Vectors, in the order of the texts."""

    object: Literal["list"]
    model: str
    usage: EmbeddingUsageShape
    data: list[EmbeddingShape]


class FileCountsShape(Shape):
    """Pieces of documents: how many of them there are is known, and not of how many documents."""

    in_progress: int
    failed: int
    cancelled: int
    completed: int
    total: int


class VectorStoreShape(Shape):
    """A collection."""

    id: str = Field(description="The collection's name.")
    object: Literal["vector_store"]
    created_at: int
    name: str
    status: Literal["completed", "in_progress", "expired"] = Field(
        description="`completed` if it can be searched, `expired` if it is damaged."
    )
    usage_bytes: int
    file_counts: FileCountsShape
    metadata: dict[str, str]


class ListVectorStoresResponse(Shape):
    """All collections."""

    object: Literal["list"]
    data: list[VectorStoreShape]
    first_id: str | None
    last_id: str | None
    has_more: bool


class TextContentShape(Shape):
    """A text."""

    type: Literal["text"]
    text: str


class VectorSearchResultShape(Shape):
    """A passage."""

    file_id: str = Field(description="The document's id.")
    filename: str = Field(description="The document's title, or its id.")
    score: float
    attributes: dict[str, str | float | bool] = Field(description="The document's metadata; lists as JSON.")
    content: list[TextContentShape]


class VectorSearchEvidenceShape(Shape):
    """Trivium's own: what each query found, as in /v1/retrieve."""

    searches: list[RetrieveResponse]
    request_id: str


class VectorSearchResponse(Shape):
    """Passages, best first."""

    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[VectorSearchResultShape]
    has_more: bool
    next_page: str | None
    trivium: VectorSearchEvidenceShape


class ResponseUsageShape(Shape):
    """Tokens of the language model; 0 where none ran."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseShape(Shape):
    """An answer, as OpenAI's responses have it."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete"]
    error: None
    incomplete_details: dict[str, str] | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, Any]
    model: str
    output: list[dict[str, Any]] = Field(description="A message with text and annotations, or calls of functions.")
    parallel_tool_calls: bool
    previous_response_id: None
    store: Literal[False]
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: Literal["disabled"]
    usage: ResponseUsageShape | None
    trivium: EvidenceShape | None
