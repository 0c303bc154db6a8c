"""Whether what a question names is named in what was found: what no passage names is in none of the documents.

Only what is a name for sure counts: letters with digits (KX-900), capitals within a word (ThinkPad), and, in English,
whose other words have none, words with a capital that do not begin the question (Salesforce). Abbreviations are left
out, since texts may write them out.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from trivium_evidence.statements import identifiers_in
from trivium_evidence.terms import is_function_term, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ANOTHER", "share_of_absent_names", "without_names"]

_LETTER = r"[^\W\d_\u3400-\u9fff]"
_WORD = re.compile(rf"{_LETTER}+(?:['’-]{_LETTER}+)*")
_ENGLISH = re.compile(r"\b(?:what|which|who|whose|how|does|is|are|can|when|where|why|did|the|of|and)\b", re.IGNORECASE)
_GERMAN = re.compile(r"\b(?:der|die|das|den|dem|ist|sind|und|wie|wer|wann|wo|welche[rsnm]?|ein|eine[rsnm]?|für|von)\b")
_WITHIN = re.compile(r"[a-z][A-Z]")
_PLAIN = re.compile(r"[A-Z][a-z]{2,}")
_LETTERS = re.compile(r"([a-z]+)(\d+)")
_NO_MARKS = re.compile(r"[\W_]+")
# Of a title in capitals nobody knows which words are names: of so many longer words none is without one.
_LONG_WORD = 4
_FEWEST_OF_TITLE = 3
# Terms that begin alike are forms of one name: Norman, Normans, Normandy.
_BEGINNING = 4
_LOG_ODDS_OF_ALL = 3.0
_LOG_ODDS_OF_SOME = 1.0
_LOG_ODDS_OF_ANOTHER = 10.0
ANOTHER = 2.0
"""Instead of a share: nothing that is named is there, but another of the same series, as the KX-200 for the KX-900."""


def share_of_absent_names(question: str, texts: Sequence[str]) -> float:
    """What part of the names in a question is in none of some texts, from 0 to 1; 0 for one without names.

    It is `ANOTHER` if none of them is, and the texts are about another thing of the same series.
    """
    together = " ".join(texts)
    joined = _NO_MARKS.sub("", together).lower()
    known = identifiers_in(together)
    identifiers = identifiers_in(question)
    missed = [one for one in identifiers if one not in known and (len(one) < _BEGINNING or one not in joined)]
    absent = len(missed)
    names = _names(question)
    found = frozenset(terms(together))
    begun = {term[:_BEGINNING] for term in found}
    for name in names:
        parts = terms(name)
        named = all(one in found or (len(one) >= _BEGINNING and one[:_BEGINNING] in begun) for one in parts)
        absent += not named and _NO_MARKS.sub("", name).lower() not in joined
    share = absent / (len(identifiers) + len(names) or 1)
    series = {_series(one) for one in known}
    return ANOTHER if share == 1 and any(_series(one) in series for one in missed) else share


def _series(identifier: str) -> tuple[str, int]:
    """The letters that it begins with, and how many digits follow: KX and three."""
    letters = _LETTERS.match(identifier)
    return (letters[1], len(letters[2])) if letters else (identifier, 0)


def without_names(chance: float, absent: float) -> float:
    """The chance that passages are about what a question asks for, where they lack some of its names.

    Args:
        chance: What all other signs say, from 0 to 1.
        absent: What part of the names they lack, of `share_of_absent_names`.
    """
    if not absent or not 0 < chance < 1:
        return chance
    odds = math.log(chance / (1 - chance)) - (
        _LOG_ODDS_OF_ANOTHER if absent == ANOTHER else _LOG_ODDS_OF_ALL if absent == 1 else _LOG_ODDS_OF_SOME
    )
    return 1 / (1 + math.exp(-odds))


def _names(question: str) -> frozenset[str]:
    words = _WORD.findall(question)
    plain = _ENGLISH.search(question) is not None and _GERMAN.search(question) is None
    long = [word for word in words[1:] if len(word) >= _LONG_WORD]
    if len(long) >= _FEWEST_OF_TITLE and all(word[0].isupper() for word in long):
        plain = False
    return frozenset(
        word
        for place, word in enumerate(words)
        if _WITHIN.search(word) or (plain and place and _PLAIN.fullmatch(word) and not _says_nothing(word))
    )


def _says_nothing(word: str) -> bool:
    return all(map(is_function_term, terms(word)))
