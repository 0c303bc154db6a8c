"""What a question went through, as it is kept: enough to say why it was answered so, and no text of a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trivium_gateway.answering.question import Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.answering.events import Summary
    from trivium_gateway.answering.plan import Query, Search
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Passage, Scores
    from trivium_gateway.domain.standings import Ordered, Ranked
    from trivium_gateway.request.record import Record, Timings

# What one takes of memory, about; measured, and rounded up.
_TRACE_BYTES = 4_000
_RANKED_BYTES = 300
_ORDERED_BYTES = 250
_CHARACTER_BYTES = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage of an answer, without its text.

    Attributes:
        id: Identifies the chunk.
        document_id: Whose it is.
        score: Relevance, from 0 to 1.
        scores: What that was made of.
        duplicates: Documents that it stands for.
        collection: Whose it is.
    """

    id: str
    document_id: str
    score: float
    scores: Scores
    duplicates: tuple[str, ...]
    collection: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation, without its text.

    Attributes:
        index: Number of the passage, from 1.
        support: How surely what it stands for rests on the passage, from 0 to 1.
        verdict: The same in a word.
    """

    index: int
    support: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Answered:
    """How a question was answered.

    Attributes:
        text: The answer.
        answerable: Whether the documents answer the question.
        confidence: How likely they do.
        reason: Why they do not; empty if they do.
        refused: Whether the answer is a refusal.
        model: What wrote it.
        finish_reason: Why it ended.
        citations: All of them.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
        unsupported_count: Sentences that cite nothing and that no passage supports.
    """

    text: str
    answerable: bool
    confidence: float | None
    reason: str
    refused: bool
    model: str
    finish_reason: str
    citations: tuple[Cited, ...]
    dropped_passages: tuple[int, ...]
    unsupported_count: int


@dataclass(slots=True)
class Trace:
    """What one question or query went through. It grows while that is worked on, and stays as it is afterwards.

    Attributes:
        request_id: The request's.
        asked: What was asked; a query, if it is a Search.
        started_at: When, in seconds since 1970.
        operation: `answer` or `retrieve`.
        outcome: How it ended: see OUTCOMES.
        error: The reason of the error that ended it; empty if none did.
        plan: What was searched for; None if nothing was.
        timings: When each stage ran, and for how long.
        stage_facts: What each stage saw and decided, in the order of the timings.
        facts: The same of the whole request.
        settings: Settings of the search, the collection's and what the request set.
        degraded: Stages that were replaced by the next best means.
        found: What the search found for each query, best first, what it cut off behind the rest.
        ordered: The candidates as they were ordered, best first.
        passages: What was shown, best first.
        answer: How it was answered; None of a query, or if it was not.
        kept_at: When it was kept, on the clock of Traces.
        byte_count: About how much memory it takes.
    """

    request_id: str
    asked: Question | Search
    started_at: float
    operation: str = ""
    outcome: str = ""
    error: str = ""
    plan: Search | None = None
    timings: Timings | None = None
    stage_facts: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    degraded: Sequence[Degradation] = ()
    found: Sequence[Sequence[Ranked]] = ()
    ordered: Sequence[Ordered] = ()
    passages: Sequence[Shown] = ()
    answer: Answered | None = None
    kept_at: float = 0.0
    byte_count: int = 0

    @property
    def queries(self) -> tuple[Query, ...]:
        """What was searched for."""
        return self.plan.queries if self.plan else ()

    @property
    def collection(self) -> str:
        """Where it was asked; of several collections, that of the first passage that is cited, else that is shown."""
        names = self.asked.options.names
        cited = [self.passages[one.index - 1] for one in self.answer.citations] if self.answer else []
        found = [one.collection for one in (*cited, *self.passages)]
        return found[0] if len(names) > 1 and found else names[0]

    @property
    def asked_text(self) -> str:
        """What was asked, so that it stands alone."""
        if self.asked.history and self.queries:
            return self.queries[0].text
        return self.asked.text if isinstance(self.asked, Question) else self.asked.queries[0].text

    @property
    def answered(self) -> tuple[str, tuple[str, ...], bool]:
        """What was answered, the documents of the collection that it cites, and whether it is a refusal."""
        if self.answer is None:
            return "", (), False
        cited = [self.passages[one.index - 1] for one in self.answer.citations]
        own = (one.document_id for one in cited if one.collection == cited[0].collection)
        return self.answer.text, tuple(dict.fromkeys(own)), self.answer.refused

    def show(self, passages: Sequence[Passage]) -> None:
        """Notes what was shown."""
        self.passages = [
            Shown(one.id, one.chunk.document_id, one.score, one.scores, one.duplicates, one.collection)
            for one in passages
        ]

    def end(self, summary: Summary) -> None:
        """Notes how it was answered."""
        self.answer = Answered(
            summary.answer,
            summary.answerability.answerable,
            summary.answerability.confidence,
            summary.answerability.reason.value if summary.answerability.reason else "",
            summary.refused,
            summary.model,
            summary.finish_reason.value,
            tuple(Cited(one.index, one.support, one.verdict.value) for one in summary.citations),
            summary.dropped_passages,
            len(summary.unsupported),
        )

    def read_off(self, record: Record) -> None:
        """Takes over what the record of the request has."""
        self.operation, self.outcome = record.operation, record.outcome
        self.timings = record.timings()
        self.stage_facts = [stage.facts for stage in record.stages if stage.seconds is not None]
        self.facts, self.settings, self.degraded = record.facts, record.settings, record.degraded
        self.found, self.ordered = record.found, record.ordered
        self.byte_count = self._byte_count()

    def _byte_count(self) -> int:
        asked, texts = self.asked, [one.text for one in self.queries]
        texts += [turn.content for turn in asked.history]
        if isinstance(asked, Question):
            texts += [asked.text, *(turn.content for turn in asked.tool_turns)]
            texts += [one.description + one.parameters for one in asked.tools.definitions]
        if self.answer:
            texts.append(self.answer.text)
        return (
            _TRACE_BYTES
            + _RANKED_BYTES * sum(map(len, self.found))
            + _ORDERED_BYTES * len(self.ordered)
            + _CHARACTER_BYTES * (sum(map(len, texts)) + len(str(asked.options.filter or "")))
        )
