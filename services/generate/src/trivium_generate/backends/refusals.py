"""Reads what APIs say when they refuse a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNSUPPORTED = re.compile(
    r"unsupported|not (?:\w+ )?support|n't support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed"
    r"|deprecated|cannot both|only the default",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|prompt is too long|(?:prompt|input) (?:is|are) too (?:long|large)"
    r"|too many (?:input )?tokens",
    re.IGNORECASE,
)


def says_too_long(text: str) -> bool:
    """Whether an API finds the prompt longer than the model's context."""
    return _TOO_LONG.search(text) is not None


def named_parameter(names: Iterable[str], text: str, parameter: str | None = None) -> str | None:
    """Which of its parameters an API speaks of; None if of none.

    Args:
        names: The parameters that it may speak of.
        text: What it says.
        parameter: What it names in a field of its own, for example `messages[0].content`.
    """
    if parameter is not None and (head := re.split(r"[.\[]", parameter)[0]) in names:
        return head
    found = [(match.start(), name) for name in names if (match := re.search(rf"(?<![a-z_]){name}(?![a-z_])", text))]
    return min(found)[1] if found else None


def says_unsupported(text: str) -> bool:
    """Whether an API does not know a parameter, or not with this model."""
    return _UNSUPPORTED.search(text) is not None
