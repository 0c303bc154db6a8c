"""Elements of HTML that change what the text in them means: exponents, indices, note marks, struck words."""

import re

__all__ = ["inline_form"]

_ORDINAL = re.compile(r"(?:st|nd|rd|th|e|er|re|ème|o|a|º|ª)\Z", re.I)
_SIMPLE = re.compile(r"[\w+\u2212-]+\Z")
_POWERS_OF_UNITS = {"2": "\u00b2", "3": "\u00b3"}
_NOTE = re.compile(r"\[?\(?(\d{1,3}|[*†‡§]{1,3}|[a-z])\)?\]?\Z")
_MOST_UNIT_LETTERS = 3
_LAST_LETTERS = re.compile(r"[^\W\d_]{1,8}\Z")


def inline_form(tag: str, text: str, before: str, *, is_link: bool) -> str:
    """Write what an element says so that it can be told from what stands before it.

    Args:
        tag: `sup`, `sub`, or one for text that no longer holds.
        text: What is in it.
        before: The end of the text before it, blanks included.
        is_link: It holds a link, as marks of notes do.

    Returns:
        For example `^6` for the exponent in 10⁶, `[^3]` for the mark of a note.
    """
    if not text:
        return ""
    if tag == "sup":
        return _raised(text, before, is_link=is_link)
    if tag == "sub":
        return _lowered(text, before)
    return f"~~{text}~~"


def _raised(text: str, before: str, *, is_link: bool) -> str:
    last = before[-1:]
    letters = _LAST_LETTERS.search(before)
    note = _NOTE.match(text)
    follows_word = letters is not None and len(letters[0]) > _MOST_UNIT_LETTERS
    if note and not note[1].isalpha() and (is_link or follows_word or not (last.isalnum() or last in ")]}")):
        return f"[^{note[1]}]"
    if last.isdigit() and _ORDINAL.match(text):
        return text
    if letters and text in _POWERS_OF_UNITS:
        return _POWERS_OF_UNITS[text]
    if not last.strip() or not any(character.isalnum() for character in text):  # nothing is raised to it: ™
        return text
    return "^" + _enclosed(text)


def _lowered(text: str, before: str) -> str:
    if before[-1:].isalpha() and text.isdigit():  # H2O, CO2: so they are written, and searched
        return text
    return "_" + _enclosed(text) if before[-1:].strip() else text


def _enclosed(text: str) -> str:
    return text if _SIMPLE.match(text) else f"({text})"
