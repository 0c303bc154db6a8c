"""What the service counts beyond its RPCs."""

from prometheus_client import CollectorRegistry, Counter
from trivium_encoders import Role
from trivium_model_service.metrics import Rejections
from trivium_serving.errors import TriviumError

_REJECTIONS = (
    "BLANK_TEXT",
    "CALL_TOO_LARGE",
    "DEADLINE_EXCEEDED",
    "DIMENSION_NOT_SUPPORTED",
    "MODEL_MISMATCH",
    "NO_TEXTS",
    "OVERLOADED",
    "TEXT_TOO_LONG",
    "TOO_MANY_TEXTS",
)


class EmbedMetrics:
    """Texts and tokens by role, and rejected requests by reason; requests of streams included.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._texts = Counter("trivium_embed_texts_total", "Texts embedded.", ("role",), registry=registry)
        self._tokens = Counter("trivium_embed_tokens_total", "Tokens read.", ("role",), registry=registry)
        self._rejections = Rejections("embed", _REJECTIONS, registry)
        for role in Role:
            self._texts.labels(role.value)
            self._tokens.labels(role.value)

    def count_embedded(self, role: Role, texts: int, tokens: int) -> None:
        """Counts a request that was answered."""
        self._texts.labels(role.value).inc(texts)
        self._tokens.labels(role.value).inc(tokens)

    def count_rejected(self, error: TriviumError) -> None:
        """Counts a request that ended with an error, if that is a rejection."""
        self._rejections.count(error)
