"""Texts to one vector per token, for late interaction."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from trivium_encoders.coding import Coding
from trivium_encoders.description import Family
from trivium_encoders.loading import Engine, load_engine, text_items
from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority, Role
from trivium_encoders.pooling import TokenHead
from trivium_encoders.punctuation import punctuation_ids, telling
from trivium_encoders.runtimes.base import Item
from trivium_encoders.token_codes import CodeForm


@dataclass(frozen=True, slots=True)
class TokenMatrix:
    """The tokens of one text: all but special ones, or those that a model trained for it compares."""

    token_ids: NDArray[np.int32]
    """`[tokens]`, ids in the model's vocabulary."""
    vectors: NDArray[np.float32]
    """`[tokens, dimension]`, rows of unit length."""


@dataclass(frozen=True, slots=True)
class TokenMatrices:
    """The tokens of some texts, and where the time went."""

    matrices: list[TokenMatrix]
    """One per text, in the order of the texts."""
    token_counts: list[int]
    """Tokens of each text as the model read it: prompt and special tokens included, after cutting."""
    tokenize_seconds: float
    """Time spent tokenising, waiting for a thread included."""
    queue_seconds: float
    """Time until the first of the texts was being computed."""
    compute_seconds: float
    """Time from then until the last was done."""


class TokenEncoder:
    """A late-interaction encoder, loaded and warm.

    Any sentence embedding model serves: its token embeddings, normalised, stand in for a trained head. A model that was
    trained for late interaction has layers for it, and its files say how queries are filled up and which tokens are
    left out. Made by `load`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.info: EncoderInfo = dataclasses.replace(engine.info, normalized=True)
        """The model's description."""
        self.is_trained = engine.description.late is not None
        """Whether the model was trained for late interaction, and so says itself which tokens are compared."""
        self._runs_own_modules = self.is_trained and bool(engine.description.head_obstacle)
        self._punctuation = np.empty(0, np.int32) if self.is_trained else punctuation_ids(engine.tokenizer)

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "TokenEncoder":
        """Loads and warms a model; arguments and errors as for `TextEncoder.load`."""
        engine = await load_engine(options, output=Family.TOKEN, head=TokenHead, registry=registry, service=service)
        return cls(engine)

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._engine.batcher.healthy

    def coding(self, form: CodeForm) -> Coding:
        """Packs the tokens of documents."""
        return Coding(form, self.info.token_fingerprint, self._punctuation)

    def telling(self, matrix: TokenMatrix) -> TokenMatrix:
        """The tokens that take part: those that a code would keep."""
        kept = telling(matrix.token_ids, self._punctuation)
        return TokenMatrix(matrix.token_ids[kept], matrix.vectors[kept])

    async def encode(
        self,
        texts: Sequence[str],
        *,
        role: Role = Role.DOCUMENT,
        truncate: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> TokenMatrices:
        """Encodes texts token by token; arguments and errors as for `TextEncoder.encode`."""
        items, tokenize_seconds = await text_items(self._engine, texts, role=role, truncate=truncate, priority=priority)
        if not items:
            return TokenMatrices([], [], tokenize_seconds, 0.0, 0.0)
        done = await self._engine.batcher.run(items, priority=priority, deadline=deadline)
        matrices = [self._matrix(item, result.values) for item, result in zip(items, done.results, strict=True)]
        counts = [item.length for item in items]
        return TokenMatrices(matrices, counts, tokenize_seconds, done.queue_seconds, done.compute_seconds)

    def _matrix(self, item: Item, result: NDArray[np.float32]) -> TokenMatrix:
        if self._runs_own_modules:
            return TokenMatrix(result[:, 0].astype(np.int32), result[:, 1:])
        compared = self._engine.reader.compared(item)
        return TokenMatrix(item.tokens.ids[compared], result[compared])

    async def close(self) -> None:
        """Fails what still waits, lets running batches end, and frees the workers."""
        await self._engine.close()
