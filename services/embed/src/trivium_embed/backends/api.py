"""Computes vectors by the API of a provider: what is the same for all of them."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import CodeForm, Encoded, EncoderInfo, Priority, Role
from trivium_model_apis.calls import ApiCalls, ApiFailure

from trivium_embed.backends import estimates


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Which API, and how much to send at a time."""

    model: str
    """The model's name there; empty for the backend's own."""
    url: str
    """Address of the API; empty for the provider's own."""
    key: str
    """Its key; may be empty for an address that needs none."""
    dimension: int
    """Numbers per vector to ask for; 0 for the model's own."""
    max_tokens: int
    """Longest input in tokens; 0 for the model's own maximum."""
    batch_texts: int
    """Most texts in a request; 0 for what the provider takes."""
    batch_tokens: int
    """Most tokens in a request, estimated."""


class Provider(Protocol):
    """One provider's API."""

    name: str
    model: str
    max_tokens: int
    batch_texts: int
    cuts_texts: bool
    """Whether it cuts texts that are too long itself, when asked to."""

    async def embed(self, texts: Sequence[str], role: Role, *, truncate: bool) -> NDArray[np.float32]:
        """One request: vectors `[texts, dimension]`, of any length.

        Raises:
            ApiFailure: It failed, or the answer cannot be read.
        """

    async def close(self) -> None:
        """Closes the connections."""


class ApiBackend:
    """Vectors from a provider, brought to unit length. Made by `load`.

    Token counts are estimates (`estimates`), because the provider's tokenizer is not here.
    """

    overhead_tokens = 0

    def __init__(self, provider: Provider, calls: ApiCalls, options: ApiOptions, dimension: int) -> None:
        self._provider = provider
        self._calls = calls
        self._batch_tokens = options.batch_tokens
        self.name = provider.name
        self.healthy = True
        self.info = EncoderInfo(
            name=provider.model,
            fingerprint=self.fingerprint_of(dimension),
            runtime="api",
            precision="fp32",
            dimension=dimension,
            normalized=True,
            max_tokens=provider.max_tokens,
        )

    @classmethod
    async def load(cls, provider: Provider, calls: ApiCalls, options: ApiOptions) -> "ApiBackend":
        """Asks the API for a first vector, which shows that the key and the model's name are right.

        Raises:
            FailedPrecondition, Overloaded, Unavailable: As `ApiCalls.call`.
        """

        async def first() -> NDArray[np.float32]:
            return await provider.embed(["dimension"], Role.QUERY, truncate=True)

        vectors = await calls.call(first, tokens=1, bulk=False, deadline=None)
        return cls(provider, calls, options, vectors.shape[1])

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
        """Embeds texts, as `EmbeddingBackend.embed` says; each failure of the API is one of `ApiCalls.call`.

        No API gives the vectors of tokens, or sparse ones.
        """
        start = asyncio.get_running_loop().time()
        if truncate and not self._provider.cuts_texts:
            texts = [estimates.cut(text, self.info.max_tokens) for text in texts]
        counts = [min(estimates.token_count(text), self.info.max_tokens) for text in texts]
        runs = estimates.batches(counts, max_texts=self._provider.batch_texts, max_tokens=self._batch_tokens)
        tokenized = asyncio.get_running_loop().time()

        def sender(run: range) -> Callable[[], Awaitable[NDArray[np.float32]]]:
            async def send() -> NDArray[np.float32]:
                vectors = await self._provider.embed([texts[index] for index in run], role, truncate=truncate)
                return self._checked(vectors, len(run))

            return send

        tasks = [
            asyncio.ensure_future(
                self._calls.call(
                    sender(run),
                    tokens=sum(counts[index] for index in run),
                    bulk=priority is Priority.BULK,
                    deadline=deadline,
                )
            )
            for run in runs
        ]
        try:
            vectors = np.concatenate(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
        return Encoded(
            vectors=vectors,
            token_counts=counts,
            tokenize_seconds=tokenized - start,
            queue_seconds=0.0,
            compute_seconds=asyncio.get_running_loop().time() - tokenized,
        )

    def fingerprint_of(self, dimension: int) -> str:
        """Identity of vectors of so many numbers: provider, model and dimension."""
        identity = f"{self._provider.name}\n{self._provider.model}\n{dimension}"
        return hashlib.sha256(identity.encode()).hexdigest()

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says about where tokens start; see `estimates`."""
        return [estimates.token_starts(text) for text in texts]

    async def read_shares(self, texts: Sequence[str]) -> list[float]:
        """Says nothing: the model's tokens are not shown."""
        return []

    async def close(self) -> None:
        """Closes the connections."""
        await self._provider.close()

    def _checked(self, vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        if vectors.shape != (count, self.info.dimension):
            raise ApiFailure(f"{vectors.shape} numbers where {(count, self.info.dimension)} were expected")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise ApiFailure("a vector that is zero or not finite")
        normalized: NDArray[np.float32] = vectors / lengths
        return normalized
