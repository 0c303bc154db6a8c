"""What this service reads and writes, free of any transport: a request for an answer, and the events of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """By which means an answer is written."""

    AUTO = "auto"
    MODEL = "model"
    EXTRACTIVE = "extractive"


class Role(Enum):
    """Who says a turn of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class FinishReason(Enum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"


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
class Turn:
    """One earlier message of the conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None is the model's default.

    Attributes:
        max_tokens: Most tokens of the answer.
        temperature: 0 for the most likely token always; up to 2.
        top_p: Share of probability mass to sample from, above 0 and up to 1.
        seed: Seed of the random choice.
        stop: Texts that end the answer; not part of it.
        json_schema: A JSON schema, as text, that the answer satisfies; empty for free text.
        top_logprobs: How many of the likeliest tokens in the place of each token are wanted with their log
            probabilities, beside its own; None if none are wanted at all.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: str = ""
    top_logprobs: int | None = None


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
        is_conversation: Question and history came as the messages of one conversation.
        adapter: Name of the adapter to answer with; empty for the model itself.
        deadline: When the caller gives up, on the event loop's clock in seconds; None for never.
    """

    question: str
    passages: tuple[Passage, ...]
    history: tuple[Turn, ...] = ()
    sampling: Sampling = Sampling()
    mode: Mode = Mode.AUTO
    is_conversation: bool = False
    adapter: str = ""
    deadline: float | None = None


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
    """

    stage: str
    reason: str
    fallback: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that the model wrote.

    Attributes:
        token: Its text; a part of a character shows as U+FFFD.
        logprob: Natural logarithm of its probability.
        top: The likeliest tokens in its place and their log probabilities, likeliest first.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of the answer; no citation is ever broken between two of these.

    Attributes:
        text: The text to append.
        citations: The citations in it.
        logprobs: The tokens that the model has written since the last delta, if they were asked for.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


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
