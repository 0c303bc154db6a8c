"""What the gateway counts and times of questions, beside the rate, errors and duration of its RPCs."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from trivium_serving.metrics import DURATION_BUCKETS

from trivium_gateway.domain.degradation import Reason, Stage
from trivium_gateway.request.paces import STAGES as PACED_STAGES
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.request.record import OPERATIONS, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from prometheus_client import CollectorRegistry

    from trivium_gateway.request.paces import Paces
    from trivium_gateway.request.record import Record

TIMED_STAGES = ("embed", "search", "rerank", "generate")
TOKEN_KINDS = ("query", "document", "reranked", "prompt", "completion")

_CANDIDATE_BUCKETS = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1000)
_POSITION_BUCKETS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
_COSINE_BUCKETS = (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
_CITATION_BUCKETS = (0, 1, 2, 3, 5, 10, 20)
_WAIT_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_MOST_TENANTS = 50
_ENDINGS = ("answered", "marked", "refused")
"""How questions end: marked are those that are answered although the documents hardly do."""


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
        paces: How long stages take; nothing to show none.
    """

    def __init__(self, registry: CollectorRegistry, paces: Paces | None = None) -> None:
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
        self._fitted = Counter(
            "trivium_gateway_deadline_decisions_total",
            "Stages that their caller's time was too short for.",
            ("stage", "decision"),
            registry=registry,
        )
        self._usual_seconds = Gauge(
            "trivium_gateway_stage_usual_seconds",
            "Time within which nine of ten of the last runs of a stage ended, by which callers' time is divided.",
            ("stage",),
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
        self._tenant_refused = Counter(
            "trivium_gateway_tenant_questions_refused_total",
            "Questions of a tenant refused for want of capacity.",
            ("tenant",),
            registry=registry,
        )
        self._tenant_wait = Histogram(
            "trivium_gateway_tenant_wait_seconds",
            "Time that the questions of a tenant waited for their place.",
            ("tenant",),
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        if paces is not None:
            for name in PACED_STAGES:
                self._usual_seconds.labels(name).set_function(partial(_usual_seconds, paces, name))
        self._tenants = BoundedLabel(_MOST_TENANTS)
        self._facts = {
            "trivium.candidates": self._candidates,
            "trivium.best_dense": self._best_dense,
            "trivium.best_position": self._best_position,
        }
        """What is counted of what a record notes, by the name that it has there."""
        for operation in OPERATIONS:
            self._question_seconds.labels(operation)
            for ending in OUTCOMES:
                self._questions.labels(operation, ending)
        for kind in TOKEN_KINDS:
            self.count_tokens(EVERYBODY.tenant, kind, 0)
        for metric in (self._tenant_refused, self._tenant_wait):
            metric.labels(self._tenants.value(EVERYBODY.tenant))
        for stage in TIMED_STAGES:
            self._stage_seconds.labels(stage)
        for paced in PACED_STAGES:
            self._fitted.labels(paced, "refused" if paced == "search" else "left_out")
        for fitted in (Stage.RERANK, Stage.GENERATE):
            self._fitted.labels(fitted.value, "fewer")
        for stage in Stage:
            for reason in Reason:
                self._degraded.labels(stage.value, reason.value)
        for outcome in _ENDINGS:
            self._answers.labels(outcome)

    @contextmanager
    def counting(self, record: Record) -> Iterator[Record]:
        """Counts a question or query when the block ends, whichever way."""
        try:
            yield record
        except BaseException as error:
            record.fail(error)
            raise
        finally:
            self._observe(record)

    def _observe(self, record: Record) -> None:
        outcome = record.outcome or "failed"
        self._questions.labels(record.operation, outcome).inc()
        if outcome in ("ok", "degraded"):
            self._question_seconds.labels(record.operation).observe(record.elapsed_seconds())
        if record.first_text_seconds is not None:
            self._first_text.observe(record.first_text_seconds)
        for stage in record.stages:
            self._stage_seconds.labels(stage.name).observe(stage.seconds or 0.0)
        for facts in (record.facts, *(stage.facts for stage in record.stages)):
            for name, histogram in self._facts.items():
                if name in facts:
                    histogram.observe(facts[name])
        for degradation in record.degraded:
            self._degraded.labels(degradation.stage, degradation.reason.value).inc()
        for decided, number in record.budget.decided.items():
            self._fitted.labels(*decided).inc(number)
        for kind, count in record.tokens.items():
            self.count_tokens(record.principal.tenant, kind, count)
        if "trivium.answerable" in record.facts:
            self._answers.labels(_ending(record.facts)).inc()
            if not record.facts["trivium.refused"]:
                self._citations.observe(record.facts["trivium.citations"])

    def count_tokens(self, tenant: str, kind: str, count: int) -> None:
        """Counts tokens: one of TOKEN_KINDS."""
        self._tokens.labels(self._tenants.value(tenant), kind).inc(count)

    def count_refused(self, tenant: str) -> None:
        """Counts a question that there was no capacity for."""
        self._refused.inc()
        self._tenant_refused.labels(self._tenants.value(tenant)).inc()

    def observe_wait(self, tenant: str, seconds: float) -> None:
        """Notes how long a question has waited for its place."""
        self._tenant_wait.labels(self._tenants.value(tenant)).observe(seconds)

    def set_limit(self, limit: int) -> None:
        """Notes how many questions may search and rerank at once."""
        self._limit.set(limit)

    def set_in_flight(self, count: int) -> None:
        """Notes how many questions are being worked on."""
        self._in_flight.set(count)


def _usual_seconds(paces: Paces, stage: str) -> float:
    """What a stage takes; 0 if that was not measured lately."""
    return paces.usual(stage) or 0.0


def _ending(facts: Mapping[str, Any]) -> str:
    """One of _ENDINGS."""
    if facts["trivium.refused"]:
        return "refused"
    return "answered" if facts["trivium.answerable"] else "marked"
