"""What the service counts beyond its RPCs."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter
from trivium_encoders import TokenCodes
from trivium_model_service.metrics import Rejections
from trivium_serving.errors import TriviumError

from trivium_rerank.passages import Passage

_REJECTIONS = (
    "BLANK_QUERY",
    "CALL_TOO_LARGE",
    "DEADLINE_EXCEEDED",
    "NO_TEXTS",
    "OVERLOADED",
    "QUERY_TOO_LONG",
    "TEXT_TOO_LONG",
    "TOO_MANY_TEXTS",
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
        self._rejections = Rejections("rerank", _REJECTIONS, registry)
        self._codes = Counter(
            "trivium_rerank_token_codes_total",
            "Passages by what came with them: token codes of the model (used), of another, or none.",
            ("result",),
            registry=registry,
        )
        for result in ("used", "other_model", "none"):
            self._codes.labels(result)

    def count_judged(self, passages: int, tokens: int) -> None:
        """Counts a request that was answered."""
        self._passages.inc(passages)
        self._tokens.inc(tokens)

    def count_codes(self, passages: Iterable[Passage], takes: Callable[[TokenCodes], bool]) -> None:
        """Counts the passages of a request by the token codes that came with them."""
        results = Counts(
            "none" if passage.codes is None else "used" if takes(passage.codes) else "other_model"
            for passage in passages
        )
        for result, count in results.items():
            self._codes.labels(result).inc(count)

    def count_rejected(self, error: TriviumError) -> None:
        """Counts a request that ended with an error, if that is a rejection."""
        self._rejections.count(error)
