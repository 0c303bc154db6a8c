"""A query and passages, read together, to scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of some passages, and where the time went."""

    scores: NDArray[np.float32]
    """`[passages]`, each in [0, 1], in the order of the passages."""
    token_count: int
    """Tokens that the model read, over all pairs."""
    tokenize_seconds: float
    """Time spent tokenising, waiting for a thread included."""
    queue_seconds: float
    """Time until the first of the pairs was being computed."""
    compute_seconds: float
    """Time from then until the last was done."""


class PairScorer:
    """A cross-encoder, loaded and warm."""

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "PairScorer":
        """Loads and warms a cross-encoder; arguments and errors as for `TextEncoder.load`."""
        raise NotImplementedError

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        raise NotImplementedError

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        raise NotImplementedError

    async def score(
        self,
        query: str,
        texts: Sequence[str],
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> Scored:
        """Judges each passage against the query; pairs that are too long lose tokens of the longer side.

        Args:
            query: What is asked.
            texts: The passages; none gives an empty result.
            priority: Which waiting work goes first.
            deadline: In seconds on the event loop's clock (`loop.time()`); work that still waits then is dropped.

        Raises:
            DeadlineExpired, EncoderFailed, EncoderUnavailable, EncoderClosed: As for `TextEncoder.encode`.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Fails what still waits, lets running batches end, and frees the workers."""
        raise NotImplementedError
