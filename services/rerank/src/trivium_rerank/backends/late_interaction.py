"""Judges by late interaction (`maxsim`), with the token vectors of any embedding model, or of one trained for it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types
from trivium_encoders import (
    CodeForm,
    EncoderInfo,
    EncoderOptions,
    Role,
    Scored,
    TokenCodes,
    TokenEncoder,
    TokenMatrices,
    TokenMatrix,
    code_vectors,
    codes_model_key,
    decode_codes,
)
from trivium_model_service.encoder_errors import computing_errors, loading_errors
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_model_service.sharing import SharedResults, Times

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.maxsim import matches, mean_matches, score_passages
from trivium_rerank.passages import Passage

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_Result = TypeVar("_Result")

# Bounds the memory of one call: token vectors come in full precision, 384 kB for a passage of 256 tokens.
_PASSAGES_AT_A_TIME = 32

# Roughly what Python needs for an entry beside its arrays.
_ENTRY_BYTES = 900
_QUERIES_SHARE = 8
"""One part in so many of the cache's memory is for queries."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is kept of a query: its tokens in full precision."""

    tokens: TokenMatrix
    token_count: int

    @property
    def nbytes(self) -> int:
        return self.tokens.token_ids.nbytes + self.tokens.vectors.nbytes + _ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class _Read:
    """What is kept of a passage that came without codes."""

    codes: TokenCodes
    token_count: int

    @property
    def nbytes(self) -> int:
        return self.codes.token_ids.nbytes + self.codes.rows.nbytes + _ENTRY_BYTES


