"""Computes vectors in this process, with any sentence-transformers model."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from trivium_encoders import (
    CodeForm,
    Encoded,
    EncoderInfo,
    EncoderOptions,
    PartedText,
    Priority,
    Role,
    TextEncoder,
)
from trivium_model_service.encoder_errors import computing_errors, loading_errors


class LocalBackend:
    """An encoder of `trivium_encoders`, its errors turned into the service's."""

    name = "local"

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @classmethod
    async def load(cls, options: EncoderOptions, registry: CollectorRegistry) -> "LocalBackend":
        """Loads and warms the model.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED); the message says why.
        """
        with loading_errors():
            return cls(await TextEncoder.load(options, registry=registry, service="embed"))

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._encoder.info

    def fingerprint_of(self, dimension: int) -> str:
        """Identity of vectors that are cut to so many numbers."""
        return hashlib.sha256(f"{self.info.fingerprint}\n{dimension}".encode()).hexdigest()

    @property
    def overhead_tokens(self) -> int:
        """Tokens that the model adds to every document."""
        return self._encoder.overhead_tokens

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._encoder.healthy

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
        """Embeds texts, as `EmbeddingBackend.embed` says."""
        with computing_errors():
            return await self._encoder.encode(
                texts,
                role=role,
                truncate=truncate,
                priority=priority,
                deadline=deadline,
                codes=codes,
                sparse=sparse,
            )

    async def embed_parts(
        self,
        texts: Sequence[PartedText],
        *,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None = None,
    ) -> Encoded:
        """Embeds the parts of documents, as `LateChunkingBackend.embed_parts` says."""
        with computing_errors():
            return await self._encoder.encode_parts(texts, priority=priority, deadline=deadline, codes=codes)

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says where tokens start, as `EmbeddingBackend.tokenize` says."""
        with computing_errors():
            return await self._encoder.tokenize(texts)

    async def read_shares(self, texts: Sequence[str]) -> list[float]:
        """Says what share of each text the model can read, as `EmbeddingBackend.read_shares` says."""
        with computing_errors():
            return await self._encoder.read_shares(texts)

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._encoder.close()
