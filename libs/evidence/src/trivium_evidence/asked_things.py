"""What questions ask about things: what one is, or which several there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trivium_lexical import simplified

from trivium_evidence.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["asks_several", "definition_test"]

_SEVERAL = re.compile(
    r"\b(?:what|which) (?:(?:other|kinds? of|types? of) )?(?!is\b|was\b|does\b|has\b)[a-z]+(?<!s)s\b"
    r"|\b(?:what|which) are\b"
    r"|^\W*(?:list|name|compare)\b|\b(?:all|both|each|every)\b|\bwelche [A-Z]\w+(?:en|e|er)\b|哪些|分别|各",
    re.IGNORECASE,
)


_SAYS_WHAT = re.compile(
    r"^(?:(?:an?|the) )?(?P<subject>[^.:;]{1,80}?)(?:,[^,]{1,60},)? "
    r"(?:(?:is|are) (?:an?|the|one|any|how|when|what|called)\b|means?\b|stands? for\b|refers? to\b|describes?\b)",
    re.IGNORECASE,
)


def asks_several(question: str) -> bool:
    """Whether a question asks for more than one thing: which models, both, 哪些."""
    return _SEVERAL.search(simplified(question)) is not None


_DEFINED = re.compile(
    r"^\W*what(?:'s| is| are| was| were) (?:(?:an?|the) )?(?P<what>[^?,.:;]{2,60}?)\W*$"
    r"|^\W*(?:define|explain what) (?P<said>[^?,.:;]{2,60}?)(?: is| are| means)?\W*$"
    r"|^\W*什么(?:是|叫做?)(?P<han>[^？?，。]{1,30})\W*$|^\W*(?P<before>[^？?，。]{1,30})(?:是|指)什么(?:意思)?\W*$",
    re.IGNORECASE,
)
# What is asked for so is an attribute of a thing, and no thing: the price of a bracket.
_ATTRIBUTE = re.compile(
    r"\b(?:of|for|in|on|by|at|to|from|with|between|when|if|that|which|who|where|called|used|known|done)\b|的",
    re.IGNORECASE,
)
_MOST_BEFORE = 3


def definition_test(question: str) -> Callable[[str], bool]:
    """A test of whether a sentence says what a thing is; always false unless the question asks what something is."""
    asked = _DEFINED.match(simplified(question))
    what = next((one for one in asked.groups() if one), "") if asked else ""
    if not what or _ATTRIBUTE.search(what):
        return lambda sentence: False
    if not what.isascii():
        says = re.compile(rf"^.{{0,6}}{re.escape(what.strip())}.{{0,4}}?(?:就是|是指|指的是|是|指|叫)")
        return lambda sentence: says.search(simplified(sentence)) is not None
    begins = re.compile(
        rf"^(?:(?:an?|the) )?{re.escape(what)}\b(?: \([^)]*\))? (?:[a-z]+(?<!s)s|are|can)\b", re.IGNORECASE
    )
    head, wanted = terms(what)[-1], frozenset(terms(what))

    def defines(sentence: str) -> bool:
        found = _SAYS_WHAT.match(sentence)
        subject = frozenset(terms(found["subject"])) if found else frozenset()
        if begins.match(sentence):
            return True
        return (
            head in subject and (subject <= wanted or wanted <= subject) and len(subject) <= len(wanted) + _MOST_BEFORE
        )

    return defines
