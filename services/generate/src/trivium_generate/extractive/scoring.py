"""How well each sentence answers a question.

The weights were fitted on questions of SQuAD 2.0 and CMRC 2018 (softmax over the sentences of five retrieved passages,
those with the answer as positives), rounded, and the same for both languages but for the vectors', which a model that
does not read Chinese would otherwise spoil.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from trivium_evidence.answer_types import answer_type
from trivium_evidence.asked_things import asks_several, definition_test
from trivium_evidence.asking import asking_sentences
from trivium_evidence.attributes import attributes_asked
from trivium_evidence.direct_answers import amount_test, asks_money, has_cell, names_cell, names_row
from trivium_evidence.language import is_chinese
from trivium_evidence.sentences import is_question, points_back
from trivium_evidence.statements import identifiers_in
from trivium_evidence.terms import BEGINNING, inverse_frequencies, is_function_term, terms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray
    from trivium_evidence.sentences import Sentence

    from trivium_generate.answer import Passage

_OVERLAP_WEIGHT = 6.5
# What stands above a row of a table is said by none of its rows and belongs to each, and the first sentence under a
# heading often does not repeat it ("Warranty: 36 months from delivery."): there it counts as if it were said.
_CONTEXT_WEIGHT = 4.0
_NEIGHBOUR_WEIGHT = 0.6
_PASSAGE_WEIGHT = 1.0
_ANSWER_TYPE_WEIGHT = 1.7
# Beside that it is of the very kind: money, where the question is what a thing costs, and no date.
_AMOUNT_WEIGHT = 2.0
# An amount counts for one of what is asked about if its sentence has so much of the question.
_SPOKEN_OF = 0.2
_VECTOR_WEIGHT = 1.0
_VECTOR_WEIGHT_CHINESE = 0.3
# What is asked about a thing with a number in its name is said where that stands: parts of it stand at others', too.
_IDENTIFIER_WEIGHT = 2.0
# A row whose cell is that thing and no other, as a list of what fits it would be, or whose first cell names it.
_KEY_WEIGHT = 2.0
# Similarities that differ less than this are as good as equal.
_MIN_SIMILARITY_DEVIATION = 0.1
# A sentence further behind by its words hardly comes out first: with twice as much, as many answers are better as are
# worse (21 and 22 of 2,200 questions of SQuAD and CMRC), and three times as much is read.
_VECTOR_REACH = 1.0
# A question answers no question, however much it resembles it.
_QUESTION_PENALTY = 8.0
# What has no word beside those of the question and of its title is a heading: Change request PPR-9087.
_SAYS_NOTHING_PENALTY = 8.0
# What leads to a table, which is not quoted with it, says little by itself.
_LEADS_ON_PENALTY = 4.0
_LEADS_ON = (":", "：")
# A row that says of the asked column what is asked for: burn rate 6, and not 6 hours.
_CELL_WEIGHT = 2.0
# Who asks what a thing is gets the sentence that begins with it and says that.
_DEFINITION_WEIGHT = 2.0
# A sentence that points back at the one before it is about what that is about.
_POINTS_BACK_WEIGHT = 4.0
# What does not hold any more answers only if nothing else does.
_SUPERSEDED_PENALTY = 8.0


_ASKS_WHAT = re.compile(r"\b(?:what|which|who|whom|whose|when|where|why|how)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scored:
    """Sentences and what their words alone say about them.

    Attributes:
        sentences: The sentences.
        terms: The terms of each.
        above: The terms of what stands above each: its passage's title, and its heading.
        asked: The terms of the question that occur, each with its share of what is asked; the shares sum to 1.
        holds: Whether each holds the kind of thing that is asked for.
        scores: How well each answers; natural logarithms of odds, up to a constant.
        defines: Whether each says what the thing is that the question asks about.
        has_amount: Whether each has the kind of amount that is asked for: a time, a length, money.
        asks_several: Whether the question asks for more than one thing.
        asks_for_list: Whether a list as a whole may answer it: it asks for no date, number, name or reason.
        says_nothing: Whether each has no word beside those of the question and of what stands above it.
    """

    sentences: tuple[Sentence, ...]
    terms: tuple[frozenset[str], ...]
    above: tuple[frozenset[str], ...]
    asked: dict[str, float]
    holds: tuple[bool, ...]
    scores: NDArray[np.float64]
    defines: tuple[bool, ...]
    has_amount: tuple[bool, ...]
    asks_several: bool = False
    asks_for_list: bool = False
    says_nothing: tuple[bool, ...] = ()


def score_words(
    question: str,
    passages: Sequence[Passage],
    sentences: Sequence[Sentence],
    superseded: Collection[int] = frozenset(),
) -> Scored:
    """Scores sentences by the words they share with the question, their place, and the kind of thing they hold.

    Args:
        question: The question.
        passages: The passages.
        sentences: Their sentences.
        superseded: Positions of passages that others replace.
    """
    asked_attributes = attributes_asked(question)

    beginnings = {term: term[:BEGINNING] for term in terms(question) if len(term) >= BEGINNING}

    def found_in(text: str) -> frozenset[str]:
        found = frozenset(terms(text))
        begun = {term[:BEGINNING] for term in found}
        return found.union(
            (term for term, others in asked_attributes.items() if others & found),
            (term for term, beginning in beginnings.items() if beginning in begun),
        )

    own = tuple(found_in(sentence.text) for sentence in sentences)
    titles = [found_in(passage.title) for passage in passages]
    above = tuple(titles[sentence.passage] | found_in(sentence.heading) for sentence in sentences)
    weights = inverse_frequencies(terms(question), own)
    weights |= inverse_frequencies((term for term in terms(question) if term not in weights), above)
    total = sum(weights.values())
    asked = {term: weight / total for term, weight in weights.items()}

    def covered(found: frozenset[str]) -> float:
        return sum(share for term, share in asked.items() if term in found)

    neighbours = _with_neighbours(sentences, own)
    holds_answer, kind = answer_type(question)
    headings = ["", *(one.heading for one in sentences[:-1])]
    empty = _say_nothing(question, sentences, own, above)
    named = [identifiers_in(f"{passages[one.passage].title} {one.text}") for one in sentences]
    identifiers = identifiers_in(question)
    is_amount = amount_test(question)
    has_amount = tuple(
        is_amount(sentence.text) and covered(own[row] | above[row]) >= _SPOKEN_OF
        for row, sentence in enumerate(sentences)
    )
    # Any number is as good as none where a price is asked for and one is there.
    of_kind = has_amount if asks_money(question) and any(has_amount) else None
    holds = of_kind or tuple(holds_answer(sentence.text) for sentence in sentences)
    defined = tuple(map(definition_test(question), (sentence.text for sentence in sentences)))
    asked_terms = frozenset(terms(question))
    first = [bool(one.heading) and one.heading != before for one, before in zip(sentences, headings, strict=True)]
    scores = np.empty(len(sentences))
    for row, sentence in enumerate(sentences):
        overlap = covered(own[row])
        context = covered(own[row] | above[row])
        led = row > 0 and _leads(row - 1, sentences, empty)
        meant = row > 0 and (led or points_back(sentence, sentences[row - 1]))
        pointed = covered(own[row] | above[row] | own[row - 1]) - context if meant else 0.0
        names = named[row] | named[row - 1] if led else named[row]
        scores[row] = (
            _OVERLAP_WEIGHT * overlap
            + (_OVERLAP_WEIGHT if sentence.is_row or first[row] else _CONTEXT_WEIGHT) * (context - overlap)
            + _NEIGHBOUR_WEIGHT * (covered(neighbours[row]) - overlap)
            + (_OVERLAP_WEIGHT if led else _POINTS_BACK_WEIGHT) * pointed
            + _ANSWER_TYPE_WEIGHT * holds[row]
            + _AMOUNT_WEIGHT * has_amount[row]
            + _DEFINITION_WEIGHT * defined[row]
            + _CELL_WEIGHT * (sentence.is_row and names_cell(asked_terms, sentence.text))
            - _QUESTION_PENALTY * is_question(sentence.text)
            - _SAYS_NOTHING_PENALTY * empty[row]
            - _LEADS_ON_PENALTY * sentence.text.endswith(_LEADS_ON)
            - _SUPERSEDED_PENALTY * (sentence.passage in superseded)
            + _IDENTIFIER_WEIGHT * bool(identifiers & names)
            + _KEY_WEIGHT * (sentence.is_row and _is_asked_row(identifiers, asked_terms, sentence.text))
        )
    relevance = np.array([passages[sentence.passage].score for sentence in sentences])
    scores += _PASSAGE_WEIGHT * _standardized(relevance)
    several = asks_several(question)
    for_list = several or not kind
    return Scored(
        tuple(sentences), own, above, asked, holds, scores, defined, has_amount, several, for_list, tuple(empty)
    )


def _say_nothing(
    question: str, sentences: Sequence[Sentence], own: Sequence[frozenset[str]], above: Sequence[frozenset[str]]
) -> list[bool]:
    """Whether each sentence says no more than what asks and what stands above it; that may be all of a yes or no.

    Whatever else a question holds may be the very passage that answers it, as prompts of other tools have it.
    """
    asking = asking_sentences(question)
    if not _ASKS_WHAT.search(asking):
        return [False] * len(sentences)
    asked = frozenset(terms(asking))
    return [
        not (sentence.is_row or sentence.listed or sentence.lead_in)
        and all(one in asked or one in high or is_function_term(one) for one in found)
        for sentence, found, high in zip(sentences, own, above, strict=True)
    ]


def _is_asked_row(identifiers: frozenset[str], asked: frozenset[str], row: str) -> bool:
    return has_cell(identifiers, row) or (not identifiers and names_row(asked, row))


def _leads(row: int, sentences: Sequence[Sentence], empty: Sequence[bool]) -> bool:
    """Whether a sentence that says nothing is a heading of the next one."""
    following = sentences[row + 1]
    return empty[row] and sentences[row].passage == following.passage and sentences[row].heading == following.heading


def in_reach(scored: Scored, most: int) -> NDArray[np.intp]:
    """The sentences that vectors could still bring to the top, in order.

    Args:
        scored: The sentences.
        most: No more than this many, the best by their words.
    """
    best = np.argsort(-scored.scores, kind="stable")[:most]
    return np.sort(best[scored.scores[best] >= scored.scores[best[0]] - _VECTOR_REACH])


def add_vectors(
    question: str, scored: Scored, rows: NDArray[np.intp], similarities: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The scores by words and vectors together.

    Args:
        question: The question.
        scored: The sentences.
        rows: Which of them were compared by vectors; the others count as one deviation less similar than the average.
        similarities: Cosine of each of those to the question. Models differ in the range they use of it, so that only
            its deviation within the request counts.
    """
    weight = _VECTOR_WEIGHT_CHINESE if is_chinese(question) else _VECTOR_WEIGHT
    scores: NDArray[np.float64] = scored.scores - weight
    scores[rows] += weight * (1 + _standardized(similarities.astype(np.float64), _MIN_SIMILARITY_DEVIATION))
    return scores


def _with_neighbours(sentences: Sequence[Sentence], own: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The terms of each sentence together with those before and after it in its passage."""
    rows_of_passage: dict[int, list[int]] = defaultdict(list)
    for row, sentence in enumerate(sentences):
        rows_of_passage[sentence.passage].append(row)
    joined = list(own)
    for rows in rows_of_passage.values():
        for place, row in enumerate(rows):
            joined[row] = frozenset().union(*(own[near] for near in rows[max(0, place - 1) : place + 2]))
    return joined


def _standardized(values: NDArray[np.float64], min_deviation: float = 1e-9) -> NDArray[np.float64]:
    standardized: NDArray[np.float64] = (values - values.mean()) / max(float(values.std()), min_deviation)
    return standardized
