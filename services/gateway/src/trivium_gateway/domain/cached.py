"""What of an answer came from a cache."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cached:
    """What of an answer was not made anew.

    Attributes:
        retrieval: Whether the passages were found for an earlier question.
        answer: Whether the text was written for an earlier question, of the same passages.
        similar_question: That question, if it is another one that means the same; else empty.
    """

    retrieval: bool = False
    answer: bool = False
    similar_question: str = ""


NOTHING_CACHED = Cached()
"""All of it was made anew."""
