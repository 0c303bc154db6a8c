"""How surely a sentence rests on a text: by its words, and by what must not differ: numbers, names, denials.

A sentence is held to the piece of the text (a sentence, a row, an item) that shares most of its words, the pieces
around it and the headings above. Words may differ, as they do where something is said in other words. A number or a
name that is not there, a denial on one side only, or the opposite of a word, takes most of the support away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from trivium_evidence.pieces import Piece, pieces
from trivium_evidence.statements import Statement, says_opposite, statement_of
from trivium_evidence.terms import is_function_term, terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUPPORTED = 0.6
"""Support from which on a sentence counts as supported."""
WEAK = 0.4
"""Support under which it counts as unsupported."""

_FUNCTION_TERM_WEIGHT = 0.15
# A word beside the piece that says the most, or above it, counts for this share.
_NEAR_SHARE = 0.8
# So much is left of the support where something that matters differs.
_WITHOUT_NUMBER = 0.3
_WITHOUT_NAME = 0.5
_DENIED = 0.3
# Pieces that share about as many words are tried all.
_AS_GOOD = 0.01
# Statements that share so much of their words are held to each other denial by denial and number by number.
_THE_SAME = 0.8
# What stands between the items of a list that is quoted in one sentence; of fewer parts it is a sentence.
_PARTS = re.compile(r"(?<=[:：])\s|[;；]\s?")
_LEAST_PARTS = 3
# Texts of more pieces than this are compared by their first ones: passages have about ten.
_MOST_PIECES = 200


_UNDER_HEAD = re.compile(r"[ \t]{0,20}\n[ \t]{0,20}\|?[ \t]{0,3}:?--")


class Verdict(StrEnum):
    """What becomes of a sentence."""

    SUPPORTED = "supported"
    WEAK = "weak"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Support:
    """How surely a sentence rests on a text.

    Attributes:
        score: From 0 to 1.
        piece: What of the text supports it most; None if the text has nothing.
        agreement: What part of the support is left by all that must not differ, from above 0 to 1.
    """

    score: float
    piece: Piece | None
    agreement: float = 1.0

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        if self.score >= SUPPORTED:
            return Verdict.SUPPORTED
        return Verdict.WEAK if self.score >= WEAK else Verdict.UNSUPPORTED

    def weighed(self, estimate: float, share: float) -> Support:
        """The same, with a model's estimate for a share of what words say. What must not differ still must not.

        Args:
            estimate: How likely the text supports the sentence, from 0 to 1.
            share: How much of the support it makes, from 0 to 1.
        """
        by_words = self.score / self.agreement
        return replace(self, score=self.agreement * ((1 - share) * by_words + share * estimate))


NO_SUPPORT = Support(0.0, None)


class Evidence:
    """A text that sentences may rest on; prepared once, asked often.

    Args:
        text: The text. What is found in it is told by offsets in it.
        above: What stands above it and belongs to each of its sentences: title, headings, names of columns.
    """

    def __init__(self, text: str, above: Iterable[str] = ()) -> None:
        self._text = text
        self._above_text = "\n".join(above)

    def support(self, claim: str) -> Support:
        """How surely a sentence rests on this text. A sentence that states nothing, as a mark alone, has no support.

        One that names several things after each other, as the items of a list, is supported where each of them is.
        """
        whole = self._support(claim)
        parts = [part for part in _PARTS.split(claim) if terms(part)]
        if len(parts) < _LEAST_PARTS or whole.verdict is Verdict.SUPPORTED:
            return whole
        weakest = min(map(self._support, parts), key=lambda one: one.score)
        return max(whole, replace(weakest, piece=whole.piece), key=lambda one: one.score)

    def _support(self, claim: str) -> Support:
        stated = statement_of(claim)
        weights = {term: _FUNCTION_TERM_WEIGHT if is_function_term(term) else 1.0 for term in stated.terms}
        if not weights or not self._pieces:
            return NO_SUPPORT
        total = sum(weights.values())
        covered = [self._covered(place, weights) / total for place in range(len(self._pieces))]
        most = max(covered)  # of others, beside it, the words around would hide where it differs
        scored = [
            Support(min(1.0, score * agreement), self._pieces[place], agreement)
            for place, score in enumerate(covered)
            if score >= most - _AS_GOOD
            for agreement in (self._agreement(place, stated),)
        ]
        return max(scored, key=lambda one: one.score)

    @cached_property
    def _pieces(self) -> Sequence[Piece]:
        return pieces(self._text)[:_MOST_PIECES]

    @cached_property
    def _statements(self) -> Sequence[Statement]:
        return [statement_of(piece.text) for piece in self._pieces]

    @cached_property
    def _own(self) -> Sequence[frozenset[str]]:
        return [frozenset(one.terms) for one in self._statements]

    @cached_property
    def _above(self) -> Statement:
        return statement_of(self._above_text)

    @cached_property
    def _beside(self) -> Sequence[Sequence[int]]:
        """What belongs to each piece beside it: its neighbours; for the row of a table only its head."""
        found: list[Sequence[int]] = []
        head: int | None = None
        last = len(self._pieces) - 1
        for place, piece in enumerate(self._pieces):
            if piece.is_row:
                if _UNDER_HEAD.match(self._text, piece.end):
                    head = place
                found.append([] if head is None or head == place else [head])
            else:
                head = None
                found.append([other for other in (place - 1, place + 1) if 0 <= other <= last])
        return found

    @cached_property
    def _near(self) -> Sequence[frozenset[str]]:
        """The terms beside each piece and above all of them."""
        above = frozenset(self._above.terms)
        return [above.union(*(self._own[other] for other in beside)) for beside in self._beside]

    def _covered(self, place: int, weights: dict[str, float]) -> float:
        own, near = self._own[place], self._near[place]
        return sum(
            weight * (1.0 if term in own else _NEAR_SHARE if term in near else 0.0) for term, weight in weights.items()
        )

    def _agreement(self, place: int, stated: Statement) -> float:
        """What part of the support stays, by all that must not differ."""
        piece = self._statements[place]
        says_the_same = _shared(stated, piece) >= _THE_SAME
        around = [self._above, piece]
        if not says_the_same:
            around += [self._statements[other] for other in self._beside[place]]
        share = 1.0
        if not stated.numbers <= frozenset().union(*(one.numbers for one in around)):
            share *= _WITHOUT_NUMBER
        if not stated.names <= self._own[place] | self._near[place]:
            share *= _WITHOUT_NAME
        denied = says_the_same and stated.denial_count != piece.denial_count
        if denied or _contradicts(stated, piece):
            share *= _DENIED
        return share


def _shared(claim: Statement, piece: Statement) -> float:
    """What part of their telling words two statements share."""
    own, other = ({term for term in one.terms if not is_function_term(term)} for one in (claim, piece))
    return len(own & other) / (len(own | other) or 1)


def _contradicts(claim: Statement, piece: Statement) -> bool:
    """Whether one denies what the other states, or says the opposite of one of its words."""
    stated, found = frozenset(claim.terms), frozenset(piece.terms)
    denies_more = any(term in found and term not in piece.denied for term in claim.denied)
    denies_less = any(term in stated and term not in claim.denied for term in piece.denied)
    alone = claim.denial_count > 0 and piece.denial_count == 0
    others = piece.words - claim.words
    opposite = any(says_opposite(word, others) for word in claim.words - piece.words)
    return denies_more or denies_less or alone or opposite


def supported_by(claim: str, texts: Sequence[Evidence]) -> tuple[int, Support] | None:
    """Which of some texts supports a sentence most, and how surely; None if it states nothing or none does at all."""
    found = [(place, text.support(claim)) for place, text in enumerate(texts)] if terms(claim) else []
    best = max(found, key=lambda one: one[1].score, default=None)
    return best if best is not None and best[1].score > 0 else None
