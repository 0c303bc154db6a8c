"""What is no text though it is written so: pictures in `data:` addresses, encoded files, letters without names."""

import re

from trivium_serving.errors import InvalidField

__all__ = ["check_readable", "without_embedded_data"]

_LEAST_CHARACTERS = 64
"""A shorter `data:` address may be what the text is about."""
_DATA_ADDRESS = re.compile(
    r"data:(?P<type>[a-z]{1,20}/[\w.+-]{1,100})?(?:;[\w.+-]{1,50}(?:=[\w.+\"-]{1,100})?){0,4}"
    rf"(?:;base64,\s{{0,4}}(?:[A-Za-z0-9+/=_-]|%[0-9A-Fa-f]{{2}}){{{_LEAST_CHARACTERS},}}+|,(?:[\w.~!$&'*+,;=:@/?-]|%[0-9A-Fa-f]{{2}}){{{_LEAST_CHARACTERS},}}+)",
    re.I,
)
# [image1]: <data:image/png;base64,...>, as Google Docs writes its pictures
_DATA_REFERENCE_LINE = re.compile(
    r"^ {0,3}\[[^\]\n]{1,200}\]:[ \t]*<?(?=data:)(?:" + _DATA_ADDRESS.pattern + r")>?[^\n]*\n?", re.I | re.M
)

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{40,}+={0,2}(?:\n|\Z)){2,}+|[A-Za-z0-9+/]{200,}+={0,2}")
_KINDS_OF_BASE64 = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]")))
_CONTROL = re.compile(r"[\ue000-\uf8ff\x01-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ufffd]")
# Hexadecimal digits in long rows, and uuencoded lines, which have a length of M and end there.
_OTHERWISE_ENCODED = re.compile(
    r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{128,}+|(?:[0-9a-fA-F]{32,}+\s{0,2}){4,}+)|(?:^M[ -`]{60}$\n?){3,}+", re.M
)
_MOST_ENCODED_SHARE = 0.5
_MOST_CONTROL_SHARE = 0.1
# Not the rules of tables, leaders and lists, which any text may have, and not Braille.
_MARK = re.compile(r"[^\w\s|.=_*#~:+\u2800-\u28ff-]")
_WORD_CHARACTER = re.compile(r"\w")
_MOST_MARKS_PER_WORD_CHARACTER = 3
_LEAST_MARKS = 200
"""Fewer may be a drawing or a formula that stands alone."""


def without_embedded_data(text: str) -> str:
    """Take the data out of `data:` addresses; what stands around them, such as a picture's description, stays."""
    if "data:" not in text and "DATA:" not in text:
        return text
    text = _DATA_REFERENCE_LINE.sub("", text)
    return _DATA_ADDRESS.sub(lambda address: f"data:{address['type'] or ''}", text)


def check_readable(text: str) -> None:
    """Refuse what no question can find anything in.

    Raises:
        InvalidField: More than half of it is encoded (base64, hexadecimal, uuencode), more than a tenth control
            characters or private ones of a font without a map to Unicode, or it has three signs for each letter or
            digit, as the text of a font with a wrong map (UNREADABLE_TEXT).
    """
    encoded = sum(
        len(run[0]) for run in _BASE64.finditer(text) if all(kind.search(run[0]) for kind in _KINDS_OF_BASE64)
    )
    encoded = max(encoded, sum(len(run[0]) for run in _OTHERWISE_ENCODED.finditer(text)))
    if encoded > _MOST_ENCODED_SHARE * len(text):
        what = "encoded data (base64, hexadecimal)"
    elif len(_CONTROL.findall(text)) > _MOST_CONTROL_SHARE * len(text):
        what = "control characters"
    elif _marks_of(text) > _MOST_MARKS_PER_WORD_CHARACTER * len(_WORD_CHARACTER.findall(text)):
        what = "signs that are no letters"
    else:
        return
    raise InvalidField(
        "text",
        f"The text is mostly {what}, in which nothing can be found. Send what it was made of.",
        reason="UNREADABLE_TEXT",
    )


def _marks_of(text: str) -> int:
    marks = len(_MARK.findall(text))
    return marks if marks >= _LEAST_MARKS else 0
