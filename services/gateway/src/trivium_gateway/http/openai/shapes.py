"""What responses here look like, for the OpenAPI description; a test holds them against real ones."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trivium_gateway.http.responses import CitationShape, DegradationShape, PassageShape, TimingsShape


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EvidenceShape(_Shape):
    """Trivium's own: what an answer rests on, as in /v1/answer."""

    answerable: bool
    confidence: float | None
    citations: list[CitationShape]
    passages: list[PassageShape]
    timings: TimingsShape
    degraded: list[DegradationShape]
    dropped_passages: list[int]
    dropped_messages: int = Field(description="How many of the oldest messages had no room in the history.")
    model: str = Field(description="What wrote the answer.")
    request_id: str


class UrlCitationShape(_Shape):
    """A citation."""

    start_index: int = Field(description="Where the mark begins in the text, in code points.")
    end_index: int = Field(description="Where it ends; half-open.")
    url: str = Field(description="The document's uri if it is one of the web, else where the gateway shows it.")
    title: str


class AnnotationShape(_Shape):
    """An annotation."""

    type: Literal["url_citation"]
    url_citation: UrlCitationShape


class FunctionShape(_Shape):
    """A function to call."""

    name: str
    arguments: str


class ToolCallShape(_Shape):
    """A call of a tool."""

    id: str
    type: Literal["function"]
    function: FunctionShape


class AssistantMessageShape(_Shape):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = Field(description="In the place of JSON, if nothing was found to answer from.")
    annotations: list[AnnotationShape]
    tool_calls: list[ToolCallShape] = Field(default_factory=list, description="Only if tools are called.")


class ChoiceShape(_Shape):
    """The one answer."""

    index: int
    message: AssistantMessageShape
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls"]


class ChatUsageShape(_Shape):
    """Tokens of the language model; 0 where none ran."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletionResponse(_Shape):
    """An answer, as OpenAI's chat completions have it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceShape]
    usage: ChatUsageShape
    trivium: EvidenceShape


class ModelShape(_Shape):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ListModelsResponse(_Shape):
    """All models."""

    object: Literal["list"]
    data: list[ModelShape]
