"""What the service does, without a word of gRPC."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import CodeForm, Encoded, PartedText, Priority, Role
from trivium_model_service.backend import BackendOwner, still_loading
from trivium_model_service.deadlines import seconds_left
from trivium_model_service.result_cache import CacheMetrics
from trivium_model_service.texts import estimate_tokenizing, estimate_tokens
from trivium_serving.admission import Admission
from trivium_serving.errors import FailedPrecondition, InvalidField, TooLarge, TriviumError

from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.dimensions import Dimensions
from trivium_embed.encodings import Encoding
from trivium_embed.late_chunking import check_chunks, late_chunking_backend
from trivium_embed.limits import Limits, refuse_blank
from trivium_embed.metrics import EmbedMetrics
from trivium_embed.sharing import SharedEmbedding


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed."""

    texts: Sequence[str]
    """The texts; at least one, none blank."""
    role: Role
    """What they are for."""
    truncate: bool
    """Cut a text that is longer than the model reads, instead of refusing the request."""
    expected_fingerprint: str
    """The model that has to answer; empty for whichever is loaded."""
    dimension: int = 0
    """Numbers per vector; 0 for what is served."""
    encoding: Encoding = Encoding.FLOAT32
    """How the vectors will be sent."""
    codes: CodeForm | None = None
    """In which form to give the vectors of the texts' tokens as well; None for none."""
    chunks: Sequence[PartedText] = ()
    """For late chunking the texts with their chunks; none to embed each text."""
    sparse: bool = False
    """Whether to give learned sparse vectors as well, by a model that has them."""