class LateInteractionBackend:
    """Token-level similarity. Queries and passages that come with token codes of the model are not read; what was read
    of others is kept for the next call.

    Args:
        encoder: Computes token vectors.
        form: Bits a number of the passages that are read here.
        cache_bytes: Most memory for what is kept.
        metrics: What the caches count.
    """

    name = "late-interaction"
    score_kind = ScoreKind.SIMILARITY
    needs_texts = False

    def __init__(self, encoder: TokenEncoder, form: CodeForm | None, cache_bytes: int, metrics: CacheMetrics) -> None:
        self._encoder = encoder
        self._by_rarity = not encoder.is_trained
        self._coding = encoder.coding(form or (CodeForm.BYTES if encoder.is_trained else CodeForm.SIGNS))
        self._model_key = codes_model_key(encoder.info.token_fingerprint)
        fingerprint = encoder.info.fingerprint
        for_queries = cache_bytes // _QUERIES_SHARE
        queries = ResultCache[_Question](
            max_bytes=for_queries, fingerprint=fingerprint, size_of=lambda one: one.nbytes, metrics=metrics
        )
        passages = ResultCache[_Read](
            max_bytes=cache_bytes - for_queries,
            fingerprint=fingerprint,
            size_of=lambda one: one.nbytes,
            metrics=metrics,
        )
        self._queries = SharedResults(self._ask, queries)
        self._passages = SharedResults(self._read, passages)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maxsim")

    @classmethod
    async def load(
        cls, options: EncoderOptions, registry: CollectorRegistry, *, form: CodeForm | None, cache_bytes: int
    ) -> "LateInteractionBackend":
        """Loads and warms the model.

        Args:
            options: Which model, and how to run it.
            registry: Where metrics are registered.
            form: Bits a number of the passages that are read here; None for what suits the model.
            cache_bytes: Most memory for what is kept.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED).
        """
        # The products are small and the encoder's workers need the cores: beside them, BLAS with a thread per core took
        # up to 40 times as long as with one.
        threadpool_limits(limits=1, user_api="blas")
        with loading_errors():
            encoder = await TokenEncoder.load(options, registry=registry, service="rerank")
        return cls(encoder, form, cache_bytes, CacheMetrics("rerank", registry))

    @property
    def info(self) -> EncoderInfo:
        """The model's description. A trained one names no codes, since nobody can bring any: passages come as texts."""
        info = self._encoder.info
        return replace(info, token_fingerprint="") if self._encoder.is_trained else info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._encoder.healthy

    def takes(self, codes: TokenCodes) -> bool:
        """Whether they are of this model."""
        return codes.model == self._model_key and codes.dimension == self.info.dimension

    def unread(self, query: str, passages: Sequence[Passage], places: int = 0) -> list[str]:
        """The texts of passages without codes of this model that are neither kept nor being computed."""
        return self._passages.new(
            Role.DOCUMENT.value, [one.text for one in passages if self._usable(one.codes) is None]
        )

    async def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        places: int = 0,
        deadline: float | None,
    ) -> Scored:
        """Judges passages, as `RerankBackend.score` says; all of them, since that is cheap."""
        codes = [self._usable(passage.codes) for passage in passages]
        texts = [passage.text for passage, one in zip(passages, codes, strict=True) if one is None]
        (question, asking), (read, reading) = await asyncio.gather(
            self._question(query, query_codes, deadline),
            self._passages.get(Role.DOCUMENT.value, texts, deadline),
        )
        waiting = iter(read)
        whole = [one or next(waiting).codes for one in codes]
        start = time.perf_counter()
        scores, maxsim = await self._in_thread(self._judged, question.tokens, whole)
        return Scored(
            scores=scores,
            maxsim=maxsim,
            token_counts=[question.token_count, *(one.token_count for one in read)],
            tokenize_seconds=asking.tokenize + reading.tokenize,
            queue_seconds=max(asking.queue, reading.queue),
            compute_seconds=max(asking.compute, reading.compute) + time.perf_counter() - start,
        )

    async def similarities(
        self, query: str, passages: Sequence[Passage], *, query_codes: TokenCodes | None, deadline: float | None
    ) -> NDArray[np.float32]:
        """Scores, as `score` gives them, of the passages with codes of this model; NaN for others. Reads no passage.

        Raises:
            DeadlineExceeded, Unavailable: As for `score`.
        """
        usable = {index: codes for index, one in enumerate(passages) if (codes := self._usable(one.codes)) is not None}
        scores = np.full(len(passages), np.nan, np.float32)
        if usable:
            question, _ = await self._question(query, query_codes, deadline)
            scores[list(usable)], _ = await self._in_thread(self._judged, question.tokens, list(usable.values()))
        return scores

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._encoder.close()
        self._thread.shutdown(wait=False)

    def _usable(self, codes: TokenCodes | None) -> TokenCodes | None:
        return codes if codes and self.takes(codes) else None

    async def _question(self, query: str, codes: TokenCodes | None, deadline: float | None) -> tuple[_Question, Times]:
        """A query's tokens: those that came along, or else those that are kept or read."""
        if (usable := self._usable(codes)) is not None:
            return _Question(TokenMatrix(usable.token_ids.astype(np.int32), code_vectors(usable)), 0), Times()
        [question], times = await self._queries.get(Role.QUERY.value, [query], deadline)
        return question, times

    async def _ask(self, role: str, texts: Sequence[str], deadline: float | None) -> tuple[list[_Question], Times]:
        with computing_errors("A passage"):
            encoded = await self._encoder.encode(texts, role=Role(role), truncate=True, deadline=deadline)
        asked = zip(encoded.matrices, encoded.token_counts, strict=True)
        return [_Question(self._encoder.telling(matrix), count) for matrix, count in asked], Times.of(encoded)

    async def _read(self, role: str, texts: Sequence[str], deadline: float | None) -> tuple[list[_Read], Times]:
        read: list[_Read] = []
        took = Times()
        for first in range(0, len(texts), _PASSAGES_AT_A_TIME):
            some = texts[first : first + _PASSAGES_AT_A_TIME]
            with computing_errors("A passage"):
                encoded = await self._encoder.encode(some, role=Role(role), truncate=True, deadline=deadline)
            read += await self._in_thread(self._packed, encoded)
            took = Times(*map(sum, zip(took, Times.of(encoded), strict=True)))
        return read, took

    def _packed(self, encoded: TokenMatrices) -> list[_Read]:
        codes = [self._coding.code(matrix.token_ids, matrix.vectors) for matrix in encoded.matrices]
        return [_Read(decode_codes(code), count) for code, count in zip(codes, encoded.token_counts, strict=True)]

    def _judged(
        self, query: TokenMatrix, passages: Sequence[TokenCodes]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """The scores of passages, and the mean match of the query's tokens in each.

        A trained model gives none: who reads it knows what matches of an embedding model's tokens mean.
        """
        cosines = matches(query, passages)
        scores = score_passages(query, passages, cosines, by_rarity=self._by_rarity)
        return scores, mean_matches(cosines) if self._by_rarity else None

    async def _in_thread(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
