"""What tells whether passages answer a question: how much of it they cover, and what of it they lack.

All signs are numbers that compare between questions. Those of words stand here; who has vectors adds its own.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_evidence.answer_types import answer_type
from trivium_evidence.sentences import is_question, split_passages
from trivium_evidence.statements import Statement, says_opposite, statement_of
from trivium_evidence.terms import BEGINNING, is_function_term, terms, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_evidence.sentences import Sentence

COMPARED = 5
"""By so many texts it is known which words are rare; the coefficients were fitted on as many passages."""
_MOST_SENTENCES = 200
# Words that hold a question together say little about what it asks for.
_FUNCTION_TERM_WEIGHT = 0.15
# What sentences are compared by to find the one that answers, as extractive answers do.
_SENTENCE_WEIGHT = 6.5
_CONTEXT_WEIGHT = 4.0
_NEAR_WEIGHT = 0.6
_TYPE_WEIGHT = 1.7
_QUESTION_PENALTY = 8.0
_FIRST_PASSAGE = 0.5
# A form of a word counts for so much of the word.
_ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class Read:
    """A passage, as it is read for signs.

    Attributes:
        text: Its text.
        title: What stands above it: its document's title and its headings.
    """

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a model finds a passage to a question; None where it did not look.

    Attributes:
        dense: Cosine of their vectors.
        maxsim: How near each token of the question comes to some of the passage's, the mean of the cosines.
        weighted_maxsim: The same, weighted by how rare the tokens are among what was found.
    """

    dense: float | None = None
    maxsim: float | None = None
    weighted_maxsim: float | None = None


# A passage that vectors did not bring up is no nearer than about this.
_UNSEEN_DENSE = 0.2


def signs_of_passage(near: Nearness, coverage: float) -> dict[str, float]:
    """The signs of one passage.

    Args:
        near: By vectors.
        coverage: Of `coverages`.
    """
    return {
        "dense": _UNSEEN_DENSE if near.dense is None else near.dense,
        "maxsim": near.maxsim or 0.0,
        "weighted_maxsim": near.weighted_maxsim or 0.0,
        "coverage": coverage,
    }


def signs_of_vectors(near: Sequence[Nearness]) -> dict[str, float]:
    """The signs of vectors: whether some passages, best first and at least one, answer a question."""
    each = [signs_of_passage(one, 0.0) for one in near]
    return {
        **{f"{name}_of_first": each[0][name] for name in ("dense", "maxsim", "weighted_maxsim")},
        **{name: max(one[name] for one in each) for name in ("dense", "maxsim", "weighted_maxsim")},
    }


class Asked:
    """A question, and how much each of its terms tells.

    Args:
        question: The question.
        texts: The terms of each sentence that was found; a term that few of them have, or none, tells most. The fewer
            there are below five, the more alike they tell: of one text nothing is rare.
    """

    def __init__(self, question: str, texts: Sequence[frozenset[str]]) -> None:
        counts = Counter(term for text in texts for term in text)
        total = len(texts)
        all_terms = list(dict.fromkeys(terms(question)))
        asked = [term for term in all_terms if not _says_nothing(term)] or all_terms
        rarity = {term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5)) for term in asked}
        telling = [one for term, one in rarity.items() if not is_function_term(term)]
        trust = min(1.0, total / COMPARED)
        alike = (1 - trust) * sum(telling) / (len(telling) or 1)
        self.weights = {
            term: _FUNCTION_TERM_WEIGHT * one if is_function_term(term) else trust * one + alike
            for term, one in rarity.items()
        }
        self._total = sum(self.weights.values()) or 1.0

    def covered(self, found: frozenset[str]) -> float:
        """What part of the question some terms cover, from 0 to 1."""
        return sum(weight for term, weight in self.weights.items() if term in found) / self._total

    def nearly_covered(self, found: frozenset[str]) -> float:
        """The same, a term that begins as one of them does counting for the most part: establish, establishment."""
        begun = {term[:BEGINNING] for term in found}
        near = (
            weight * (1.0 if term in found else _ALIKE)
            for term, weight in self.weights.items()
            if term in found or (len(term) >= BEGINNING and term[:BEGINNING] in begun)
        )
        return sum(near) / self._total

    def missing(self, found: frozenset[str]) -> int:
        """How many of its telling terms are not among some."""
        return sum(term not in found and not is_function_term(term) for term in self.weights)

    def largest_missing(self, found: frozenset[str]) -> float:
        """How much the most telling term tells that is not among some, beside the most telling one of all."""
        largest = max(self.weights.values(), default=0.0)
        missing = max((weight for term, weight in self.weights.items() if term not in found), default=0.0)
        return missing / largest if largest else 0.0


def _says_nothing(term: str) -> bool:
    # A Chinese character alone is never found: what stands together in texts gives pairs.
    return term in _QUESTION_TERMS or (len(term) == 1 and "\u3400" <= term <= "\u9fff")


def coverages(question: str, passages: Sequence[Read]) -> list[float]:
    """What part of a question's telling words each passage has, best first; which of them tell is seen by the first."""
    found = [frozenset(terms(f"{one.title} {one.text}")) for one in passages]
    asked = Asked(question, found[:COMPARED])
    return [asked.covered(one) for one in found]


