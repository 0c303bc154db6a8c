"""The events of an answer: the same whoever reads it, and however."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.answering.plan import NOTHING_SEARCHED, Searched
from trivium_gateway.domain.answerability import NOT_ASKED, Answerability
from trivium_gateway.domain.cached import NOTHING_CACHED, Cached

if TYPE_CHECKING:
    from trivium_conversation.sampling import FinishReason, TokenLogprob
    from trivium_conversation.turns import ToolCall

    from trivium_gateway.domain.chunks import Span
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Citation, Passage
    from trivium_gateway.request.record import Timings


@dataclass(frozen=True, slots=True)
class Sources:
    """The evidence, before anything is written.

    Attributes:
        passages: `[n]` in the answer is `passages[n-1]`.
        degraded: What was replaced so far.
        searched: What was searched for.
        answerability: Whether the documents answer the question.
        refused: Whether what follows is a refusal.
    """

    passages: tuple[Passage, ...]
    degraded: tuple[Degradation, ...]
    searched: Searched
    answerability: Answerability = NOT_ASKED
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer.

    Attributes:
        text: The text to append; empty where tools are called.
        citations: The citations in it.
        logprobs: The tokens that the model has written since the last delta, if they were asked for.
        tool_calls: Calls of tools, each of them whole; no text follows them.
        begins_anew: Whether what came before is void, as it is only where nobody has seen it.
    """

    text: str
    citations: tuple[Citation, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    begins_anew: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole answer.

    Attributes:
        answer: The text.
        answerability: Whether the documents answer the question.
        refused: Whether the answer is a refusal.
        citations: All citations, in the order of the text; after them, those of sentences without a mark.
        unsupported: Sentences that cite nothing and that no passage supports.
        cached: What was not made anew.
        passages: The evidence.
        timings: Milliseconds per stage.
        degraded: Stages that were replaced by the next best means.
        prompt_tokens: Tokens that a language model read; 0 where none ran.
        completion_tokens: Tokens that it wrote.
        is_usage_estimated: Whether these numbers are estimates, because the model's API does not count.
        model: What wrote the answer; empty for a refusal.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
        finish_reason: Why the answer ended.
        tool_calls: All calls of tools; the answer goes on when it is asked for again with their results.
        searched: What was searched for.
    """

    answer: str
    answerability: Answerability
    refused: bool
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    prompt_tokens: int
    completion_tokens: int
    is_usage_estimated: bool
    model: str
    dropped_passages: tuple[int, ...]
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    searched: Searched = NOTHING_SEARCHED
    unsupported: tuple[Span, ...] = ()
    cached: Cached = NOTHING_CACHED


Event = Sources | Delta | Summary
