"""What a call hands in to be judged."""

from dataclasses import dataclass

from trivium_encoders import TokenCodes


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage to judge."""

    text: str
    """Its text; a blank one scores 0."""
    codes: TokenCodes | None = None
    """Its tokens' vectors, if they came along; those of another model are of no use."""
    search_score: float = 0.0
    """Its score by the search that found it, on any scale that all passages of the call share."""
