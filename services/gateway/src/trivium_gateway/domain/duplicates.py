"""Finds passages that say the same in nearly the same words."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED = 0.9
"""What part of both texts one stretch has to make up that they share."""
_LONG_CHARACTERS = 200
"""From which length on texts may differ at all: in a short one each word counts."""
_ANCHOR_CHARACTERS = 40
# What at the beginning or the end of a text turns what it says into something else.
_TURNS = re.compile(
    r"\b(?:not?|never|none|nor|without|cannot|\w+n't|only|except|unless|nicht|kein\w*|nie|ohne|nur|ne|pas|sans|jamais"
    r"|nunca|sin|non|senza|mai|nao|não|sem|niet|geen|inte|не|нет|без)\b|[不没沒未无無非勿别別]|ない|ません|않|지 마"
)
_PLAIN = str.maketrans("‘’“”‐‑–—", "''\"\"----")


def near_duplicates(texts: Sequence[str], most: int) -> list[list[int]]:
    """Group texts that are nearly the same.

    Two are if they are equal but for case, white space and forms of characters; or if both are long, and share one
    stretch that makes up nine tenths of each, before and behind which only one of them goes on, with a heading or the
    beginning of the next sentence. A number, a date, a denial or another word anywhere tells them apart.

    Args:
        texts: Best first.
        most: How many groups to make at most; texts that belong to none of them are left out.

    Returns:
        For each group the positions of its texts, best first.
    """
    plain: dict[int, str] = {}

    def of(position: int) -> str:
        if position not in plain:
            plain[position] = _plain(texts[position])
        return plain[position]

    groups: list[list[int]] = []
    signs: list[str] = []
    for position, text in enumerate(texts):
        for group, sign in zip(groups, signs, strict=True):
            first = texts[group[0]]
            if text == first or (_may_be_near(text, first, sign) and _are_near(of(position), of(group[0]))):
                group.append(position)
                break
        else:
            if len(groups) < most:
                groups.append([position])
                signs.append(_sign(text))
    return groups


def _sign(text: str) -> str:
    """A piece of the middle of a text that few others have."""
    middle = len(text) // 2
    return max(text[middle - _ANCHOR_CHARACTERS : middle + _ANCHOR_CHARACTERS].split(), key=len, default="")[:12]


def _may_be_near(text: str, other: str, sign: str) -> bool:
    """A quick look: nearly all texts differ more, and another form of the characters leaves the length alone."""
    difference = abs(len(text) - len(other))
    return difference <= 2 or (difference <= 0.2 * max(len(text), len(other)) and sign in text)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(_PLAIN).casefold().split())


def _are_near(text: str, other: str) -> bool:
    if text == other:
        return True
    if min(len(text), len(other)) < _LONG_CHARACTERS:
        return False
    middle = len(text) // 2
    at = other.find(text[middle : middle + _ANCHOR_CHARACTERS])
    if at < 0:
        return False
    before = _shared_length(text[:middle][::-1], other[:at][::-1])
    after = _shared_length(text[middle:], other[at:])
    if before + after < _SHARED * max(len(text), len(other)):
        return False
    starts = text[: middle - before], other[: at - before]
    ends = text[middle + after :], other[at + after :]
    if all(starts) or all(ends):
        return False
    return not any(_TURNS.search(rest) or any(character.isdigit() for character in rest) for rest in (*starts, *ends))


def _shared_length(text: str, other: str) -> int:
    """How many characters two texts share from their beginning on."""
    shared, most = 0, min(len(text), len(other))
    while shared < most:  # by halves, which are compared at once: by characters, a thousand texts took seconds
        middle = (shared + most + 1) // 2
        if text[shared:middle] == other[shared:middle]:
            shared = middle
        else:
            most = middle - 1
    return shared
