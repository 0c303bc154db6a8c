"""What a provider's chat API is to the model that is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trivium_serving.errors import FailedPrecondition

from trivium_generate.backends.tool_calls import CallPiece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_generate.answer import FinishReason, Sampling, TokenLogprob, Tools, Turn


class AnswerBlocked(FailedPrecondition):
    """The provider's filter kept the answer, or the rest of it, back; or the model refused."""

    default_reason = "ANSWER_BLOCKED"


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Which API, and what to send to it."""

    model: str
    """The model's name there."""
    url: str
    """Address of the API; empty for the provider's own."""
    key: str
    """Its key; may be empty for an address that needs none."""
    version: str
    """Version of the API; only Azure has one."""
    fields: dict[str, Any]
    """Further fields of each request."""
    context_tokens: int
    """Longest prompt and answer together; 0 to find out."""
    default_max_tokens: int
    """Most tokens of an answer if the request does not say."""


@dataclass(frozen=True, slots=True)
class Call:
    """One answer that is asked for.

    Attributes:
        turns: The conversation: at most one system turn, at its head, then the user and the assistant in turn, with
            the results of tools after the turns that call them.
        sampling: How to sample.
        max_tokens: Most tokens of the answer.
        tools: What the model may call.
    """

    turns: tuple[Turn, ...]
    sampling: Sampling
    max_tokens: int
    tools: Tools


@dataclass(frozen=True, slots=True)
class Text:
    """More text, never empty; `logprobs` are its tokens if they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens so far, as the API counts them; None is what it has not said yet."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The model has ended its answer."""

    reason: FinishReason


Event = Text | CallPiece | Usage | Stop


@dataclass(frozen=True, slots=True)
class Checked:
    """What the API says about a model.

    Attributes:
        is_known: Whether it has it; None if it does not say.
        context_tokens: Longest prompt and answer together; 0 if it does not say.
        is_context_assumed: Whether that is what such servers take unless told otherwise, and not this one's word.
    """

    is_known: bool | None = None
    context_tokens: int = 0
    is_context_assumed: bool = False


class ChatProvider(Protocol):
    """One provider's API."""

    name: str

    async def check(self) -> Checked:
        """Asks about the model, without any cost.

        Raises:
            ApiFailure: It failed.
        """

    def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """One attempt at an answer. Closing the generator closes the connection.

        Raises:
            ApiFailure: It failed, or sends what cannot be read.
            AnswerBlocked: A filter stopped it.
            InvalidField: The API has nothing for a field of the request.
            PromptTooLong: The API finds the prompt too long.
        """

    async def close(self) -> None:
        """Closes the connections."""
