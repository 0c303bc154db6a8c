"""A query and passages, read together, to scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from trivium_encoders.description import Family
from trivium_encoders.loading import Engine, EngineOwner, load_engine
from trivium_encoders.options import EncoderOptions, Priority, Role
from trivium_encoders.pooling import ScoreHead
from trivium_encoders.runtimes.base import Item, Source
from trivium_encoders.tokenization import TokenIds


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of some passages, and where the time went."""

    scores: NDArray[np.float32]
    """`[passages]`, each in [0, 1], in the order of the passages."""
    token_counts: Sequence[int]
    """Tokens that the model read: of each pair, or of the query and each passage where it reads them apart."""
    tokenize_seconds: float
    """Time spent tokenising, waiting for a thread included."""
    queue_seconds: float
    """Time until the first of the pairs was being computed."""
    compute_seconds: float
    """Time from then until the last was done."""
    maxsim: NDArray[np.float32] | None = None
    """`[passages]`, where tokens are compared: how near each token of the query comes to some of the passage's, the
    mean of the cosines."""

    @property
    def token_count(self) -> int:
        """Tokens that the model read, all together."""
        return sum(self.token_counts)


class PairScorer(EngineOwner):
    """A cross-encoder, loaded and warm. Made by `load`.

    Attributes:
        infers: Whether it is a model for natural language inference, whose score is how likely it is that the query, a
            statement, follows from the passage; else how relevant the passage is.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.infers = engine.description.entailment_label is not None

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "PairScorer":
        """Loads and warms a cross-encoder; arguments and errors as for `TextEncoder.load`."""
        engine = await load_engine(options, output=Family.PAIR, head=ScoreHead, registry=registry, service=service)
        return cls(engine)

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

        def tokenize(piece: Sequence[str]) -> list[TokenIds]:
            return self._engine.tokenizer.encode_pairs(query, piece, query_last=self.infers)

        tokens, tokenize_seconds = await self._engine.tokenized(texts, tokenize, priority)
        if not tokens:
            return Scored(np.empty(0, np.float32), [], tokenize_seconds, 0.0, 0.0)
        items = [
            Item(ids, Source(text[: ids.characters], Role.DOCUMENT, query=query))
            for ids, text in zip(tokens, texts, strict=True)
        ]
        done = await self._engine.batcher.run(items, priority=priority, deadline=deadline)
        token_counts = [item.length for item in items]
        scores = np.concatenate([result.values for result in done.results])
        return Scored(scores, token_counts, tokenize_seconds, done.queue_seconds, done.compute_seconds)
