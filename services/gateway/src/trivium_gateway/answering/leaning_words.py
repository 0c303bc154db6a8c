"""The words by which a question of one language goes on, or points back, and which mean something else in another."""

from __future__ import annotations

import re

__all__ = ["GOES_ON_IN", "POINTS_IN", "points_in_german"]

GOES_ON_IN = {
    "dutch": frozenset({"en", "maar"}),
    "swedish": frozenset({"och", "men"}),
    "russian": frozenset({"а", "и", "но"}),
    "italian": frozenset({"e", "ma"}),
    "portuguese": frozenset({"e", "mas"}),
}
"""How a question begins that goes on, folded, beside the words that do so in any language."""
POINTS_IN = {
    "portuguese": frozenset(
        ["ele", "ela", "eles", "elas", "isso", "isto", "dele", "dela", "deles", "delas", "nele", "nela"]
    ),
    "italian": frozenset(["esso", "essa", "essi", "esse", "lui", "lei", "cio"]),
    "dutch": frozenset(["hij", "hem", "deze", "dit", "ervan", "daarvan"]),
    "swedish": frozenset(["han", "hon", "honom", "henne", "dess", "denna", "dessa"]),
    "russian": frozenset(
        ["он", "она", "оно", "они", "его", "ее", "ему", "ей", "них", "нем", "ней", "этот", "эта", "это", "эти"]
    ),
    "french": frozenset(["l'a", "l'ont"]),
}
"""What points back, folded."""

_GERMAN_PRONOUN = re.compile(r"\b(?:sie|es)\b")
_NOUN = re.compile(r"(?<=\s)[A-ZÄÖÜ]\w")


def points_in_german(question: str) -> bool:
    """Whether a German question has `es` or `sie`, and no noun for them: as a polite form `Sie` has a capital."""
    return bool(_GERMAN_PRONOUN.search(question)) and not _NOUN.search(question)
