"""What the generate service answers, read from its messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.type.v1 import degradation_pb2
from trivium_conversation.messages import logprobs_from, tool_call_from
from trivium_conversation.sampling import FinishReason

from trivium_gateway.domain.chunks import Span
from trivium_gateway.domain.degradation import Degradation, Reason, Stage

if TYPE_CHECKING:
    from trivium_conversation.sampling import TokenLogprob
    from trivium_conversation.turns import ToolCall

_REASONS = {
    degradation_pb2.DEGRADATION_REASON_TIMEOUT: Reason.TIMEOUT,
    degradation_pb2.DEGRADATION_REASON_OVERLOADED: Reason.OVERLOADED,
    degradation_pb2.DEGRADATION_REASON_LOADING: Reason.LOADING,
}
_FINISH_REASONS = {
    pb.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    pb.FINISH_REASON_TOOL_CALLS: FinishReason.TOOL_CALLS,
}


@dataclass(frozen=True, slots=True)
class GeneratedCitation:
    """A citation as the service sees it.

    Attributes:
        index: Number of the passage, from 1.
        answer_span: Where `[index]` stands in the whole answer.
    """

    index: int
    answer_span: Span


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """More of an answer; all of it empty while a call of a tool is written.

    Attributes:
        text: The text to append.
        citations: The citations in it.
        logprobs: The tokens that the model has written since the last text, if they were asked for.
        tool_calls: Calls of tools, each of them whole.
    """

    text: str
    citations: tuple[GeneratedCitation, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class GeneratedEnd:
    """The end of an answer.

    Attributes:
        model: Name of what wrote it.
        prompt_tokens: Tokens that a language model read; 0 where none ran.
        completion_tokens: Tokens that it wrote.
        is_usage_estimated: Whether these numbers are estimates.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
        degradation: Set if the service wrote by other means than the configured ones.
        reason: Why it ended.
        is_cached: Whether it was written before, and nobody has read or written anything for it now.
    """

    model: str
    prompt_tokens: int
    completion_tokens: int
    is_usage_estimated: bool
    dropped_passages: tuple[int, ...]
    degradation: Degradation | None
    reason: FinishReason
    is_cached: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a language model made of a question.

    Attributes:
        texts: At least one; of queries a few.
        prompt_tokens: Tokens that it read.
        completion_tokens: Tokens that it wrote.
    """

    texts: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


class ModelState(Enum):
    """State of the service's language model."""

    NONE = pb.MODEL_STATE_NONE
    LOADING = pb.MODEL_STATE_LOADING
    READY = pb.MODEL_STATE_READY
    FAILED = pb.MODEL_STATE_FAILED


@dataclass(frozen=True, slots=True)
class GenerateModel:
    """What the service says about its model.

    Attributes:
        name: What answers when all is well.
        state: State of the language model.
        detail: The state in words.
    """

    name: str
    state: ModelState
    detail: str


def model_from(response: pb.GetModelResponse) -> GenerateModel:
    """What the service says about its model."""
    known = response.state in {state.value for state in ModelState}
    state = ModelState(response.state) if known else ModelState.NONE
    return GenerateModel(response.model.name, state, response.detail)


def text_from(delta: pb.Delta) -> GeneratedText:
    """More of an answer."""
    return GeneratedText(
        delta.text,
        tuple(
            GeneratedCitation(one.index, Span(one.answer_span.start, one.answer_span.end)) for one in delta.citations
        ),
        logprobs_from(delta.logprobs),
        tuple(map(tool_call_from, delta.tool_calls)),
    )


def end_from(finish: pb.Finish) -> GeneratedEnd:
    """The end of an answer."""
    degradation = None
    if finish.HasField("degradation"):
        reason = _REASONS.get(finish.degradation.reason, Reason.UNAVAILABLE)
        degradation = Degradation(
            Stage.GENERATE, reason, finish.degradation.fallback or "extractive", finish.degradation.detail
        )
    usage = finish.usage
    return GeneratedEnd(
        model=finish.model.name,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        is_usage_estimated=usage.is_estimated,
        dropped_passages=tuple(finish.dropped_passages),
        degradation=degradation,
        reason=_FINISH_REASONS.get(finish.reason, FinishReason.STOP),
    )
