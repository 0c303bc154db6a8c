"""What the gateway counts and times of questions, beside the rate, errors and duration of its RPCs."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from trivium_serving.metrics import DURATION_BUCKETS

from trivium_gateway.domain.degradation import Reason, Stage
from trivium_gateway.request.record import OPERATIONS, OUTCOMES, QuestionRecord, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import CollectorRegistry

    from trivium_gateway.domain.degradation import Degradation

TIMED_STAGES = ("embed", "search", "rerank", "generate")
TOKEN_KINDS = ("query", "document", "prompt", "completion")
DEFAULT_TENANT = "default"

_CANDIDATE_BUCKETS = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1000)
_POSITION_BUCKETS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
_COSINE_BUCKETS = (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
_CITATION_BUCKETS = (0, 1, 2, 3, 5, 10, 20)
_MOST_TENANTS = 50


class BoundedLabel:
    """Values of a label that people choose: the first so many by name, all later ones as `other`.

    Args:
        most: How many have a name.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def value(self, name: str) -> str:
        """The label's value for a name."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return "other"
            self._known.add(name)
        return name


class QuestionMetrics:
    """The path of a question: seconds per stage, candidates, degradations, how questions and answers end, tokens.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stage_seconds = Histogram(
            "trivium_gateway_stage_duration_seconds",
            "Time of each stage of a question, ended well or not.",
            ("stage",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._candidates = Histogram(
            "trivium_gateway_search_candidates",
            "Candidates that a search found.",
            buckets=_CANDIDATE_BUCKETS,
            registry=registry,
        )
        self._degraded = Counter(
            "trivium_gateway_degraded_total",
            "Stages that were replaced by the next best means.",
            ("stage", "reason"),
            registry=registry,
        )
        self._answers = Counter(
            "trivium_gateway_answers_total",
            "Questions by how they ended: answered, or refused for want of evidence.",
            ("outcome",),
            registry=registry,
        )
        self._in_flight = Gauge(
            "trivium_gateway_questions_in_flight", "Questions and queries being worked on.", registry=registry
        )
        self._limit = Gauge(
            "trivium_gateway_question_limit",
            "Questions and queries that may search and rerank at once, by measured latency.",
            registry=registry,
        )
        self._refused = Counter(
            "trivium_gateway_questions_refused_total", "Questions refused for want of capacity.", registry=registry
        )
        self._questions = Counter(
            "trivium_gateway_questions_total",
            "Questions and queries by how they ended.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._question_seconds = Histogram(
            "trivium_gateway_question_duration_seconds",
            "Time of questions and queries that ended well, degraded or not.",
            ("operation",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._first_text = Histogram(
            "trivium_gateway_time_to_first_text_seconds",
            "Time from a question to the first text of its answer.",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._best_dense = Histogram(
            "trivium_gateway_best_dense_score",
            "Cosine similarity of a query and the nearest of what it found.",
            buckets=_COSINE_BUCKETS,
            registry=registry,
        )
        self._best_position = Histogram(
            "trivium_gateway_best_passage_position",
            "Place, from 1, that the passage judged best had in the search's order.",
            buckets=_POSITION_BUCKETS,
            registry=registry,
        )
        self._citations = Histogram(
            "trivium_gateway_answer_citations",
            "Citations in an answer that is no refusal.",
            buckets=_CITATION_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "trivium_gateway_tenant_tokens_total",
            "Tokens that models read or wrote for a tenant.",
            ("tenant", "kind"),
            registry=registry,
        )
        self._tenants = BoundedLabel(_MOST_TENANTS)
        for operation in OPERATIONS:
            self._question_seconds.labels(operation)
            for ending in OUTCOMES:
                self._questions.labels(operation, ending)
        for kind in TOKEN_KINDS:
            self.count_tokens(kind, 0)
        for stage in TIMED_STAGES:
            self._stage_seconds.labels(stage)
        for stage in Stage:
            for reason in Reason:
                self._degraded.labels(stage.value, reason.value)
        for outcome in ("answered", "refused"):
            self._answers.labels(outcome)

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Notes how long a stage took: one of TIMED_STAGES."""
        self._stage_seconds.labels(stage).observe(seconds)

    @contextmanager
    def question(self, operation: str) -> Iterator[QuestionRecord]:
        """Counts and times one question or query while the block runs.

        Args:
            operation: One of OPERATIONS.
        """
        begin = time.perf_counter()
        record = QuestionRecord(lambda: self._first_text.observe(time.perf_counter() - begin))
        try:
            yield record
        except BaseException as error:
            record.outcome = record.outcome or outcome_of(error)
            raise
        finally:
            outcome = record.outcome or "failed"
            self._questions.labels(operation, outcome).inc()
            if outcome in ("ok", "degraded"):
                self._question_seconds.labels(operation).observe(time.perf_counter() - begin)

    def observe_candidates(self, count: int, dense_scores: Iterable[float | None]) -> None:
        """Notes how many candidates a search found, and how near the nearest is to the query.

        Args:
            count: How many.
            dense_scores: Their cosine similarities, as far as known.
        """
        self._candidates.observe(count)
        best = max((score for score in dense_scores if score is not None), default=None)
        if best is not None:
            self._best_dense.observe(best)

    def observe_best_position(self, position: int) -> None:
        """Notes which place, from 1, the passage that was judged best had before."""
        self._best_position.observe(position)

    def count_tokens(self, kind: str, count: int, tenant: str = DEFAULT_TENANT) -> None:
        """Counts tokens: one of TOKEN_KINDS."""
        self._tokens.labels(self._tenants.value(tenant), kind).inc(count)

    def count_degraded(self, degradation: Degradation) -> None:
        """Counts a stage that was replaced."""
        self._degraded.labels(degradation.stage.value, degradation.reason.value).inc()

    def count_refused(self) -> None:
        """Counts a question that there was no capacity for."""
        self._refused.inc()

    def set_limit(self, limit: int) -> None:
        """Notes how many questions may search and rerank at once."""
        self._limit.set(limit)

    def set_in_flight(self, count: int) -> None:
        """Notes how many questions are being worked on."""
        self._in_flight.set(count)

    def count_answer(self, *, answerable: bool, citations: int) -> None:
        """Counts a question that was answered with some citations, or refused."""
        self._answers.labels("answered" if answerable else "refused").inc()
        if answerable:
            self._citations.observe(citations)
