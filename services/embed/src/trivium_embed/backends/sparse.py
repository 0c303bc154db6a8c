"""Learned sparse vectors by a model of its own, beside a backend whose model has none."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from trivium_encoders import (
    CodeForm,
    Encoded,
    EncoderOptions,
    PartedText,
    Priority,
    Role,
    SparseEncoded,
    SparseTextEncoder,
)
from trivium_model_service.encoder_errors import computing_errors, loading_errors

from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.late_chunking import late_chunking_backend

_METRICS = "embed_sparse"


class SparseBeside:
    """A backend, and a learned sparse model in this process that reads the same texts at the same time.

    Args:
        dense: Makes all but the sparse vectors.
        sparse: Makes these, of the beginning of a text that is longer than it reads.
    """

    def __init__(self, dense: EmbeddingBackend, sparse: SparseTextEncoder) -> None:
        self._dense = dense
        self._sparse = sparse
        self.name = dense.name
        self.info = replace(dense.info, sparse_fingerprint=sparse.info.sparse_fingerprint)
        self.overhead_tokens = dense.overhead_tokens
        self.fingerprint_of = dense.fingerprint_of

    @classmethod
    async def load(
        cls, dense: EmbeddingBackend, options: EncoderOptions, registry: CollectorRegistry
    ) -> "SparseBeside":
        """Loads and warms the sparse model; the other is loaded.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED); the message says why.
        """
        with loading_errors():
            return cls(dense, await SparseTextEncoder.load(options, registry=registry, service=_METRICS))

    @property
    def healthy(self) -> bool:
        """Whether both can compute now."""
        return self._dense.healthy and self._sparse.healthy

    async def embed(
        self,
        texts: Sequence[str],
        *,
        role: Role,
        truncate: bool,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None = None,
        sparse: bool = False,
    ) -> Encoded:
        """Embeds texts, as `EmbeddingBackend.embed` says; each time is that of the slower model."""
        dense = self._dense.embed(
            texts, role=role, truncate=truncate, priority=priority, deadline=deadline, codes=codes
        )
        if not sparse:
            return await dense
        tasks = asyncio.ensure_future(dense), asyncio.ensure_future(self._weigh(texts, role, priority, deadline))
        try:
            encoded, weighed = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return replace(
            encoded,
            queue_seconds=max(encoded.queue_seconds, weighed.queue_seconds),
            compute_seconds=max(encoded.compute_seconds, weighed.compute_seconds),
            sparse=weighed.vectors,
        )

    async def embed_parts(
        self,
        texts: Sequence[PartedText],
        *,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None = None,
    ) -> Encoded:
        """Embeds the parts of documents without sparse vectors, as `LateChunkingBackend.embed_parts` says."""
        backend = late_chunking_backend(self._dense)
        return await backend.embed_parts(texts, priority=priority, deadline=deadline, codes=codes)

    async def _weigh(
        self, texts: Sequence[str], role: Role, priority: Priority, deadline: float | None
    ) -> SparseEncoded:
        with computing_errors():
            return await self._sparse.encode(texts, role=role, priority=priority, deadline=deadline)

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says where tokens start, as `EmbeddingBackend.tokenize` says."""
        return await self._dense.tokenize(texts)

    async def read_shares(self, texts: Sequence[str]) -> list[float]:
        """Says what share of each text the embedding model can read, as `EmbeddingBackend.read_shares` says."""
        return await self._dense.read_shares(texts)

    async def close(self) -> None:
        """Fails what waits, and frees both."""
        await asyncio.gather(self._dense.close(), self._sparse.close())
