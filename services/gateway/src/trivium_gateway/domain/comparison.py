"""What a new index of a collection finds, against the one before it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["IndexComparison"]


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """How two indexes answer the same questions, by nDCG@10 of the documents that answer them.

    Attributes:
        model_before: The model of the index that answers.
        model_after: That of the new one.
        made_count: Questions that were made of the collection's own documents.
        labelled_count: Questions whose documents people have named.
        before: Mean of the first.
        after: Mean of the new one.
        low: Lower end of the 95% interval of the difference.
        high: Upper end.
        failed_count: Documents that the new index cannot take.
        failed: Some of them, each with the reason.
    """

    model_before: str
    model_after: str
    made_count: int
    labelled_count: int
    before: float
    after: float
    low: float
    high: float
    failed_count: int = 0
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def is_worse(self) -> bool:
        """Whether the new one finds less, by more than chance, or lacks documents."""
        return self.high < 0 or self.failed_count > 0

    def to_text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> IndexComparison | None:
        """Read what was kept; None if there is nothing, or nothing that this version understands."""
        try:
            kept = json.loads(text)
            return cls(**{**kept, "failed": tuple((str(one), str(why)) for one, why in kept["failed"])})
        except (ValueError, TypeError, KeyError):
            return None
