"""Tells which passages are of a version that another passage's replaces, where titles or `valid from` say so."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_generate.answer import Passage

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    r"(?P<y1>(?:19|20)\d\d)-(?P<m1>\d\d)(?:-(?P<d1>\d\d))?(?!\d)"
    r"|(?P<y2>(?:19|20)\d\d)年(?:(?P<m2>\d{1,2})月(?:(?P<d2>\d{1,2})日)?)?"
    rf"|(?:(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\.? )?\b(?P<n3>{'|'.join(_MONTHS)})[a-z]*\.? (?P<y3>(?:19|20)\d\d)"
    rf"|\b(?P<n4>{'|'.join(_MONTHS)})[a-z]*\.? (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y4>(?:19|20)\d\d)"
    r"|\b(?P<y5>(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_VALID_FROM = re.compile(
    r"\b(?:valid|effective|in force|applicable|applies) (?:from|as of|since)\W{1,3}|\bgültig ab\W{1,3}|自(?=\d{4}年)",
    re.IGNORECASE,
)
# Documents with dates that stand beside each other: the minutes of May do not replace those of March.
_SERIES = re.compile(
    r"\b(?:minutes|meetings?|reports?|newsletters?|invoices?|diary|log|weekly|monthly|protokolle?|bericht|rechnung)\b"
    r"|纪要|会议|报告|周报|月报|發票|发票",
    re.IGNORECASE,
)
_NOT_NAME = re.compile(r"[\W\d_]+|\b(?:v|version|edition|rev|revision)\b", re.IGNORECASE)


def superseded(question: str, passages: Sequence[Passage], today: date) -> frozenset[int]:
    """The positions of passages that a later version of the same document replaces.

    Versions are documents whose titles are the same but for dates and numbers. A version's date is the one after `valid
    from` in its passage, else in another one under its very title, else that in its title, unless that is of a series.
    One that is not valid yet replaces nothing. Where the question names years, those count that were in force then.

    Args:
        question: The question.
        passages: The passages.
        today: The day on which it is asked.
    """
    versions: dict[str, dict[date, list[int]]] = defaultdict(lambda: defaultdict(list))
    said = [_valid_from(passage.text) for passage in passages]
    of_title: dict[str, set[date]] = defaultdict(set)
    for passage, since in zip(passages, said, strict=True):
        if since is not None:
            of_title[passage.title].add(since)
    for place, passage in enumerate(passages):
        name = " ".join(_NOT_NAME.sub(" ", _DATE.sub(" ", passage.title)).casefold().split())
        elsewhere = of_title[passage.title]  # of several dates nobody knows whose it is
        in_title = None if _SERIES.search(passage.title) else _date_in(passage.title)
        since = said[place] or (min(elsewhere) if len(elsewhere) == 1 else in_title)
        if name and since is not None and since <= today:
            versions[name][since].append(place)
    asked_years = {int(year) for year in re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", question)}
    found: set[int] = set()
    for dated in versions.values():
        of_years = [_in_force(dated, year) for year in asked_years]
        if not all(of_years):
            continue
        kept = frozenset().union(*of_years) or {max(dated)}
        found.update(place for since, places in dated.items() if since not in kept for place in places)
    return frozenset(found)


def _in_force(dated: Iterable[date], year: int) -> frozenset[date]:
    """The versions of a year: those that began in it, else the last one before; none if all are later."""
    before = [since for since in dated if since.year <= year]
    return frozenset(since for since in before if since.year == year) or frozenset(before and [max(before)])


def _valid_from(text: str) -> date | None:
    said = _VALID_FROM.search(text)
    match = _DATE.match(text, said.end()) if said else None
    return _read(match) if match else None


def _date_in(text: str) -> date | None:
    match = _DATE.search(text)
    return _read(match) if match else None


def _read(match: re.Match[str]) -> date | None:
    parts = match.groupdict()

    def number(letter: str) -> int:
        return int(next((parts[name] for name in parts if name[0] == letter and parts[name]), "1"))

    named = parts["n3"] or parts["n4"]
    month = _MONTHS.index(named.lower()) + 1 if named else number("m")
    try:
        return date(number("y"), month, number("d"))
    except ValueError:  # no day of any calendar
        return None
