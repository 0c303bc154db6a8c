"""Cuts prose into sentences, English and Chinese mixed as they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_lexical import simplified

from trivium_evidence.markdown import Block, blocks
from trivium_evidence.terms import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Longer ones are cut at the next best mark: they are seldom sentences.
_MAX_SENTENCE_CHARS = 400
_MIN_SENTENCE_CHARS = 2
# How far around a mark to look for what it means.
_NEAR = 40


_ABBREVIATIONS = words_of(
    """
    mr mrs ms dr prof rev fr sr jr st mt ft gen col lt capt sgt maj adm gov sen rep pres hon messrs
    v vs c ca p pp etc cf al approx e.g i.e viz resp fig figs eq eqs no nos vol ed eds ch sec art
    inc ltd co corp bros dept est univ assn jan feb mar apr jun jul aug sep sept oct nov dec
    """
)
# Bounded, so that a long run of marks in the midst of a word is not read again from each of them.
_END_LATIN = re.compile(r"(?:[.!?]{1,16}|…)[\"'”’)\]»*_]{0,16}(?=\s)")
_END_CHINESE = re.compile(r"(?:[。！？!?]+|……|…)[”’」』）)\]】》*_]*")
_ENDS = re.compile(rf"{_END_CHINESE.pattern}|{_END_LATIN.pattern}")
_LAST_WORD = re.compile(r"([^\W\d_]+(?:\.[^\W\d_]+)*)\.$")
# A sentence that begins like this is understood only after the one before it.
_POINTS_BACK = re.compile(
    r"(?:he|she|it|they|this|that|these|those|his|her|its|their|such|there|here|but|and|so|however|instead|then|also)\b"
    r"|the (?:reason|cause|purpose)\b"
    r"|[他她它其该此这那]|因此|所以|但是?|然而|后来|原因",
    re.IGNORECASE,
)
# It stands for what follows: it was discussed whether.
_POINTS_AHEAD = re.compile(r"it (?:is|was|has been|will be) (?:not )?[a-z]+ (?:that|whether|to|if)\b", re.IGNORECASE)
_SOFT_MARKS = (re.compile(r"(?<=[;；])\s*"), re.compile(r"(?<=[,，、:：])\s*"), re.compile(r"\s+"))
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    Attributes:
        passage: Which passage, from 0.
        position: Which sentence of the passage, from 0.
        text: The sentence, without markup.
        heading: The heading and the question that it stands under; empty if there is none.
        lead_in: The sentence that leads to the list that it is an item of; empty if there is none.
        beginning: If it leads to a list, what to quote of that with it.
        is_row: Whether it is the row of a table: `Model: KX-200; Price: 1,450`.
        listed: The list that it is an item of, or the beginning of it, where only a heading leads to that.
    """

    passage: int
    position: int
    text: str
    heading: str = ""
    lead_in: str = ""
    beginning: str = ""
    is_row: bool = False
    listed: str = ""


def split_passages(texts: Sequence[str], titles: Sequence[str] = ()) -> list[Sentence]:
    """The sentences of some passages, in order.

    A passage's own title, which plain text has as its first line, is no sentence.

    A question stands, like a heading, over the sentences that follow it: in a list of questions and answers the answer
    need not repeat a word of its question.
    """
    sentences: list[Sentence] = []
    for passage, text in enumerate(texts):
        position = 0
        heading = asked = ""
        for block in blocks(text):
            if block.heading != heading:
                heading, asked = block.heading, ""
            if passage < len(titles) and block.text == titles[passage]:
                continue
            lead_in = split(block.lead_in)[-1] if block.lead_in else ""
            pieces = [piece for part in _parts(block) for piece in _shorten(part)]
            for place, piece in enumerate(pieces, start=1):
                beginning = block.beginning if place == len(pieces) else ""
                context = f"{heading} {asked}".strip()
                sentences.append(
                    Sentence(passage, position, piece, context, lead_in, beginning, block.whole, block.listed)
                )
                position += 1
                asked = piece if is_question(piece) else asked
    return sentences


