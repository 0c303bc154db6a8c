"""What passages cannot state, as their own words show: they say it of another thing, or lack what is asked for.

Vectors and coverage take such passages for good ones, since all words but one agree. Each rule is silent on nearly all
answerable questions of the data sets (docs/quality.md).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from trivium_evidence.absent_names import share_of_absent_names
from trivium_evidence.answer_types import holds_number
from trivium_evidence.attributes import attributes_asked
from trivium_evidence.direct_answers import holds_money, names_row
from trivium_evidence.sentences import split_passages
from trivium_evidence.terms import is_function_term, terms

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from trivium_evidence.signs import Read

__all__ = ["lacks_what_is_asked", "without_what_is_asked"]

_YES_OR_NO = re.compile(r"\W*(?:does|do|did|is|are|was|were|can|could|has|have|will|would|should|may)\b", re.IGNORECASE)
_ASKS_A_FACT = re.compile(r"\W*(?:what|which|who|when|where|how (?:much|many|long|high|old))\b", re.IGNORECASE)
# Longer ones tell circumstances, whose names need not stand beside the answer.
_SHORT_WORDS = 9
_VERSION = re.compile(r"\b(?:version|release|v)\.?\s?(\d+(?:\.\d+)+)", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d.,-])(?:19|20)\d\d(?![\d.,-]*\d)")
# The place, the time or the owner of a thing: the office in Linz, revenue in January.
_OF_WHAT = re.compile(r"\b([A-Za-z][a-z]{2,}) (?:of|in|for|from|at) (?:the )?([A-Z][^\W\d_]{2,})\b")
# Whose field begins with no capital: the head of sales.
_ROLE = re.compile(
    r"\b([Hh]ead|[Dd]irector|[Mm]anager|[Cc]hief|[Cc]hair\w*|[Ss]ecretary|[Mm]inister|[Pp]resident|[Ll]eader) "
    r"(?:of|for) (?:the )?([a-z]{2,}(?: (?!of\b|for\b|in\b|at\b|and\b)[a-z]{3,})?)"
)
# Everything has a name and a share, and whose it is may be said in other words.
_NO_THINGS = frozenset(terms("name title translation meaning percentage share number part kind type"))
_HOW_MANY = re.compile(
    r"\W*how many (?!times\b)(?P<what>[a-z]+) (?:do|does|did|are|is|were|was|have|has|work|live)\b", re.IGNORECASE
)
_COUNT_WORDS = frozenset(terms("hundred thousand million billion dozen number none no single both several"))
_OF = frozenset(terms("of the our its"))
_NEAR_COUNT = 4
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_MONEY_WORD = r"(?:costs?|prices?|salary|salaries|wages?|earns?|earned|fees?|paid|pays?)"
_ASKS_MONEY = re.compile(
    rf"\W*(?:how much|what (?:is|are|was|were|do|does|did|will|would))\b.{{0,80}}\b{_MONEY_WORD}\b", re.IGNORECASE
)
_SAYS_MONEY = re.compile(rf"\b{_MONEY_WORD}\b", re.IGNORECASE)
_LOG_ODDS = 12.0


def lacks_what_is_asked(question: str, passages: Sequence[Read]) -> bool:
    """Whether passages cannot state the answer: what they say is of another name, version or year, or has no money.

    Args:
        question: The question.
        passages: What was found for it.
    """
    texts = [f"{one.title}\n{one.text}" for one in passages]
    return (
        _names_what_is_absent(question, texts)
        or _is_of_other_versions(question, texts)
        or _is_of_other_years(question, texts)
        or _is_of_another(question, texts)
        or _lacks_money(question, passages)
        or _lacks_count(question, passages)
        or _lacks_cell(question, passages)
    )


def without_what_is_asked(chance: float) -> float:
    """The chance that passages state an answer, from 0 to 1, where they lack what is asked."""
    if not 0 < chance < 1:
        return 0.0
    return 1 / (1 + math.exp(_LOG_ODDS - math.log(chance / (1 - chance))))


def _names_what_is_absent(question: str, texts: Sequence[str]) -> bool:
    """Whether a short question of yes or no names what no passage does: Does it support Milvus?"""
    is_short = _YES_OR_NO.match(question) is not None and len(question.split()) <= _SHORT_WORDS
    return is_short and share_of_absent_names(question, texts) > 0


def _is_of_other_versions(question: str, texts: Sequence[str]) -> bool:
    """Whether other versions are spoken of, and not the one that is asked about."""
    asked = _VERSION.findall(question)
    found = {one for text in texts for one in _VERSION.findall(text)}
    return bool(asked) and bool(found) and not any(one.startswith(tuple(asked)) for one in found)


def _is_of_other_years(question: str, texts: Sequence[str]) -> bool:
    """Whether what has most of the question is all of other years."""
    years = set(_YEAR.findall(question))
    if len(years) != 1 or not _ASKS_A_FACT.match(question):
        return False
    asked = {one for one in terms(question) if not is_function_term(one)} - years
    covered = [len(asked.intersection(terms(text))) for text in texts]
    least = max(1, max(covered, default=0) - 1)
    dated = [set(_YEAR.findall(text)) for text, one in zip(texts, covered, strict=True) if one >= least]
    return bool(dated) and all(found and years.isdisjoint(found) for found in dated)


def _is_of_another(question: str, texts: Sequence[str]) -> bool:
    """Whether something is said of another place, time, owner or field, and nowhere as much of the one asked."""
    if len(question.split()) > _SHORT_WORDS or not _ASKS_A_FACT.match(question):
        return False
    telling = {one for one in terms(question) if not is_function_term(one)}
    own = [frozenset(terms(one)) for one in texts]
    sentences = [one for text in texts for one in _SENTENCE.split(text)]
    for of_what in (_OF_WHAT, _ROLE):
        for thing, name in of_what.findall(question):
            stem, wanted = terms(thing)[0], frozenset(terms(name))
            if stem in _NO_THINGS:
                continue
            rest = telling - {stem} - wanted
            of_this = max((len(rest & one) for one in own if stem in one and wanted <= one), default=-1)
            of_others = (
                len(rest.intersection(terms(one)))
                for one in sentences
                if any(terms(other)[0] == stem for other, _ in of_what.findall(one)) and wanted.isdisjoint(terms(one))
            )
            if max(of_others, default=-1) > of_this:
                return True
    return False


def _lacks_count(question: str, passages: Sequence[Read]) -> bool:
    """Whether a number of things is asked for, and they are spoken of, but nowhere counted."""
    asked = _HOW_MANY.match(question)
    if asked is None or len(question.split()) > _SHORT_WORDS:
        return False
    names = frozenset(terms(asked["what"])).union(*attributes_asked(asked["what"]).values())
    return not any(_counts(one.text, names) for one in split_passages([one.text for one in passages]))


def _counts(text: str, names: Set[str]) -> bool:
    """Whether a text counts what has one of some names: 140 new employees, Employees: 140, the number of employees."""
    found = terms(text)
    for place, term in enumerate(found):
        if term not in names:
            continue
        if any(one[0].isdigit() for one in found[place + 1 : place + 2]):
            return True
        for one in reversed(found[max(0, place - _NEAR_COUNT) : place]):
            if one[0].isdigit() or one in _COUNT_WORDS:
                return True
            if is_function_term(one) and one not in _OF:
                break
    return False


def _lacks_cell(question: str, passages: Sequence[Read]) -> bool:
    """Whether the row of what is asked about has no cell in the column that is asked for, where others have one."""
    asked = frozenset(terms(question))
    sentences = split_passages([one.text for one in passages], [one.title for one in passages])
    rows = [one for one in sentences if one.is_row]
    own = [one for one in rows if names_row(asked, one.text)]
    wanted = {column for one in rows for column in _columns(one.text) if column <= asked}
    if not own or not wanted or any(wanted & _columns(one.text) for one in own):
        return False
    named = frozenset().union(*(terms(one.text.split("; ", 1)[0].partition(": ")[2]) for one in own))
    told = (frozenset(terms(f"{one.heading} {one.text}")) for one in sentences if not one.is_row)
    return not any(named & one and any(column <= one for column in wanted) for one in told)


def _columns(row: str) -> Set[frozenset[str]]:
    """The terms of the names of a row's columns but the first, which says what the row is about."""
    names = (cell.partition(": ")[0] for cell in row.split("; ")[1:] if ": " in cell)
    return {one for one in map(frozenset, map(terms, names)) if one and not all(map(is_function_term, one))}


def _lacks_money(question: str, passages: Sequence[Read]) -> bool:
    """Whether a price or a wage is asked for, and no sentence about it has one, nor those beside it."""
    if not _ASKS_MONEY.match(question):
        return False
    asked = {one for one in terms(question) if not is_function_term(one)}
    sentences = split_passages([one.text for one in passages], [one.title for one in passages])
    about = [not asked.isdisjoint(terms(f"{one.heading} {one.text}")) for one in sentences]
    near = [any(about[max(0, place - 1) : place + 2]) for place in range(len(about))]
    return not any(
        holds_money(one.text) or (_SAYS_MONEY.search(one.text) is not None and holds_number(one.text))
        for one, is_near in zip(sentences, near, strict=True)
        if is_near
    )
