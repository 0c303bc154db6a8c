"""Answers, whole and in pieces."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivium_client._passages import (
    NOTHING_CACHED,
    Cached,
    Degradation,
    Passage,
    SearchedQuery,
    Span,
    StageTime,
    Timings,
)

AnswerMode: TypeAlias = Literal["auto", "model", "extractive"]
"""By which means an answer is written: the language model if it can, else the next best; the model or an error; the
sentences of the passages that answer best."""


Refusal: TypeAlias = Literal["off", "mark", "refuse"]
"""What becomes of a question that the documents hardly answer: answered as any other; answered, and not `answerable`;
refused, without asking a language model."""

UnanswerableReason: TypeAlias = Literal["no_passages", "weak_evidence", "not_stated"]
"""Why documents cannot answer a question: nothing was found; what was found is hardly about it; it is, and does not
state the answer."""

Verdict: TypeAlias = Literal["supported", "weak", "unsupported", "unknown"]
"""Whether a sentence rests on the passage that it cites; unknown from an earlier gateway."""

Expansion: TypeAlias = Literal["queries", "hyde"]
"""What a language model adds to what is searched for: further queries, or a passage as it might answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a page, in points from the upper left corner of the page as it is shown.

    Attributes:
        page: The page, from 1.
        x0: Left edge.
        y0: Upper edge.
        x1: Right edge.
        y1: Lower edge.
    """

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in an answer that cites a passage.

    Attributes:
        index: Number of the passage, from 1: it is `passages[index - 1]`.
        document_id: The passage's document.
        passage_id: The passage.
        title: The document's title; may be empty.
        uri: Where the document came from; may be empty.
        span: Where the passage stands in the document's stored text.
        page: The passage's page, from 1; None in a document without pages.
        heading: The headings that the passage stands under, outermost first.
        answer_span: Where `[n]` stands in the answer; empty, at the sentence's end, for a sentence without a mark.
        sentence: The part of the answer that it stands for; None from an earlier gateway.
        support: How surely that rests on the passage, from 0 to 1.
        verdict: The same in a word.
        quote: What of the document's stored text supports it most: a sentence, row or item; None if nothing does.
        boxes: Where the quote's lines stand on their pages; empty for a document without pages.
        collection: Name of the collection that the document is in; empty from an earlier gateway.
    """

    index: int
    document_id: str
    passage_id: str
    title: str
    uri: str
    span: Span
    answer_span: Span
    page: int | None = None
    heading: tuple[str, ...] = ()
    sentence: Span | None = None
    support: float = 0.0
    verdict: Verdict = "unknown"
    quote: Span | None = None
    boxes: tuple[Box, ...] = ()
    collection: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a language model read and wrote; zero where none ran.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the answer.
        is_estimated: Whether these numbers are estimates, because the model's API does not count them.
    """

    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class AnswerSources:
    """First event of a streamed answer: the evidence. `[n]` in the answer is `passages[n - 1]`.

    Attributes:
        passages: The evidence.
        search_query: As in Answer.
    """

    passages: tuple[Passage, ...]
    search_query: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """More text of a streamed answer; a citation is never broken between two of them."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; the last event of a streamed one.

    Attributes:
        answer: The text, with `[n]` where it cites.
        answerable: Whether the documents can answer the question.
        confidence: How likely it is that the passages state the answer, from 0 to 1; None if there is no calibration
            for the models.
        citations: All citations, in the order of the text; after them, those of sentences without a mark.
        passages: The evidence; `[n]` is `passages[n - 1]`.
        timings: Milliseconds per stage.
        degraded: Stages that were replaced by the next best means; empty if all is well.
        usage: Tokens of the language model.
        model: What wrote the answer.
        request_id: Identifies the request in logs.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
        stages: All stages that ran, in the order in which they began.
        search_query: What was searched for in place of a question that leans on its conversation; None if it was
            searched for as it is.
        queries: All texts that were searched for, the question or what it was rewritten as first.
        reason: Why not, if the documents cannot answer it.
        refused: Whether the answer is a refusal.
        unsupported: Sentences of the answer that cite nothing and that no passage supports.
        cached: What was not made anew.
    """

    answer: str
    answerable: bool
    confidence: float | None
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    usage: Usage
    model: str
    request_id: str
    dropped_passages: tuple[int, ...] = ()
    stages: tuple[StageTime, ...] = ()
    search_query: str | None = None
    queries: tuple[SearchedQuery, ...] = ()
    reason: UnanswerableReason | None = None
    refused: bool = False
    unsupported: tuple[Span, ...] = ()
    cached: Cached = NOTHING_CACHED


AnswerEvent: TypeAlias = AnswerSources | AnswerDelta | Answer
"""A piece of a streamed answer: one AnswerSources, then AnswerDeltas, then one Answer."""