def signs_of(question: str, passages: Sequence[Read], spaced: str = "") -> dict[str, float]:
    """The signs of words: whether some passages answer a question.

    Args:
        question: The question.
        passages: What was found for it, best first.
        spaced: The same with spaces between its words, if its language writes none: else pairs of characters are
            missed that belong to two words and stand together in no text.

    Returns:
        The signs by name; empty if there is no sentence in the passages.
    """
    sentences = split_passages([one.text for one in passages], [one.title for one in passages])[:_MOST_SENTENCES]
    if not sentences:
        return {}
    own = [frozenset(terms(one.text)) for one in sentences]
    above = [frozenset(terms(one.title)) for one in passages]
    asked = Asked(spaced or question, own)
    near = [_around(sentences, own, place) | above[one.passage] for place, one in enumerate(sentences)]
    holds, kind = answer_type(question)
    ranked = sorted(
        (_score(asked, holds(one.text), one, own[place], above[one.passage], near[place]), -place)
        for place, one in enumerate(sentences)
    )
    score, place = ranked[-1][0], -ranked[-1][1]
    best = sentences[place]
    whole = _of_passage(sentences, own, best.passage) | above[best.passage]
    everything = frozenset().union(*own, *above)
    stated = statement_of(question)
    here = statement_of(best.text)
    around = statement_of(_texts(sentences, place))
    of_passage = statement_of(passages[best.passage].text)
    pairs = _pairs(terms(question))
    signs = {
        "covered_by_sentence": asked.covered(own[place] | above[best.passage] | frozenset(terms(best.heading))),
        "covered_near": asked.covered(near[place]),
        "covered_by_passage": asked.covered(whole),
        "covered_by_all": asked.covered(everything),
        "largest_missing": asked.largest_missing(own[place] | above[best.passage]),
        "largest_missing_of_passage": asked.largest_missing(whole),
        "missing_near": min(6.0, asked.missing(near[place])),
        "missing_of_all": min(5.0, asked.missing(everything)),
        "sentence_score": score,
        "margin": min(3.0, score - ranked[-2][0]) if len(ranked) > 1 else 1.0,
        "length": min(20.0, len(asked.weights)),
        "pairs_of_passage": _share(pairs, _pairs(terms(passages[best.passage].text))),
        "pairs_of_sentence": _share(pairs, _pairs(terms(best.text))),
        "name_missing": min(3.0, _missing_names(question, stated, near[place])),
        "number_missing": float(not stated.numbers <= here.numbers),
        "number_missing_of_passage": float(not stated.numbers <= of_passage.numbers),
        "number_asked": float(bool(stated.numbers)),
        "denial_asked": float(stated.denial_count > 0),
        "denial_asked_only": float(stated.denial_count > 0 and here.denial_count == 0),
        "denial_found_only": float(stated.denial_count == 0 and here.denial_count > 0),
        "nearly_covered_by_sentence": asked.nearly_covered(own[place] | above[best.passage]),
        "nearly_covered_near": asked.nearly_covered(near[place]),
        "nearly_covered_by_passage": asked.nearly_covered(whole),
        "nearly_covered_by_all": asked.nearly_covered(everything),
        "opposite": float(_has_opposite(stated, around)),
        "opposite_of_passage": float(_has_opposite(stated, of_passage)),
        "type_missing": float(bool(kind) and not holds(best.text)),
    }
    for one in ("date", "number", "name", "reason"):
        signs[f"type_missing_{one}"] = float(kind == one and not holds(best.text))
    return signs


def _score(
    asked: Asked, holds: bool, sentence: Sentence, own: frozenset[str], above: frozenset[str], near: frozenset[str]
) -> float:
    covered = asked.covered(own)
    context = asked.covered(own | above | frozenset(terms(sentence.heading)))
    return (
        _SENTENCE_WEIGHT * covered
        + _CONTEXT_WEIGHT * (context - covered)
        + _NEAR_WEIGHT * (asked.covered(near) - covered)
        + _TYPE_WEIGHT * holds
        - _QUESTION_PENALTY * is_question(sentence.text)
        + _FIRST_PASSAGE * (sentence.passage == 0)
    )


def _around(sentences: Sequence[Sentence], own: Sequence[frozenset[str]], place: int) -> frozenset[str]:
    passage = sentences[place].passage
    rows = range(max(0, place - 1), min(len(own), place + 2))
    return frozenset().union(*(own[row] for row in rows if sentences[row].passage == passage))


def _of_passage(sentences: Sequence[Sentence], own: Sequence[frozenset[str]], passage: int) -> frozenset[str]:
    return frozenset().union(*(own[row] for row, one in enumerate(sentences) if one.passage == passage))


def _texts(sentences: Sequence[Sentence], place: int) -> str:
    passage = sentences[place].passage
    return " ".join(one.text for one in sentences[max(0, place - 1) : place + 2] if one.passage == passage)


def _missing_names(question: str, stated: Statement, found: frozenset[str]) -> float:
    first = frozenset(terms(question.split(maxsplit=1)[0])) if question.split() else frozenset()
    return float(sum(name not in found for name in stated.names - first))


def _has_opposite(question: Statement, found: Statement) -> bool:
    return any(says_opposite(word, found.words) for word in question.words - found.words)


def _pairs(found: Sequence[str]) -> frozenset[tuple[str, str]]:
    return frozenset(itertools.pairwise(found))


def _share(wanted: frozenset[tuple[str, str]], found: Iterable[tuple[str, str]]) -> float:
    return len(wanted & frozenset(found)) / (len(wanted) or 1)


_QUESTION_TERMS = frozenset(
    term
    for word in words_of(
        """
        what which who whom whose when where why how name many much did do does was were is are year type kind
        什么 哪些 哪个 多少 谁 何时 哪里 怎么 为什 么样 如何 几个 是什 是谁 哪年 是哪 多久 多长 几天 几年 哪儿 哪天 在哪
        """
    )
    for term in terms(word)
)
