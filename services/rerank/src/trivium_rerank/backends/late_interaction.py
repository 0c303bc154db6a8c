"""Judges by late interaction (`maxsim`), with the token vectors of any embedding model."""

import asyncio
import string
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types
from trivium_encoders import EncoderInfo, EncoderOptions, Role, Scored, TokenEncoder, TokenMatrices, TokenMatrix
from trivium_serving.flights import FlightFailed, Flights

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.backends.encoder_errors import loading_errors, scoring_errors
from trivium_rerank.maxsim import PassageTokens, score_passages
from trivium_rerank.token_cache import TokenCache

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_Result = TypeVar("_Result")

# Bounds the memory of one call: token vectors come in full precision, 384 kB for a passage of 256 tokens.
_PASSAGES_AT_A_TIME = 128

_PUNCTUATION = string.punctuation + "，。？！；：、（）《》〈〉「」『』【】“”‘’…—–·¿¡«»"
# In no vocabulary, so that it shows what an unknown character becomes.
_UNKNOWN = "\U00013000"


class LateInteractionBackend:
    """Token-level similarity; the vectors of passages are kept for the next query.

    Args:
        encoder: Computes token vectors.
        ignored_ids: Tokens that take no part, sorted.
        cache: Keeps the tokens of passages.
    """

    name = "late-interaction"
    score_kind = ScoreKind.SIMILARITY

    def __init__(self, encoder: TokenEncoder, ignored_ids: NDArray[np.int32], cache: TokenCache) -> None:
        self._encoder = encoder
        self._ignored_ids = ignored_ids
        self._cache = cache
        self._flights: Flights[str, _Computed] = Flights()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maxsim")

    @classmethod
    async def load(
        cls, options: EncoderOptions, registry: CollectorRegistry, cache_bytes: int
    ) -> "LateInteractionBackend":
        """Loads and warms the model.

        Args:
            options: Which model, and how to run it.
            registry: Where metrics are registered.
            cache_bytes: Most memory for the tokens of passages.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED).
        """
        # The products are small and the encoder's workers need the cores: beside them, BLAS with a thread per core took
        # up to 40 times as long as with one.
        threadpool_limits(limits=1, user_api="blas")
        with loading_errors():
            encoder = await TokenEncoder.load(options, registry=registry, service="rerank")
            ignored_ids = await punctuation_ids(encoder)
        cache = TokenCache(max_bytes=cache_bytes, fingerprint=encoder.info.fingerprint, registry=registry)
        return cls(encoder, ignored_ids, cache)

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._encoder.info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._encoder.healthy

    def unread(self, texts: Sequence[str]) -> list[str]:
        """The passages whose tokens are not kept."""
        return [text for text in texts if text not in self._cache]

    async def score(self, query: str, texts: Sequence[str], *, deadline: float | None) -> Scored:
        """Judges passages, as `RerankBackend.score` says."""
        with scoring_errors():
            asked, reading = await asyncio.gather(
                self._encoder.encode([query], role=Role.QUERY, truncate=True, deadline=deadline),
                self._read(texts, deadline),
            )
        start = time.perf_counter()
        question = self._without_punctuation(asked.matrices[0])
        passages = [reading.passages[text] for text in texts]
        scores = await self._in_thread(score_passages, question.token_ids, question.vectors, passages)
        return Scored(
            scores=scores,
            token_count=asked.token_counts[0] + sum(passage.token_count for passage in passages),
            tokenize_seconds=asked.tokenize_seconds + reading.tokenize_seconds,
            queue_seconds=max(asked.queue_seconds, reading.queue_seconds),
            compute_seconds=max(asked.compute_seconds, reading.compute_seconds) + time.perf_counter() - start,
        )

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._encoder.close()
        self._thread.shutdown(wait=False)

    async def _read(self, texts: Sequence[str], deadline: float | None) -> "_Reading":
        """The tokens of passages: kept ones, those that another call is having computed, and those of the model."""
        reading = _Reading()
        missing = []
        for text in dict.fromkeys(texts):
            if (tokens := self._cache.get(text)) is not None:
                reading.passages[text] = tokens
            else:
                missing.append(text)
        for first in range(0, len(missing), _PASSAGES_AT_A_TIME):
            some = []
            for text in missing[first : first + _PASSAGES_AT_A_TIME]:
                if (tokens := self._cache.peek(text)) is not None:  # another call has had it computed meanwhile
                    reading.passages[text] = tokens
                else:
                    some.append(text)
            reading.add(await self._computed(some, deadline))
        return reading

    async def _computed(self, texts: Sequence[str], deadline: float | None) -> "dict[str, _Computed]":
        async def compute(some: Sequence[str]) -> list[_Computed]:
            with scoring_errors():
                encoded = await self._encoder.encode(some, role=Role.DOCUMENT, truncate=True, deadline=deadline)
            kept = await self._in_thread(self._kept, encoded)
            for text, tokens in zip(some, kept, strict=True):
                self._cache.put(text, tokens)
            return [_Computed(tokens, encoded) for tokens in kept]

        try:
            return await self._flights.get(texts, compute, deadline=deadline)
        except FlightFailed:
            # The passage at fault may be another call's.
            return dict(zip(texts, await compute(texts), strict=True))

    def _kept(self, encoded: TokenMatrices) -> list[PassageTokens]:
        kept = []
        for matrix, token_count in zip(encoded.matrices, encoded.token_counts, strict=True):
            matrix = self._without_punctuation(matrix)
            kept.append(PassageTokens(matrix.token_ids, matrix.vectors.astype(np.float16), token_count))
        return kept

    def _without_punctuation(self, matrix: TokenMatrix) -> TokenMatrix:
        """Leaves out punctuation, unless there is nothing else."""
        counts = np.isin(matrix.token_ids, self._ignored_ids, invert=True)
        return TokenMatrix(matrix.token_ids[counts], matrix.vectors[counts]) if counts.any() else matrix

    async def _in_thread(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


@dataclass(frozen=True, slots=True)
class _Computed:
    """A passage, and what it was computed with."""

    tokens: PassageTokens
    encoded: TokenMatrices


@dataclass(slots=True)
class _Reading:
    """The tokens of the passages of a call, and what it took to get them."""

    passages: dict[str, PassageTokens] = field(default_factory=dict)
    tokenize_seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0

    def add(self, computed: "dict[str, _Computed]") -> None:
        """Adds passages that were computed at the same time, and what the slowest of them took."""
        for text, one in computed.items():
            self.passages[text] = one.tokens
        together = {id(one.encoded): one.encoded for one in computed.values()}.values()
        self.tokenize_seconds += max((encoded.tokenize_seconds for encoded in together), default=0.0)
        self.queue_seconds += max((encoded.queue_seconds for encoded in together), default=0.0)
        self.compute_seconds += max((encoded.compute_seconds for encoded in together), default=0.0)


async def punctuation_ids(encoder: TokenEncoder) -> NDArray[np.int32]:
    """The tokens that stand for a punctuation mark, found by putting each mark after a letter."""
    texts = ["a", f"a{_UNKNOWN}", *(f"a{mark}" for mark in _PUNCTUATION)]
    plain, unknown, *marked = (matrix.token_ids for matrix in (await encoder.encode(texts)).matrices)
    found = {int(ids[-1]) for ids in marked if len(ids) == len(plain) + 1} - set(unknown.tolist())
    return np.array(sorted(found), dtype=np.int32)
