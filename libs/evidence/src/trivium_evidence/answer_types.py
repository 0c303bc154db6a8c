"""What kind of thing a question asks for, and whether a sentence holds such a thing.

Rules over surface forms, English and Chinese: enough to prefer, among sentences on the same topic, the one with a year
in it when the question begins with `when`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_lexical import simplified

from trivium_evidence.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday|century"
)
_DATE = re.compile(
    rf"\b1\d{{3}}\b|\b20\d\d\b|\b(?:{_MONTHS})\b|[\d一二三四五六七八九十](?:年|月|日|世纪)|\b\d{{1,2}}(?:st|nd|rd|th)\b",
    re.IGNORECASE,
)
# The digits of a name are no number: E17, HP-350.
_NUMBER = re.compile(
    r"(?<![A-Za-z\d])(?<![A-Za-z][-_/])\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|billion|half|"
    r"third|quarter|one|once|twice|percent)\b|[一二两三四五六七八九十百千万亿][个人次名位岁种只条座部年月米公]",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|due to|since|as a result|therefore|so that|in order to|caused|reasons?)\b"
    r"|原因|因为|由于|因此|所以|为了",
    re.IGNORECASE,
)
# What is asked for by its name and is a number.
_QUANTITIES = (
    "(?:prices?|costs?|fee|salary|wages?|revenue|turnover|budget|discount|population|temperature|weight|height|length|"
    "width|depth|speed|capacity|duration|distance|voltage|pressure)"
)
_WHOSE = r"(?:the|its|their|our|my|[\w'’-]{1,30}['’]s?)"
_NAME = re.compile(r"(?<=\s)[A-Z][a-z]+")


@dataclass(frozen=True, slots=True)
class _AnswerType:
    name: str
    asked_by: re.Pattern[str]
    holds: Callable[[str, frozenset[str]], bool]


def _matches(pattern: re.Pattern[str]) -> Callable[[str, frozenset[str]], bool]:
    return lambda sentence, asked: pattern.search(sentence) is not None


def _names_another(sentence: str, asked: frozenset[str]) -> bool:
    """Whether a sentence names someone or somewhere that the question does not."""
    return any(asked.isdisjoint(terms(name)) for name in _NAME.findall(sentence))


# The first that a question matches is its type.
_ANSWER_TYPES = (
    _AnswerType(
        "date",
        re.compile(
            r"\b(?:when|what (?:year|date|day|month|century|decade)|which (?:year|century)|how long ago)\b"
            r"|何时|什么时候|哪年|哪一年|几年|几月|年份|日期|什么时间|何年",
            re.IGNORECASE,
        ),
        _matches(_DATE),
    ),
    _AnswerType(
        "number",
        re.compile(
            r"\bhow (?:many|much|long|old|far|tall|high|large|big|often|fast|deep)\b"
            r"|\b(?:what|which) (?:percent|percentage|number|amount|age|port)\b"
            r"|\b(?:what|which) (?:constant|value|factor|rate|ratio|threshold)\b"
            rf"|\b(?:what|which) (?:(?:is|was|are|were) {_WHOSE} (?:[\w-]+ ){{0,2}})?{_QUANTITIES}\b"
            r"|\bwhat (?:do|does|did|will|would) .{1,80}\b(?:cost|weigh|earn|measure)\b"
            r"|多少|几[个人次名位岁种只条座部]|多[大高长远久]",
            re.IGNORECASE,
        ),
        _matches(_NUMBER),
    ),
    _AnswerType(
        "name",
        re.compile(
            r"\b(?:who|whom|whose|where)\b"
            r"|\b(?:what|which) (?:person|man|woman|country|city|state|place|location|region)\b",
            re.IGNORECASE,
        ),
        _names_another,
    ),
    _AnswerType(
        "reason",
        re.compile(r"\bwhy\b|\bwhat (?:caused|reason)\b|为什么|为何|原因", re.IGNORECASE),
        _matches(_REASON),
    ),
)


def holds_number(sentence: str) -> bool:
    """Whether a sentence has a number."""
    return _NUMBER.search(sentence) is not None


def answer_test(question: str) -> Callable[[str], bool]:
    """A test of whether a sentence holds what a question asks for; always false for a question of no known type."""
    return answer_type(question)[0]


def answer_type(question: str) -> tuple[Callable[[str], bool], str]:
    """What a question asks for: a test of sentences, and a name: `date`, `number`, `name`, `reason`, or empty."""
    asked = frozenset(terms(question))
    folded = simplified(question)
    found = next((one for one in _ANSWER_TYPES if one.asked_by.search(folded)), None)
    if found is None:
        return lambda sentence: False, ""
    return lambda sentence: found.holds(simplified(sentence), asked), found.name
