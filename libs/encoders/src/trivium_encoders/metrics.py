"""What an encoder tells operators."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trivium_encoders.options import EncoderInfo, Priority

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


class EncoderMetrics:
    """An encoder's metrics, in the owning service's name.

    The padding share is `1 - batch_tokens_total / batch_padded_tokens_sum`.

    Args:
        service: The owning service, as in `trivium_<service>_batch_texts`.
        registry: Where they are registered.
    """

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        def named(name: str) -> str:
            return f"trivium_{service}_{name}"

        self.batch_texts = Histogram(
            named("batch_texts"), "Texts or pairs in a batch.", buckets=_TEXTS, registry=registry
        )
        self.batch_padded_tokens = Histogram(
            named("batch_padded_tokens"), "Tokens in a batch, padding included.", buckets=_TOKENS, registry=registry
        )
        self.batch_tokens = Counter(named("batch_tokens"), "Tokens computed, padding left out.", registry=registry)
        self.batch_compute_seconds = Histogram(
            named("batch_compute_seconds"), "Time to compute a batch.", buckets=_SECONDS, registry=registry
        )
        self.tokenize_seconds = Histogram(
            named("tokenize_seconds"), "Time to tokenise a call's texts.", buckets=_SECONDS, registry=registry
        )
        self.queue_seconds = Histogram(
            named("queue_seconds"),
            "Time a call waited until the first of its texts was being computed.",
            ["priority"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_texts = Gauge(named("queue_texts"), "Texts or pairs that wait.", ["priority"], registry=registry)
        self.dropped_texts = Counter(
            named("dropped_texts"), "Texts dropped before computing.", ["reason"], registry=registry
        )
        self.failed_texts = Counter(named("failed_texts"), "Texts that could not be computed.", registry=registry)
        self.workers_alive = Gauge(named("workers_alive"), "Workers that take batches.", registry=registry)
        self.worker_deaths = Counter(named("worker_deaths"), "Workers that died.", registry=registry)
        self._model = Gauge(
            named("model_info"),
            "1 for the loaded model.",
            ["model", "fingerprint", "runtime", "precision"],
            registry=registry,
        )
        for priority in Priority:
            self.queue_seconds.labels(priority.value)
            self.queue_texts.labels(priority.value)
        for reason in ("cancelled", "deadline"):
            self.dropped_texts.labels(reason)

    def describe(self, info: EncoderInfo) -> None:
        """Shows the loaded model."""
        self._model.labels(info.name, info.fingerprint, info.runtime, info.precision).set(1)
