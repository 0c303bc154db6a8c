"""Passages, what search and reranker say of them, and citations."""

from typing import Any, Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class SpanShape(Shape):
    """A half-open range of Unicode code points."""

    start: int
    end: int


class ScoresShape(Shape):
    """Scores of the single stages; null where a stage did not see the passage."""

    dense: float | None
    sparse: float | None
    fused: float | None
    rerank: float | None
    dense_weight: float | None = Field(
        description="How much the vectors counted, from 0, where their model cannot read the query, to 1; null where "
        "only one leg searched."
    )
    rerank_weight: float | None = Field(
        description="How much the reranker counted beside the search, from 0 to 1; null where it did not run or "
        "decides alone."
    )
    maxsim: float | None = Field(
        description="How near each token of the query comes to some token of the passage, the mean of the cosines; "
        "null unless the reranker compares tokens."
    )
    coverage: float | None = Field(
        description="What part of the query's telling words the passage has; null unless something is judged by it."
    )
    calibrated: bool = Field(
        description="Whether the passage's score is a probability: as likely as it says, such a passage answers such a "
        "query."
    )
    calibration: str = Field(
        description="By which calibration answers are judged: the fingerprint of the embedding model, with /search "
        "behind it where tokens were not compared, or words, in Chinese words/chinese; empty if there is none."
    )
    learned: float | None = Field(description="Inner product of the learned sparse vectors.")


class PassageShape(Shape):
    """A piece of a document."""

    id: str
    document_id: str
    title: str
    uri: str
    text: str
    score: float = Field(ge=0, le=1)
    scores: ScoresShape
    span: SpanShape = Field(description="Where the text stands in the document's stored text.")
    metadata: dict[str, Any]
    duplicates: list[str] = Field(
        description="Other documents that say the same in nearly the same words, best first; this passage stands for "
        "theirs."
    )
    heading: list[str] = Field(description="The headings that it stands under, outermost first.")
    page: int | None = Field(description="Its page, from 1; null in a document without pages.")
    found_by: list[int] = Field(
        description="Positions of the `queries` that found it, from 0; empty if there was only one."
    )
    collection: str = Field(description="Name of the collection that it is from.")


class BoxShape(Shape):
    """A part of a page, in points from the upper left corner of the page as it is shown."""

    page: int = Field(ge=1)
    x0: float
    y0: float
    x1: float
    y1: float


class CitationShape(Shape):
    """A place in the answer that cites a passage."""

    index: int = Field(ge=1, description="`[n]` is `passages[n-1]`.")
    document_id: str
    collection: str = Field(description="Name of the collection that the document is in.")
    passage_id: str
    title: str
    uri: str
    span: SpanShape = Field(description="Where the passage stands in the document's stored text.")
    page: int | None = Field(description="The passage's page, from 1; null in a document without pages.")
    heading: list[str] = Field(description="The headings that the passage stands under, outermost first.")
    answer_span: SpanShape = Field(
        description="Where `[n]` stands in the answer; empty, at the sentence's end, for a sentence without a mark."
    )
    sentence: SpanShape = Field(description="The part of the answer that it stands for.")
    support: float = Field(ge=0, le=1, description="How surely that rests on the passage.")
    verdict: Literal["supported", "weak", "unsupported"]
    quote: SpanShape | None = Field(
        description="What of the document's stored text supports it most: a sentence, row or item, or null."
    )
    boxes: list[BoxShape] = Field(
        description="Where the quote's lines stand on their pages; empty for a document without pages."
    )