def _parts(block: Block) -> list[str]:
    parts = [block.text] if block.whole else split(block.text)
    if parts:
        parts[-1] += block.led
    return parts


def split(text: str) -> list[str]:
    """The sentences of some prose."""
    found: list[str] = []
    start = 0
    for end in sentence_ends(text):
        _add(found, text[start:end])
        start = end
    _add(found, text[start:])
    return found


def sentence_ends(text: str) -> Iterator[int]:
    """Where sentences of some prose end within it, in code points."""
    start = 0
    for match in _ENDS.finditer(text):
        before, after = text[max(start, match.end() - _NEAR) : match.end()], text[match.end() : match.end() + _NEAR]
        if not after or _ends_sentence(before, after, match.group()):
            yield match.end()
            start = match.end()


def is_question(sentence: str) -> bool:
    """Whether a sentence asks."""
    return sentence.endswith(("?", "？"))


def points_back(sentence: Sentence, previous: Sentence) -> bool:
    """Whether a sentence is understood only after the one before it, which stands under the same heading."""
    if sentence.passage != previous.passage or sentence.heading != previous.heading:
        return False
    text = simplified(sentence.text)
    # What an item of a list is about is said by the sentence that leads to it.
    return not sentence.lead_in and bool(_POINTS_BACK.match(text)) and not _POINTS_AHEAD.match(text)


def _add(found: list[str], sentence: str) -> None:
    sentence = sentence.strip()
    if len(sentence) >= _MIN_SENTENCE_CHARS and any(char.isalnum() for char in sentence):
        found.append(sentence)


def _ends_sentence(before: str, after: str, end: str) -> bool:
    """Whether a mark ends a sentence, judged by the word before it and the letter after it."""
    if any(mark in end for mark in "。！？"):
        return True
    following = after.lstrip()
    first = following[:1]
    if first.islower():
        return False
    if "!" in end or "?" in end:
        return after[:1].isspace() or bool(_CHINESE.match(first))
    if not end.startswith(".") or end.startswith(".."):
        return first.isupper() or bool(_CHINESE.match(first))
    word = _LAST_WORD.search(before.rstrip("\"'”’)]»"))
    if word is None:
        return True
    stem = word.group(1).lower()
    if stem in _ABBREVIATIONS:
        return False
    if len(stem) == 1 and word.group(1).isupper():
        return False  # an initial: J. K. Rowling
    # U.S. and the like end a sentence only before a word that commonly begins one.
    next_word = following.split(maxsplit=1)
    return "." not in stem or (bool(next_word) and next_word[0].strip(",").lower() in _OPENERS)


_OPENERS = words_of(
    """
    the a an this that these those it its he she they his her their in on at by for from with as if when while after
    before although however but and there we you
    """
)


def _shorten(sentence: str) -> list[str]:
    """A sentence of a bearable length as it is; a longer one in pieces, cut where it hurts least."""
    if len(sentence) <= _MAX_SENTENCE_CHARS:
        return [sentence]
    for mark in _SOFT_MARKS:
        pieces = _pack([piece for piece in mark.split(sentence) if piece])
        if all(len(piece) <= _MAX_SENTENCE_CHARS for piece in pieces):
            return pieces
    return [sentence[start : start + _MAX_SENTENCE_CHARS] for start in range(0, len(sentence), _MAX_SENTENCE_CHARS)]


def _pack(pieces: list[str]) -> list[str]:
    """Puts neighbouring pieces together as long as they fit."""
    packed = pieces[:1]
    for piece in pieces[1:]:
        space = "" if _CHINESE.search(packed[-1][-2:]) or packed[-1][-1:] in "，；、：" else " "
        if len(packed[-1]) + len(piece) + len(space) <= _MAX_SENTENCE_CHARS:
            packed[-1] += space + piece
        else:
            packed.append(piece)
    return packed
