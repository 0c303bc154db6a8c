"""Steps that are asked for by their number, which a list says by the numbers of its items: the third step, 第三步."""

from __future__ import annotations

import re

from trivium_evidence.numerals import COUNTS, han_number

__all__ = ["with_named_step", "without_named_step"]

_ORDINALS = {
    word: number
    for words in (
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
        "erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte",
    )
    for number, word in enumerate(words.split(), start=1)
}
_THING = r"(?:step|item|point|instruction|stage|task|schritt|punkt)"
_ASKED = re.compile(
    rf"\b(?:(?P<word>{'|'.join(_ORDINALS)})[nrs]?|(?P<nth>\d{{1,3}})(?:st|nd|rd|th|\.)) {_THING}\b"
    rf"|\b{_THING} (?:number |no\.? ?|nr\.? ?)?(?P<number>\d{{1,3}}|{'|'.join(COUNTS)})\b"
    r"|第(?P<han>[一二三四五六七八九十]{1,3}|\d{1,3})个?(?:步骤?|项|点)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^(?P<mark>[ \t>]{0,40}\(?(?P<number>\d{1,3})[.)][ \t]+)(?=\S)", re.MULTILINE)


def with_named_step(question: str, text: str) -> str:
    """A text in which the item that a question asks for by its number says so: `3. third step: Change the seal.`"""
    asked = _ASKED.search(question)
    if asked is None:
        return text
    number = _number(asked)
    return _ITEM.sub(lambda item: f"{item['mark']}{asked[0]}: " if int(item["number"]) == number else item[0], text)


def without_named_step(question: str, text: str) -> str:
    """The same text without that."""
    asked = _ASKED.search(question)
    return text if asked is None else text.replace(f"{asked[0]}: ", "")


def _number(asked: re.Match[str]) -> int:
    digits = asked["nth"] or asked["number"] or asked["han"]
    if digits is None:
        return _ORDINALS[asked["word"].lower()]
    if digits.isdigit():
        return int(digits)
    return COUNTS[digits.lower()] if digits.isascii() else han_number(digits)
