"""Passages: what a search finds and an answer stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of Unicode code points, `[start, end)`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What a passage's score was made of; None where a stage did not see it.

    Attributes:
        dense: Cosine similarity of the vectors.
        sparse: BM25.
        fused: All together: a sum of z-scores, comparable among the candidates of one query.
        rerank: The reranker's score, from 0 to 1.
        dense_weight: How much the vectors counted, from 0, where their model cannot read the query, to 1; None where
            only one leg searched.
        rerank_weight: How much the reranker counted beside the search, from 0 to 1; None where it did not run or
            decides alone.
        maxsim: How near each token of the query comes to some token of the passage, the mean of the cosines.
        coverage: What part of the query's telling words the passage has, from 0 to 1.
        calibrated: Whether the passage's score is a probability: as likely as it says, such a passage answers such a
            query.
        calibration: By which calibration; empty if by none.
        learned: Inner product of the learned sparse vectors, where the collection has such.
    """

    dense: float | None
    sparse: float | None
    fused: float | None
    rerank: float | None
    dense_weight: float | None = None
    rerank_weight: float | None = None
    maxsim: float | None = None
    coverage: float | None = None
    calibrated: bool = False
    calibration: str = ""
    learned: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    Attributes:
        id: Identifies the piece; it changes when the document does.
        document_id: The document's id.
        title: The document's title; may be empty.
        uri: Where the document came from; may be empty.
        text: The piece's text.
        score: Relevance, from 0 to 1.
        scores: What the score was made of.
        span: Where the text stands in the document's stored text.
        metadata: The document's metadata.
        duplicates: Other documents that say the same in nearly the same words, best first: this passage stands for
            theirs.
        heading: The headings that it stands under, outermost first.
        page: Its page, from 1; None in a document without pages.
        found_by: Positions of the `queries` that found it, from 0; empty if only one was searched for.
        collection: Name of the collection that it is from; empty from an earlier gateway.
    """

    id: str
    document_id: str
    title: str
    uri: str
    text: str
    score: float
    scores: Scores
    span: Span
    metadata: Mapping[str, Any]
    duplicates: tuple[str, ...] = ()
    heading: tuple[str, ...] = ()
    page: int | None = None
    found_by: tuple[int, ...] = ()
    collection: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of the stages that there have always been; None where one did not run."""

    embed: float | None
    search: float | None
    rerank: float | None
    generate: float | None
    total: float | None


@dataclass(frozen=True, slots=True)
class StageTime:
    """When a stage ran.

    Attributes:
        name: The stage's name, for example `search`; later gateways may have other stages.
        start_ms: When it began, in milliseconds from the arrival of the request.
        duration_ms: How long it took, in milliseconds.
    """

    name: str
    start_ms: float
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Degradation:
    """A stage that was replaced by the next best means.

    Attributes:
        stage: `embed`, `search.dense`, `search.sparse`, `search.learned`, `rerank`, `generate`, or another
            of a later gateway.
        reason: `unavailable`, `timeout`, `overloaded` or `loading`.
        fallback: What was done in its place.
        detail: The reason of the error behind it, for example `MODEL_CHANGED`, where waiting does not help because
            somebody has to act; else empty.
    """

    stage: str
    reason: str
    fallback: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cached:
    """What was not made anew, because it was asked before and nothing has changed since.

    Attributes:
        retrieval: Whether the passages come from a cache.
        answer: Whether the text of the answer does.
        similar_question: The question that was asked before, if it is another one that means the same; else None.
    """

    retrieval: bool = False
    answer: bool = False
    similar_question: str | None = None


NOTHING_CACHED = Cached()


@dataclass(frozen=True, slots=True)
class SearchedQuery:
    """A text that was searched for.

    Attributes:
        text: The text.
        origin: `question`: what was asked, or what it was rewritten as; `request`: sent along; `model`: written by the
            language model; `passage`: made up by it, to find its like.
    """

    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The passages for a query, best first.

    Attributes:
        passages: The passages.
        timings: Milliseconds per stage.
        degraded: Stages that were replaced by the next best means; empty if all is well.
        request_id: Identifies the request in logs.
        stages: All stages that ran, in the order in which they began.
        search_query: What was searched for in place of a query that leans on its conversation; None if it was searched
            for as it is.
        queries: All texts that were searched for, the query or what it was rewritten as first.
        cached: What was not made anew.
    """

    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    request_id: str
    stages: tuple[StageTime, ...] = ()
    search_query: str | None = None
    queries: tuple[SearchedQuery, ...] = ()
    cached: Cached = NOTHING_CACHED
