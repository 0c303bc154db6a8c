"""What a backend has to do."""

import enum
from collections.abc import Sequence
from typing import Protocol

from trivium_encoders import EncoderInfo, Scored, TokenCodes

from trivium_rerank.passages import Passage


class ScoreKind(enum.Enum):
    """What a score means beyond the order it gives."""

    RELEVANCE = "relevance"
    """The model's own estimate of relevance, comparable between queries."""
    SIMILARITY = "similarity"
    """A similarity that is comparable only among the passages of one call."""
    ENTAILMENT = "entailment"
    """How likely it is that the query, a statement, follows from the passage."""


class RerankBackend(Protocol):
    """Judges passages with one model. Loaded and warm from the moment it exists."""

    @property
    def name(self) -> str:
        """The backend's name, as the settings know it."""

    @property
    def score_kind(self) -> ScoreKind:
        """What its scores mean."""

    @property
    def needs_texts(self) -> bool:
        """Whether it reads texts of passages whose codes it takes, too."""

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""

    @property
    def healthy(self) -> bool:
        """Whether it can judge now."""

    def takes(self, codes: TokenCodes) -> bool:
        """Whether it judges by such codes: those of its own model."""

    def unread(self, query: str, passages: Sequence[Passage], places: int = 0) -> Sequence[str]:
        """The texts that a call makes the model read, about: all but what is kept, being computed, or not needed."""

    async def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        places: int = 0,
        deadline: float | None,
    ) -> Scored:
        """Judges passages. Cancelling the awaiting task takes the work out of the queue.

        Args:
            query: What is asked; not blank. A longer one than the model reads is cut.
            passages: None of them blank, but for those with codes that serve in place of it. Longer ones than the model
                reads are cut.
            query_codes: The vectors of the query's tokens, if they came along; those of another model are of no use.
            places: How many of the best matter; 0 for all.
            deadline: When to give up, on the event loop's clock in seconds; None for never.

        Returns:
            Scores in [0, 1], in the order of the passages, and where the time went. NaN for a passage that was left
            out, since it hardly reaches the places that matter.

        Raises:
            DeadlineExceeded: The deadline passed while the work waited.
            Unavailable: What computes broke down, and is being replaced.
        """

    async def close(self) -> None:
        """Fails what waits, and frees everything."""