class Embedder(BackendOwner[EmbeddingBackend]):
    """Embeds texts within limits, with a backend that is loaded after the server has started.

    Args:
        load_backend: Loads and warms the backend.
        limits: Of one request.
        admission: Of all requests together.
        metrics: What is counted.
        cache_bytes: Most memory of the kept vectors.
        cache_metrics: What is counted of them.
        dimension: Numbers per vector for callers that ask for none; 0 for the model's own.
        least_dimension: Fewest numbers that the model was trained for; 0 for what the catalog says.
        express_tokens: Most tokens of a request that does not wait for longer ones.
        codes: The form of token codes for callers that leave it to the service; None for none.
        sparse_terms: Most terms of a learned sparse vector.
    """

    def __init__(
        self,
        load_backend: Callable[[], Awaitable[EmbeddingBackend]],
        *,
        limits: Limits,
        admission: Admission,
        metrics: EmbedMetrics,
        cache_bytes: int,
        cache_metrics: CacheMetrics,
        dimension: int,
        least_dimension: int,
        express_tokens: int,
        codes: CodeForm | None = None,
        sparse_terms: int,
    ) -> None:
        super().__init__()
        self._load_backend = load_backend
        self._shared: SharedEmbedding | None = None
        self._dimensions: Dimensions | None = None
        self._dimension = dimension
        self._least_dimension = least_dimension
        self._cache_bytes = cache_bytes
        self._cache_metrics = cache_metrics
        self._express_tokens = express_tokens
        self._admission = admission
        self._metrics = metrics
        self._codes = codes
        self._sparse_terms = sparse_terms
        self.limits = limits

    async def load(self) -> None:
        """Loads the backend and embeds a first text with it, so that ready means ready.

        Raises:
            FailedPrecondition: The model cannot be loaded, what it computes are no vectors, or they cannot have the
                dimension that is set.
        """
        backend = await self._load_backend()
        first = await backend.embed(
            ["Is everything ready?"], role=Role.QUERY, truncate=True, priority=Priority.INTERACTIVE, deadline=None
        )
        if first.vectors.shape != (1, backend.info.dimension) or not np.isfinite(first.vectors).all():
            raise FailedPrecondition(
                f"{backend.info.name} gives no usable vectors in precision {backend.info.precision}. Set another "
                "precision or runtime.",
                reason="MODEL_NOT_LOADED",
            )
        self._dimensions = Dimensions(backend, served=self._dimension, least=self._least_dimension)
        self._shared = SharedEmbedding(backend, self._cache_bytes, self._cache_metrics, sparse_terms=self._sparse_terms)
        self._backend = backend

    @property
    def dimensions(self) -> Dimensions:
        """The dimensions that vectors may have.

        Raises:
            Unavailable: The backend is not loaded yet (LOADING).
        """
        if self._dimensions is None:
            raise still_loading()
        return self._dimensions

    @property
    def default_codes(self) -> CodeForm | None:
        """The form of token codes for callers that leave it to the service; None for none."""
        return self._codes if self.backend.info.token_fingerprint else None

    async def embed(self, request: EmbeddingRequest, *, priority: Priority, deadline: float | None) -> Encoded:
        """Embeds the texts of a request.

        Args:
            request: The texts.
            priority: Which waiting work goes first.
            deadline: When to give up, on the event loop's clock in seconds; None for never.

        Raises:
            FailedPrecondition: Another model is loaded than the request expects (MODEL_MISMATCH), or it cannot do late
                chunking (LATE_CHUNKING_NOT_SUPPORTED).
            InvalidField, TooLarge: The request breaks a limit, or there are no such vectors (DIMENSION_NOT_SUPPORTED).
            Overloaded: There is no capacity now.
            DeadlineExceeded, Unavailable: As for `EmbeddingBackend.embed`.
        """
        try:
            encoded = await self._embed(request, priority, deadline)
        except TriviumError as error:
            self._metrics.count_rejected(error)
            raise
        self._metrics.count_embedded(request.role, len(encoded.vectors), sum(encoded.token_counts))
        return encoded

    async def _embed(self, request: EmbeddingRequest, priority: Priority, deadline: float | None) -> Encoded:
        backend = self.backend
        model = self.dimensions.info(request.dimension)
        _check_model(request.expected_fingerprint, model.fingerprint)
        _check_encoding(request.encoding, model.dimension)
        self.limits.check(request.texts)
        refuse_blank(request.texts)
        codes = request.codes if backend.info.token_fingerprint else None
        if request.chunks:
            encoded = await self._embed_chunks(request, codes, priority, deadline)
        else:
            assert self._shared is not None  # it exists since the backend does
            encoded = await self._shared.embed(
                request.texts,
                role=request.role,
                truncate=request.truncate,
                priority=priority,
                deadline=deadline,
                codes=codes,
                sparse=request.sparse and bool(backend.info.sparse_fingerprint),
                admit=lambda new: self._admit(estimate_tokens(new, backend.info.max_tokens), priority, deadline),
            )
        _check_size(encoded, self.limits.max_codes_bytes)
        return self.dimensions.cut(encoded, model.dimension)

    async def _embed_chunks(
        self, request: EmbeddingRequest, codes: CodeForm | None, priority: Priority, deadline: float | None
    ) -> Encoded:
        """Embeds the chunks of texts that are read whole. None is remembered: the same document seldom comes twice."""
        backend = late_chunking_backend(self.backend)
        check_chunks(request.chunks, request.role, self.limits.max_texts, truncate=request.truncate)
        if request.sparse:
            raise InvalidField(
                "sparse", "There are no sparse vectors of chunks; ask for them in a call with the chunks as texts."
            )
        with self._admit(estimate_tokens(request.texts, 0), priority, deadline):
            return await backend.embed_parts(request.chunks, priority=priority, deadline=deadline, codes=codes)

    async def read_shares(self, request: EmbeddingRequest) -> Sequence[float]:
        """Says what share of each query's letters the model can read; nothing of documents, or if it is not known."""
        return await self.backend.read_shares(request.texts) if request.role is Role.QUERY else []

    def _admit(self, tokens: int, priority: Priority, deadline: float | None) -> AbstractContextManager[None]:
        left = seconds_left(deadline) if tokens > self._express_tokens else None
        return self._admission.admit(tokens, urgent=priority is Priority.INTERACTIVE, seconds_left=left)

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says where the tokens of some texts start, in code points; a blank text may have none.

        Raises:
            InvalidField, TooLarge: The texts break a limit.
            Overloaded: There is no capacity now.
        """
        backend = self.backend
        try:
            self.limits.check(texts)
            with self._admission.admit(estimate_tokenizing(texts)):
                return await backend.tokenize(texts)
        except TriviumError as error:
            self._metrics.count_rejected(error)
            raise


def _check_size(encoded: Encoded, most_bytes: int) -> None:
    size = sum(map(len, encoded.token_codes or ())) + sum(vector.nbytes for vector in encoded.sparse or ())
    if size > most_bytes:
        raise TooLarge(
            f"The token codes and sparse vectors of texts have {size} bytes, and an answer takes {most_bytes}. "
            "Send the texts in several calls, or ask for fewer bits.",
            reason="CALL_TOO_LARGE",
            field="texts",
        )


def _check_encoding(encoding: Encoding, dimension: int) -> None:
    if encoding is Encoding.BINARY and dimension % 8:
        raise InvalidField(
            "encoding",
            f"Binary vectors have eight numbers a byte, and {dimension} is no multiple of 8. Ask for a dimension that "
            "is, or for another encoding.",
            reason="DIMENSION_NOT_SUPPORTED",
        )


def _check_model(expected: str, loaded: str) -> None:
    if expected and expected != loaded:
        raise FailedPrecondition(
            f"The model loaded here has fingerprint {loaded}, and the call expects {expected}. Ask GetModel, and "
            "never compare vectors of different models.",
            reason="MODEL_MISMATCH",
            metadata={"loaded": loaded, "expected": expected},
        )
