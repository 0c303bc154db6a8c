"""What the service counts beyond its RPCs."""

from prometheus_client import CollectorRegistry, Counter
from trivium_serving.errors import TriviumError

_REJECTION_REASONS = frozenset(
    {
        "BLANK_QUERY",
        "CALL_TOO_LARGE",
        "DEADLINE_EXCEEDED",
        "NO_TEXTS",
        "OVERLOADED",
        "QUERY_TOO_LONG",
        "TEXT_TOO_LONG",
        "TOO_MANY_TEXTS",
    }
)


class RerankMetrics:
    """Passages and tokens, and rejected requests by reason.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passages = Counter("trivium_rerank_passages_total", "Passages judged.", registry=registry)
        self._tokens = Counter(
            "trivium_rerank_tokens_total",
            "Tokens of queries and passages judged, kept ones included.",
            registry=registry,
        )
        self._rejected = Counter(
            "trivium_rerank_rejected_total", "Requests rejected, by reason.", ("reason",), registry=registry
        )
        for reason in sorted(_REJECTION_REASONS):
            self._rejected.labels(reason)

    def count_judged(self, passages: int, tokens: int) -> None:
        """Counts a request that was answered."""
        self._passages.inc(passages)
        self._tokens.inc(tokens)

    def count_rejected(self, error: TriviumError) -> None:
        """Counts a request that was rejected; errors that are no rejections show in the RPC metrics alone."""
        if error.reason in _REJECTION_REASONS:
            self._rejected.labels(error.reason).inc()
