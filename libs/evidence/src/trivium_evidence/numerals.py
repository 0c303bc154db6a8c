"""Numbers in words: which digits they stand for, in English and in Chinese."""

from __future__ import annotations

import re

__all__ = ["COUNTS", "HAN_NUMBER", "han_number", "in_digits", "number_of_words"]

COUNTS = dict(
    zip(
        """
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
        eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
        """.split(),  # noqa: SIM905 - a list of words reads better as words
        [*range(20), *range(20, 100, 10)],
        strict=True,
    )
)
_HAN_DIGITS = {"零": 0, "〇": 0, "两": 2, **{digit: value for value, digit in enumerate("一二三四五六七八九", start=1)}}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
# A digit alone is as often part of another word, and so are ten, a hundred and a thousand before what is not counted.
HAN_NUMBER = re.compile(
    r"(?:[一二两三四五六七八九][十百千][零〇一二两三四五六七八九十百千]{0,8}|十[一二三四五六七八九]|十(?=[年月日天个人次岁名位]))"
    r"(?![万亿分几多余来])"
)
# Before what is counted a digit alone is a number, too. One is as often an article: 一个.
_HAN_COUNT = re.compile(
    r"(?<![一二两三四五六七八九十百千零第几])[二两三四五六七八九]"
    r"(?=\s?(?:个|天|年|月|日|周|小时|分钟|岁|次|元|公斤|米|人|名|位|条|件|家|种|倍))"
)


def number_of_words(word: str) -> int | None:
    """What an English word, or two with a hyphen, count; None if they are no number below a hundred."""
    parts = [COUNTS.get(part) for part in word.split("-")]
    counted = [part for part in parts if part is not None]
    return sum(counted) if len(counted) == len(parts) <= 2 else None


def han_number(digits: str) -> int:
    """A Chinese number below ten thousand: 三十六 is 36, 一百零五 is 105."""
    value, last = 0, 0
    for digit in digits:
        if digit in _HAN_UNITS:
            value += max(last, 1) * _HAN_UNITS[digit]
            last = 0
        else:
            last = _HAN_DIGITS[digit]
    return value + last


def in_digits(text: str) -> str:
    """A Chinese text in simplified characters, in which small numbers are digits: 三十六 is 36."""
    text = HAN_NUMBER.sub(lambda found: str(han_number(found[0])), text)
    return _HAN_COUNT.sub(lambda found: str(_HAN_DIGITS[found[0]]), text)
