"""Reads what APIs say when they refuse a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

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


class Dispensed:
    """Parameters that a model has refused and answers without, learnt from its refusals.

    Two that it refuses only together are refused only together: a caller that sends one of them keeps it.

    Args:
        names: The parameters that an answer may do without; of some that are refused together, the last one goes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._refused: list[frozenset[str]] = []

    def learn(self, text: str, sent: Collection[str], parameter: str | None = None) -> str | None:
        """Takes in a refusal.

        Args:
            text: What the API says.
            sent: The parameters that it was asked with.
            parameter: What it names in a field of its own.

        Returns:
            The parameter that such a request goes without from now on; None if the refusal is about none of them.
        """
        adaptable = [name for name in self._names if name in sent]
        named = {name for name in adaptable if named_parameter([name], text)}
        if parameter is not None and (of_its_own := named_parameter(adaptable, "", parameter)):
            named.add(of_its_own)
        if not named or frozenset(named) in self._refused:
            return None
        self._refused.append(frozenset(named))
        return max(named, key=self._names.index)

    def among(self, sent: Collection[str]) -> set[str]:
        """Which of some parameters are to be left out."""
        left_out: set[str] = set()
        for refused in sorted(self._refused, key=len):
            if refused <= set(sent) - left_out:
                left_out.add(max(refused, key=self._names.index))
        return left_out
