"""What this service counts, beyond the calls that every service counts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from trivium_generate.degradation import REASONS
from trivium_generate.supervision import ModelState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

    from trivium_generate.answer import Degradation, Finish

_FIRST_TOKEN_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_BETWEEN_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class GenerateMetrics:
    """The metrics of one process.

    Args:
        registry: Where they are registered.
        backends: The names of the backends that may answer.
    """

    def __init__(self, registry: CollectorRegistry, backends: tuple[str, ...]) -> None:
        self._first_token = Histogram(
            "trivium_generate_time_to_first_token_seconds",
            "Time from a request to its first text.",
            ("backend",),
            buckets=_FIRST_TOKEN_BUCKETS,
            registry=registry,
        )
        self._between_tokens = Histogram(
            "trivium_generate_time_between_tokens_seconds",
            "Time from one token of a language model to the next.",
            buckets=_BETWEEN_BUCKETS,
            registry=registry,
        )
        self._tokens_in = Counter(
            "trivium_generate_prompt_tokens_total", "Tokens that the language model read.", registry=registry
        )
        self._tokens_out = Counter(
            "trivium_generate_completion_tokens_total", "Tokens that the language model wrote.", registry=registry
        )
        self._running = Gauge(
            "trivium_generate_running_requests", "Answers being written.", ("backend",), registry=registry
        )
        self._fallbacks = Counter(
            "trivium_generate_fallbacks_total",
            "Answers written by the next best means.",
            ("fallback", "reason"),
            registry=registry,
        )
        self._removed_citations = Counter(
            "trivium_generate_removed_citations_total", "Citations of passages that do not exist.", registry=registry
        )
        self._dropped_passages = Counter(
            "trivium_generate_dropped_passages_total", "Passages that did not fit into the context.", registry=registry
        )
        self._cut_prompts = Counter(
            "trivium_generate_cut_prompts_total",
            "Prompts of which the model's API seems to have read a part only.",
            registry=registry,
        )
        self._restarts = Counter(
            "trivium_generate_model_restarts_total",
            "Restarts of a model that broke or did not load.",
            registry=registry,
        )
        self._load_seconds = Gauge(
            "trivium_generate_model_load_seconds", "Duration of the last successful load.", registry=registry
        )
        self._loading_seconds = Gauge(
            "trivium_generate_model_loading_seconds",
            "How long the model has been loading; 0 while it is not.",
            registry=registry,
        )
        self._state = Gauge(
            "trivium_generate_model_state", "1 for the state that the model is in.", ("state",), registry=registry
        )
        for backend in backends:
            self._first_token.labels(backend)
            self._running.labels(backend)
        for fallback in ("extractive", "lexical"):
            for reason in REASONS:
                self._fallbacks.labels(fallback, reason)
        self.model_state(ModelState.NONE)

    @contextmanager
    def running(self, backend: str) -> Iterator[None]:
        """Counts an answer as being written while the block runs."""
        with self._running.labels(backend).track_inprogress():
            yield

    def first_token(self, backend: str, seconds: float) -> None:
        """Counts the first text of an answer."""
        self._first_token.labels(backend).observe(seconds)

    def next_tokens(self, count: int, seconds: float) -> None:
        """Counts tokens that came together, some time after those before them."""
        for _ in range(count):
            self._between_tokens.observe(seconds / count)

    def finished(self, finish: Finish) -> None:
        """Counts a complete answer."""
        self._tokens_in.inc(finish.prompt_tokens)
        self._tokens_out.inc(finish.completion_tokens)
        self._removed_citations.inc(finish.removed_citation_count)
        self._dropped_passages.inc(len(finish.dropped_passages))

    def prompt_cut(self) -> None:
        """Counts a prompt that was cut by whom it was sent to."""
        self._cut_prompts.inc()

    def fell_back(self, degradation: Degradation) -> None:
        """Counts the use of the next best means."""
        self._fallbacks.labels(degradation.fallback, degradation.reason).inc()

    def model_restarted(self) -> None:
        """Counts a restart of the model."""
        self._restarts.inc()

    def model_loading(self, seconds: float) -> None:
        """Notes how long loading has taken so far."""
        self._loading_seconds.set(seconds)

    def model_loaded(self, seconds: float) -> None:
        """Notes how long loading took."""
        self._load_seconds.set(seconds)

    def model_state(self, state: ModelState) -> None:
        """Notes the state of the model."""
        for other in ModelState:
            self._state.labels(other.value).set(1 if other is state else 0)
