"""What the gateway counts and times, beside the rate, errors and duration of its RPCs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from trivium_serving.metrics import DURATION_BUCKETS

from trivium_gateway.degradation import Reason, Stage
from trivium_gateway.documents import DocumentStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from trivium_gateway.degradation import Degradation
    from trivium_gateway.documents import DocumentResult

TIMED_STAGES = ("embed", "search", "rerank", "generate")

_CANDIDATE_BUCKETS = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1000)


class QuestionMetrics:
    """The path of a question: seconds per stage, candidates, degradations, how answers end.

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
        self._refused = Counter(
            "trivium_gateway_questions_refused_total", "Questions refused for want of capacity.", registry=registry
        )
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

    def observe_candidates(self, count: int) -> None:
        """Notes how many candidates a search found."""
        self._candidates.observe(count)

    def count_degraded(self, degradation: Degradation) -> None:
        """Counts a stage that was replaced."""
        self._degraded.labels(degradation.stage.value, degradation.reason.value).inc()

    def count_refused(self) -> None:
        """Counts a question that there was no capacity for."""
        self._refused.inc()

    def set_in_flight(self, count: int) -> None:
        """Notes how many questions are being worked on."""
        self._in_flight.set(count)

    def count_answer(self, *, answerable: bool) -> None:
        """Counts a question that was answered, or refused."""
        self._answers.labels("answered" if answerable else "refused").inc()


class DocumentMetrics:
    """What became of documents.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._documents = Counter(
            "trivium_gateway_documents_total", "Documents received, by outcome.", ("outcome",), registry=registry
        )
        self._deleted = Counter("trivium_gateway_documents_deleted_total", "Documents deleted.", registry=registry)
        for status in DocumentStatus:
            self._documents.labels(status.value)

    def count_received(self, results: Iterable[DocumentResult]) -> None:
        """Counts the documents of one call by outcome."""
        for result in results:
            self._documents.labels(result.status.value).inc()

    def count_deleted(self, count: int) -> None:
        """Counts documents that were deleted."""
        self._deleted.inc(count)


class HttpMetrics:
    """Rate, errors and duration of HTTP requests, by route template.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "trivium_gateway_http_requests_total",
            "HTTP requests by outcome; status 499 is a client that left.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._duration = Histogram(
            "trivium_gateway_http_request_duration_seconds",
            "Time from an HTTP request's arrival to the end of its response.",
            ("method", "route"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )

    def declare(self, method: str, route: str) -> None:
        """Makes a route's series exist from the start, so that rates over them are right."""
        self._requests.labels(method, route, "200")
        self._duration.labels(method, route)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request that ended.

        Args:
            method: Its method; an unknown one is counted as `OTHER`.
            route: Template of its route, for example `/v1/documents/{id}`; `unknown` if none matched.
            status: Its HTTP status.
            seconds: How long it took.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(seconds)


class StageMetrics:
    """Which stages can be used now.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge(
            "trivium_gateway_stage_ready", "1 if the stage can be used, else 0.", ("stage",), registry=registry
        )
        for stage in TIMED_STAGES:
            self._ready.labels(stage).set(0)

    def set_ready(self, stage: str, ready: bool) -> None:
        """Notes whether a stage can be used."""
        self._ready.labels(stage).set(int(ready))
