"""What every language model is to the rest of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trivium_serving.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_generate.answer import AnswerRequest, FinishReason, ModelDescription, TokenLogprob, ToolCall


class PromptTooLong(TooLarge):
    """Not even one passage fits into the model's context beside the question."""

    default_reason = "PROMPT_TOO_LONG"


def prompt_too_long(said: str) -> PromptTooLong:
    """The error for a prompt that an API finds too long, by its own count.

    Args:
        said: What it says, for the log.
    """
    return PromptTooLong(
        "The model's API finds the prompt too long. Shorten question and history, or ask for fewer passages; "
        "TRIVIUM_GENERATE_CONTEXT_TOKENS says how long it may be.",
        field="passages",
    ).because(said)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a model is going to answer from.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        dropped_passages: Numbers, from 1, of the passages that did not fit into it.
        prompt_ms: Time for building it.
        dropped_turn_count: Earlier turns, the oldest, that did not fit into it.
        is_thinking: Whether the prompt ends inside the model's thinking, so that its first text is none of the answer.
    """

    prompt_tokens: int
    dropped_passages: tuple[int, ...]
    prompt_ms: float
    dropped_turn_count: int = 0
    is_thinking: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """More text from the model.

    Attributes:
        text: As the model wrote it; may be empty while a character or stop text is not complete.
        token_count: Tokens that it stands for.
        logprobs: Those tokens, if the request asks for them.
        tool_calls: Calls of tools, each of them whole; no text follows them.
    """

    text: str
    token_count: int
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of what a model writes.

    Attributes:
        reason: Why it ended.
        completion_tokens: Tokens written.
        queue_ms: Time the request waited before the model took it up.
        prompt_tokens: Tokens of the prompt as the model counted them in the end; None if the beginning's number stands.
        is_estimated: Whether the numbers of tokens are estimates.
        is_prompt_cut: Whether the model has read so much less than it was sent that it must have been cut.
    """

    reason: FinishReason
    completion_tokens: int
    queue_ms: float
    prompt_tokens: int | None = None
    is_estimated: bool = False
    is_prompt_cut: bool = False


@dataclass(frozen=True, slots=True)
class Calling:
    """The model has begun to write calls of tools, which come when they are whole."""


Output = Beginning | Piece | Calling | Ending


class LanguageModel(Protocol):
    """A language model: loaded, used by many requests at a time, and closed; then it may be loaded again."""

    @property
    def description(self) -> ModelDescription:
        """What it is; complete once it is loaded."""

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that requests may ask for; the service refuses others."""

    @property
    def progress(self) -> str:
        """How far loading is, in a few words; empty if there is nothing to say."""

    @property
    def concern(self) -> str:
        """What an operator should look after though the model answers, in a few words; empty for nothing."""

    async def load(self) -> None:
        """Gets the model ready, first answer included.

        Raises:
            FailedPrecondition: It can never be loaded with these settings; says which to change.
            TriviumError: It cannot be loaded now; says why.
        """

    def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        """Writes an answer: one beginning, pieces, one ending. Closing the generator frees what the request holds.

        What the model thinks aloud before its answer may be among the pieces.

        Raises:
            Unavailable: The model broke.
            Overloaded: The model has no capacity.
            PromptTooLong: The prompt cannot be made to fit.
            InvalidField: The model does not accept a value of the request, or cannot do what a field asks for.
        """

    async def wait_until_broken(self) -> str:
        """Returns when the model, once loaded, cannot go on; says why."""

    async def close(self) -> None:
        """Releases all that it holds, whatever state it is in."""
