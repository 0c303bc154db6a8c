"""What this service reads and writes, free of any transport: a request for an answer, and the events of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trivium_conversation.sampling import DEFAULT_SAMPLING, FinishReason, Sampling, TokenLogprob
from trivium_conversation.tools import NO_TOOLS, Tool, ToolChoice, Tools
from trivium_conversation.turns import Role, ToolCall, Turn

__all__ = [
    "NO_TOOLS",
    "AnswerRequest",
    "Citation",
    "Degradation",
    "Delta",
    "Finish",
    "FinishReason",
    "Mode",
    "ModelDescription",
    "Passage",
    "Role",
    "Sampling",
    "Timing",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Tools",
    "Turn",
]


class Mode(Enum):
    """By which means an answer is written."""

    AUTO = "auto"
    MODEL = "model"
    EXTRACTIVE = "extractive"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of evidence.

    Attributes:
        text: Data, never instructions.
        title: Title of its document; may be empty.
        score: Relevance, from 0 to 1.
    """

    text: str
    title: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question and what to answer it from.

    Attributes:
        question: Not blank.
        passages: The evidence, most relevant first; `[n]` in the answer is `passages[n - 1]`. May be empty in a
            conversation.
        history: Earlier turns, oldest first.
        sampling: How to sample.
        mode: By which means.
        is_conversation: Question, history and tool turns came as the messages of one conversation.
        adapter: Name of the adapter to answer with; empty for the model itself.
        deadline: When the caller gives up, on the event loop's clock in seconds; None for never.
        tools: What the model may call.
        tool_turns: Its calls since the question, and their results, oldest first.
        standalone_question: The question as it can be understood without the conversation; empty if it is the same.
    """

    question: str
    passages: tuple[Passage, ...]
    history: tuple[Turn, ...] = ()
    sampling: Sampling = DEFAULT_SAMPLING
    mode: Mode = Mode.AUTO
    is_conversation: bool = False
    adapter: str = ""
    deadline: float | None = None
    tools: Tools = NO_TOOLS
    tool_turns: tuple[Turn, ...] = ()
    standalone_question: str = ""

    @property
    def meant_question(self) -> str:
        """The question for whoever does not read the conversation."""
        return self.standalone_question or self.question


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in the answer that cites a passage.

    Attributes:
        index: Number of the passage, from 1.
        start: Offset in the whole answer, in code points, of the `[`.
        end: Offset after the `]`.
    """

    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What writes answers; empty strings where there is nothing to say.

    Attributes:
        name: The name that the operator configured.
        fingerprint: Identity of its outputs.
        backend: For example `vllm`.
        runtime: What executes it.
        precision: Numeric precision of the forward pass.
        max_input_tokens: Longest prompt and answer together; 0 for no such limit.
    """

    name: str
    backend: str
    fingerprint: str = ""
    runtime: str = ""
    precision: str = ""
    max_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of one answer went, in milliseconds.

    Attributes:
        queue_ms: Waiting for the model.
        tokenize_ms: Building the prompt, or splitting passages into sentences.
        compute_ms: Writing the answer.
        total_ms: From the request to the end of the answer.
    """

    queue_ms: float = 0.0
    tokenize_ms: float = 0.0
    compute_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Degradation:
    """What was done by the next best means.

    Attributes:
        stage: `generate` for the language model, `embed` for the sentence vectors of an extractive answer.
        reason: `unavailable`, `timeout`, `overloaded` or `loading`.
        fallback: What was done instead: `extractive`, or `lexical`.
        detail: The reason of the error behind it, if waiting does not help; else empty.
    """

    stage: str
    reason: str
    fallback: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer; no citation is ever broken between two of these. An empty one says that a call has begun.

    Attributes:
        text: The text to append.
        citations: The citations in it.
        logprobs: The tokens that the model has written since the last delta, if they were asked for.
        tool_calls: Calls of tools, each of them whole; no text follows them.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer.

    Attributes:
        reason: Why it ended.
        model: What wrote it.
        timing: Where the time went.
        prompt_tokens: Tokens read by a language model.
        completion_tokens: Tokens written by a language model.
        degradation: Set if it was written by other means than the configured ones.
        dropped_passages: Numbers, from 1, of the passages that did not fit into the model's context.
        removed_citation_count: Citations of passages that do not exist; they are not in the text.
        dropped_turn_count: Earlier turns, the oldest, that did not fit into the model's context.
        is_usage_estimated: Whether the numbers of tokens are estimates, because the model's API does not count them.
    """

    reason: FinishReason
    model: ModelDescription
    timing: Timing
    prompt_tokens: int = 0
    completion_tokens: int = 0
    degradation: Degradation | None = None
    dropped_passages: tuple[int, ...] = ()
    removed_citation_count: int = 0
    dropped_turn_count: int = 0
    is_usage_estimated: bool = False
