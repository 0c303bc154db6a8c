"""Dates in metadata and filters: days and instants as RFC 3339 writes them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["HOW_DATES_ARE_WRITTEN", "LAST_MOMENT", "DatePeriod", "date_period"]

HOW_DATES_ARE_WRITTEN = "2026-01-31 or 2026-01-31T12:00:00Z"

LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last moment that is taken, in seconds since 1970: calendars of computers end with that year, in any zone."""

# No more than Qdrant reads, too: what its index does not understand, no filter finds.
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_TO_THE_END_OF_A_DAY = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True, slots=True)
class DatePeriod:
    """What a date names: a whole day of UTC, or an instant, which is first and last in one.

    Attributes:
        first: Its first microsecond, in UTC.
        last: Its last microsecond.
    """

    first: datetime
    last: datetime


def date_period(text: str) -> DatePeriod | None:
    """Read a date: `2026-01-31`, or `2026-01-31T12:00:00+01:00`; without an offset it is of UTC.

    Returns:
        What it names; None if the text is no date, or one that no calendar has.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        first = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return DatePeriod(first, first if match["time"] else first + _TO_THE_END_OF_A_DAY)
