"""The few words of a sentence that answer a question: a date, an amount or a name.

There is one only where the kind of question allows it, and where the sentence has exactly one thing of that kind that
the question does not name itself: a wrong short answer is worse than none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trivium_lexical import simplified

from trivium_evidence.answer_types import answer_type
from trivium_evidence.attributes import attributes_asked
from trivium_evidence.terms import is_function_term, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MONTH = (
    "(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
)
_YEAR = r"(?:1\d{3}|20\d\d)"
_DATE = re.compile(
    rf"\b\d{{4}}-\d\d-\d\d\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b\.?(?:,? {_YEAR}\b)?"
    rf"|\b{_MONTH}\b\.? \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? {_YEAR}\b)?"
    rf"|\b{_MONTH},? {_YEAR}\b"
    rf"|\b{_YEAR}\b(?![,.]\d)"
    r"|\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?"
)
_NUMBER = r"(?<![\d.,])\d{1,12}(?:[,.]\d{1,6}){0,6}"
_COUNTED = (
    "(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    "ninety)(?:-[a-z]{3,5})?"
)
_SCALE = r"(?:thousand|million|billion|trillion)"
_TIME_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?|centuries|ms|min|h)"
_LENGTH_UNIT = (
    r"(?:millimetres?|centimetres?|metres?|kilometres?|millimeters?|centimeters?|meters?|kilometers?|miles?|feet|foot|"
    r"inch(?:es)?|yards?|mm|cm|km|m|ft)"
)
_MONEY = re.compile(
    rf"(?:US)?[$€£¥]\s?{_NUMBER}(?: {_SCALE})?"
    rf"|\b{_NUMBER}(?: {_SCALE})? ?(?:€|euros?|EUR|dollars?|USD|pounds?|GBP|yuan|francs?|CHF|cents?)(?!\w)"
    rf"|{_NUMBER}[万亿萬億]?(?:元|美元|[欧歐]元)"
)

# A price list says its currency once, above: "List price: 4,250".
_PRICE_CELL = re.compile(
    r"(?:^|; )[^:;]{0,40}(?:price|cost|fee|preis|prix|precio|prezzo|价格|单价)[^:;]{0,40}: \D{0,3}\d", re.IGNORECASE
)


def _quantity(unit: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_NUMBER}|{_COUNTED})(?: {_SCALE})?[ -]?{unit}(?!\w)")


# By which words a question asks for an amount, and what the amounts look like that answer it.
_AMOUNTS = (
    (re.compile(r"\bhow (?:long|old)\b|\bhow much time\b", re.IGNORECASE), _quantity(_TIME_UNIT)),
    (re.compile(r"\bhow (?:tall|high|far|wide|deep|large|big)\b", re.IGNORECASE), _quantity(_LENGTH_UNIT)),
    (
        re.compile(
            r"\bhow much (?:does|do|did|is|are|was|were|will|would|may|can|should|must)\b|多少钱"
            r"|\bwhat (?:is|was|are|were|do|does|did|will|would).{0,60}"
            r"\b(?:costs?|prices?|fee|salary|wages?|earn|revenue|turnover|budget)\b",
            re.IGNORECASE,
        ),
        _MONEY,
    ),
    (
        re.compile(r"\b(?:what|which) temperature\b|\bhow (?:hot|cold|warm)\b", re.IGNORECASE),
        _quantity(r"(?:°\s?[CF]|degrees?)"),
    ),
    (re.compile(r"\bwhat (?:percent|percentage)\b", re.IGNORECASE), re.compile(rf"\b{_NUMBER} ?(?:%|percent\b)")),
)
_WHEN = re.compile(
    r"^\W*(?:and |but |since )?when\b|\b(?:what|which) (?:date|day)\b|何时|什么时候|哪一?天", re.IGNORECASE
)
_WHAT_YEAR = re.compile(r"\b(?:what|which) year\b|哪一?年", re.IGNORECASE)
_HOW_MANY = re.compile(r"\bhow many (?P<what>[a-z]+)", re.IGNORECASE)
_ANY_NUMBER = re.compile(
    rf"\b{_NUMBER}\b|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|tens)\b",
    re.IGNORECASE,
)
_WHO = re.compile(r"^\W*(?:who|whom)\b", re.IGNORECASE)
# Who else is named in a sentence need not be whom the question asks for.
_PERSON = re.compile(
    r"(?<=\bby )[A-Z][a-z]+(?: (?:[A-Z]\.|[A-Z][a-z]+|van|von|de|der))* [A-Z][a-z]+\b(?=\W*$|[,;]| in \d{4})"
)
# Who begins so is no person.
_NO_NAME = re.compile(r"^(?:The|This|That|In|On|At|After|Before|During|When|While|It|He|She|They|A|An|By)\b")


def cell_answer(question: str, row: str) -> str:
    """The cell of a table's row that a question asks for, by the name of its column; empty if none is meant alone.

    Whoever asks when, who or where names no column.

    Args:
        question: The question.
        row: The row, each cell with the name of its column: `Model: KX-200; Price: 1,450`.
    """
    if answer_type(question)[1] not in ("", "number"):
        return ""
    asked = {term for term in terms(question) if not is_function_term(term)}
    asked = asked.union(*attributes_asked(question).values())
    meant: list[tuple[int, str]] = []
    for cell in row.split("; "):
        column, separator, value = cell.partition(": ")
        if separator and not frozenset(terms(value)) <= asked:
            meant.append((len(asked.intersection(terms(column))), cell))
    most = max((shared for shared, _ in meant), default=0)
    best = [cell for shared, cell in meant if shared == most]
    return best[0] if most and len(best) == 1 else ""


def amount_test(question: str) -> Callable[[str], bool]:
    """A test of whether a sentence has the kind of amount that a question asks for: a time, a length, money, a share.

    It is always false for a question that asks for none of these.
    """
    folded = simplified(question)
    amounts = next((found for asked_by, found in _AMOUNTS if asked_by.search(folded)), None)
    if amounts is _MONEY:
        return holds_money
    return lambda sentence: amounts is not None and amounts.search(sentence) is not None


def asks_money(question: str) -> bool:
    """Whether a question asks for an amount of money."""
    return amount_test(question) is holds_money


def holds_money(sentence: str) -> bool:
    """Whether a sentence has an amount of money, or a row of a table has one in a column of prices."""
    return _MONEY.search(sentence) is not None or _PRICE_CELL.search(sentence) is not None


def has_cell(identifiers: frozenset[str], row: str) -> bool:
    """Whether a cell of a row is one of some identifiers, as `identifiers_in` has them, and nothing else."""
    values = (cell.partition(": ")[2] or cell for cell in row.split("; "))
    return any(re.sub(r"\W", "", value).lower() in identifiers for value in values)


def names_cell(asked: frozenset[str], row: str) -> bool:
    """Whether a question names a column and what a row has there: burn rate 6, and not 6 hours.

    Args:
        asked: The terms of the question.
        row: As for `cell_answer`.
    """
    for cell in row.split("; "):
        column, separator, value = cell.partition(": ")
        named = {term for term in terms(column) if not is_function_term(term)}
        if separator and named and named <= asked and terms(value) and frozenset(terms(value)) <= asked:
            return True
    return False


def names_row(asked: frozenset[str], row: str) -> bool:
    """Whether a question names what the first cell of a row does: the Kestrel, Tom Okafor.

    Args:
        asked: The terms of the question.
        row: As for `cell_answer`.
    """
    value = frozenset(terms(row.split("; ", 1)[0].partition(": ")[2]))
    return bool(value) and value <= asked and not all(one.isdigit() or is_function_term(one) for one in value)


def direct_answer(question: str, sentence: str) -> str:
    """The words of a sentence that answer a question; empty if there are none, or more than one choice.

    Args:
        question: The question.
        sentence: A sentence that answers it.
    """
    question = simplified(question)
    if _WHAT_YEAR.search(question):
        return _only(re.findall(rf"\b{_YEAR}\b(?![,.]\d)|\d{{4}}年", sentence), question)
    if _WHEN.search(question):
        return _only((one.group() for one in _DATE.finditer(sentence)), question)
    for asked_by, amounts in _AMOUNTS:
        if asked_by.search(question):
            return _only((one.group() for one in amounts.finditer(sentence)), question)
    if counted := _HOW_MANY.search(question):
        if len(_ANY_NUMBER.findall(sentence)) > 1:
            return ""
        what = re.escape(counted["what"].rstrip("s"))
        counts = re.finditer(rf"\b{_NUMBER}(?: {_SCALE})?(?: [a-z-]+)? {what}s?\b", sentence, re.IGNORECASE)
        return _only((one.group() for one in counts), question)
    if _WHO.match(question):
        names = (one.group() for one in _PERSON.finditer(sentence) if not _NO_NAME.match(one.group()))
        return _only(names, question)
    return ""


def _only(found: Iterable[str], question: str) -> str:
    """The only one of some texts that the question does not name; empty if there is none, or more than one."""
    asked = frozenset(terms(question))
    others = dict.fromkeys(one.strip() for one in found if not frozenset(terms(one)) <= asked)
    return next(iter(others)) if len(others) == 1 else ""
