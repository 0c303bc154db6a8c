"""The indexes of a collection: the one that answers, and the one beside it while its embedding model is changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from trivium_gateway.domain.settings import LATE

__all__ = ["IndexBeside", "IndexMaking", "IndexRole"]


class IndexRole(StrEnum):
    """What the index beside the one that answers is there for."""

    NEXT = "next"
    """It is filled, to take the other's place."""
    PREVIOUS = "previous"
    """It answered before, and can again."""
    LEFT = "left"
    """It answered for a while and was gone back from; what it alone has is brought back."""


@dataclass(frozen=True, slots=True)
class IndexMaking:
    """What an index is made with.

    Attributes:
        model: Name of the embedding model.
        fingerprint: The model's fingerprint.
        dimension: Numbers per vector.
        analyzer: Version of the analyzer of words.
        generation: Tells it from others that are made alike; empty for the first.
        language: The language that the analyzer goes by where a text does not tell; empty for English.
        chunking: How its documents were cut by the collection's own settings; see `CollectionSettings.chunking`.
        learned: Fingerprint of the model of its learned sparse vectors; empty if it has none.
    """

    model: str
    fingerprint: str
    dimension: int
    analyzer: int
    generation: str = ""
    language: str = ""
    chunking: str = ""
    learned: str = ""

    @property
    def late_chunking(self) -> bool:
        """Whether its pieces were embedded by late chunking, and those to come will be."""
        return bool(self.chunking) and LATE in json.loads(self.chunking)

    @property
    def vectors(self) -> str:
        """Identity of its vectors, 64 hexadecimal digits.

        It is the model's fingerprint, unless late chunking made them or there are learned sparse ones beside them.
        """
        parts = [self.chunking if self.late_chunking else "", self.learned]
        if not any(parts):
            return self.fingerprint
        return hashlib.sha256("\n".join([self.fingerprint, *filter(None, parts)]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class IndexBeside:
    """The other index of a collection. Who deletes or says who may read does so in both.

    Attributes:
        role: What it is there for.
        made: What it is made with, which also gives its name.
        is_settled: Of a previous one, whether the one that answers has all that was written to it.
    """

    role: IndexRole
    made: IndexMaking
    is_settled: bool = False

    def to_text(self) -> str:
        """As it is kept."""
        kept = asdict(self)
        for name in ("language", "chunking", "learned"):
            if not kept["made"][name]:
                del kept["made"][name]  # a gateway of an earlier version does not understand it
        return json.dumps(kept)

    @classmethod
    def from_text(cls, text: str) -> IndexBeside | None:
        """Read what was kept; None if there is nothing, or nothing that this version understands."""
        try:
            kept = json.loads(text)
            return cls(IndexRole(kept["role"]), IndexMaking(**kept["made"]), bool(kept["is_settled"]))
        except (ValueError, TypeError, KeyError):
            return None
