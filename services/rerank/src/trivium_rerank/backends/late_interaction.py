"""Judges by late interaction (`maxsim`), with the token vectors of any embedding model."""

import asyncio
import string
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types
from trivium_encoders import EncoderInfo, EncoderOptions, Role, Scored, TokenEncoder, TokenMatrices, TokenMatrix
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_model_service.sharing import SharedResults, Times

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.backends.encoder_errors import loading_errors, scoring_errors
from trivium_rerank.maxsim import TextTokens, score_passages

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_Result = TypeVar("_Result")

# Bounds the memory of one call: token vectors come in full precision, 384 kB for a passage of 256 tokens.
_PASSAGES_AT_A_TIME = 128

# Roughly what Python needs for an entry beside its arrays.
_ENTRY_BYTES = 600

_PUNCTUATION = string.punctuation + "，。？！；：、（）《》〈〉「」『』【】“”‘’…—–·¿¡«»"
# In no vocabulary, so that it shows what an unknown character becomes.
_UNKNOWN = "\U00013000"


class LateInteractionBackend:
    """Token-level similarity; the vectors of passages and queries are kept for the next call.

    Args:
        encoder: Computes token vectors.
        ignored_ids: Tokens that take no part, sorted.
        cache: Keeps the tokens of passages and queries.
    """

    name = "late-interaction"
    score_kind = ScoreKind.SIMILARITY

    def __init__(self, encoder: TokenEncoder, ignored_ids: NDArray[np.int32], cache: ResultCache[TextTokens]) -> None:
        self._encoder = encoder
        self._ignored_ids = ignored_ids
        self._texts = SharedResults(self._read, cache)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maxsim")

    @classmethod
    async def load(
        cls, options: EncoderOptions, registry: CollectorRegistry, cache_bytes: int
    ) -> "LateInteractionBackend":
        """Loads and warms the model.

        Args:
            options: Which model, and how to run it.
            registry: Where metrics are registered.
            cache_bytes: Most memory for the tokens of passages and queries.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED).
        """
        # The products are small and the encoder's workers need the cores: beside them, BLAS with a thread per core took
        # up to 40 times as long as with one.
        threadpool_limits(limits=1, user_api="blas")
        with loading_errors():
            encoder = await TokenEncoder.load(options, registry=registry, service="rerank")
            ignored_ids = await punctuation_ids(encoder)
        cache = ResultCache[TextTokens](
            max_bytes=cache_bytes,
            fingerprint=encoder.info.fingerprint,
            size_of=lambda tokens: tokens.nbytes + _ENTRY_BYTES,
            metrics=CacheMetrics("rerank", registry),
        )
        return cls(encoder, ignored_ids, cache)

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._encoder.info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._encoder.healthy

    def unread(self, query: str, texts: Sequence[str]) -> list[str]:
        """The passages whose tokens are neither kept nor being computed."""
        return self._texts.new(Role.DOCUMENT.value, texts)

    async def score(self, query: str, texts: Sequence[str], *, deadline: float | None) -> Scored:
        """Judges passages, as `RerankBackend.score` says."""
        ([question], asking), (passages, reading) = await asyncio.gather(
            self._texts.get(Role.QUERY.value, [query], deadline), self._texts.get(Role.DOCUMENT.value, texts, deadline)
        )
        start = time.perf_counter()
        scores = await self._in_thread(score_passages, question.token_ids, question.vectors, passages)
        return Scored(
            scores=scores,
            token_counts=[tokens.token_count for tokens in (question, *passages)],
            tokenize_seconds=asking.tokenize + reading.tokenize,
            queue_seconds=max(asking.queue, reading.queue),
            compute_seconds=max(asking.compute, reading.compute) + time.perf_counter() - start,
        )

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._encoder.close()
        self._thread.shutdown(wait=False)

    async def _read(self, role: str, texts: Sequence[str], deadline: float | None) -> tuple[list[TextTokens], Times]:
        precision = np.float32 if Role(role) is Role.QUERY else np.float16
        tokens: list[TextTokens] = []
        took = Times()
        for first in range(0, len(texts), _PASSAGES_AT_A_TIME):
            some = texts[first : first + _PASSAGES_AT_A_TIME]
            with scoring_errors():
                encoded = await self._encoder.encode(some, role=Role(role), truncate=True, deadline=deadline)
            tokens += await self._in_thread(self._kept, encoded, precision)
            took = Times(*map(sum, zip(took, Times.of(encoded), strict=True)))
        return tokens, took

    def _kept(self, encoded: TokenMatrices, precision: type[np.float16 | np.float32]) -> list[TextTokens]:
        kept = []
        for matrix, token_count in zip(encoded.matrices, encoded.token_counts, strict=True):
            matrix = self._without_punctuation(matrix)
            kept.append(TextTokens(matrix.token_ids, matrix.vectors.astype(precision), token_count))
        return kept

    def _without_punctuation(self, matrix: TokenMatrix) -> TokenMatrix:
        """Leaves out punctuation, unless there is nothing else."""
        counts = np.isin(matrix.token_ids, self._ignored_ids, invert=True)
        return TokenMatrix(matrix.token_ids[counts], matrix.vectors[counts]) if counts.any() else matrix

    async def _in_thread(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


async def punctuation_ids(encoder: TokenEncoder) -> NDArray[np.int32]:
    """The tokens that stand for a punctuation mark, found by putting each mark after a letter."""
    texts = ["a", f"a{_UNKNOWN}", *(f"a{mark}" for mark in _PUNCTUATION)]
    plain, unknown, *marked = (matrix.token_ids for matrix in (await encoder.encode(texts)).matrices)
    found = {int(ids[-1]) for ids in marked if len(ids) == len(plain) + 1} - set(unknown.tolist())
    return np.array(sorted(found), dtype=np.int32)
