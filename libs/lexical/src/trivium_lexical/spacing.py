"""Puts spaces between the words of a Chinese text, for those who tell words by the space around them."""

import re

from trivium_lexical.folding import simplified
from trivium_lexical.languages import is_function_word
from trivium_lexical.tokens import cut_words, is_japanese

__all__ = ["spaced"]

_HAN = re.compile(r"[\u3400-\u9fff]+")


def spaced(text: str) -> str:
    """Give a text with spaces between its Chinese words, and without those that say nothing.

    In simplified characters. Neighbours of one character, as a name that no dictionary has is cut into, stay together.
    Everything else, Japanese too, stays as it is.
    """
    if text.isascii() or is_japanese(text):
        return text
    return _HAN.sub(lambda stretch: f" {' '.join(_words(stretch[0]))} ", simplified(text))


def _words(stretch: str) -> list[str]:
    words: list[str] = []
    joins = False
    for piece in cut_words(stretch):
        says_nothing = is_function_word(piece, "chinese")
        is_single = len(piece) == 1 and not says_nothing
        if joins and is_single:
            words[-1] += piece
        elif not says_nothing:
            words.append(piece)
        joins = is_single
    return words
