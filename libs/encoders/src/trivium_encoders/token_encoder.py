"""Texts to one vector per token, for late interaction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority, Role


@dataclass(frozen=True, slots=True)
class TokenMatrix:
    """The tokens of one text, special tokens left out."""

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

    Any sentence embedding model serves: its token embeddings, normalised, stand in for a trained head (transformer,
    mask, normalise). A model that was trained for late interaction runs with its own modules.
    """

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "TokenEncoder":
        """Loads and warms a model; arguments and errors as for `TextEncoder.load`."""
        raise NotImplementedError

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        raise NotImplementedError

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        raise NotImplementedError

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
        raise NotImplementedError

    async def close(self) -> None:
        """Fails what still waits, lets running batches end, and frees the workers."""
        raise NotImplementedError
