"""What a call of texts may hold, and about how much work it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES_PER_TOKEN = 3
# To take up and to read through so many bytes that are cut off costs about as much as to compute one token.
_UNREAD_BYTES_PER_TOKEN = 256
# What the model adds to a text, and to a pair.
_TOKENS_PER_TEXT, _TOKENS_PER_PAIR = 2, 3

# Anything but whitespace, control characters (NUL among them: tokenizers drop it) and zero-width marks.
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class TextLimits:
    """The limits of the texts of one call."""

    max_texts: int
    """Most texts."""
    max_text_characters: int
    """Longest text, in characters (code points)."""
    max_call_bytes: int
    """Most bytes of all texts together, and of the query beside them, as UTF-8."""

    def check_texts(self, texts: Sequence[str], *, noun: str, advice: str, query: str = "") -> None:
        """Accepts the texts of a call, or says which limit they break.

        Args:
            texts: The texts.
            noun: What the caller calls one.
            advice: What to do about too many, or too much together: a sentence.
            query: What is read with each of them.

        Raises:
            InvalidField: There are none (NO_TEXTS).
            TooLarge: Too many (TOO_MANY_TEXTS), one too long (TEXT_TOO_LONG), or too much together (CALL_TOO_LARGE).
        """
        if not texts:
            raise InvalidField("texts", f"texts is empty; send at least one {noun}.", reason="NO_TEXTS")
        if len(texts) > self.max_texts:
            raise TooLarge(
                f"texts has {len(texts)} {noun}s, and a call takes {self.max_texts}. {advice}",
                reason="TOO_MANY_TEXTS",
                field="texts",
            )
        for index, text in enumerate(texts):
            if len(text) > self.max_text_characters:
                raise TooLarge(
                    f"texts[{index}] has {len(text)} characters, and a {noun} has at most {self.max_text_characters}. "
                    "Cut it into chunks.",
                    reason="TEXT_TOO_LONG",
                    field=f"texts[{index}]",
                )
        size = _utf8_bytes(query) + sum(map(_utf8_bytes, texts))
        if size > self.max_call_bytes:
            what = "query and texts have" if query else "texts has"
            raise TooLarge(
                f"{what} {size} bytes, and a call takes {self.max_call_bytes}. {advice}",
                reason="CALL_TOO_LARGE",
                field="texts",
            )


def is_blank(text: str) -> bool:
    """Whether a text has nothing to read: it is empty, or whitespace and control characters alone."""
    return not _VISIBLE.search(text)


def estimate_tokens(texts: Sequence[str], max_tokens: int, query: str = "") -> int:
    """About how much work some texts are, in tokens, without tokenising them: rather too much than too little.

    Args:
        texts: The texts. English has four to five bytes a token, Chinese three.
        max_tokens: Most tokens that the model reads at a time; 0 if there is no such limit.
        query: What is read with each of them.
    """
    query_bytes = _utf8_bytes(query)
    added = _TOKENS_PER_PAIR if query else _TOKENS_PER_TEXT
    return sum(_cost(query_bytes + _utf8_bytes(text), added, max_tokens) for text in texts)


def estimate_tokenizing(texts: Sequence[str]) -> int:
    """About how much work it is to tokenise some texts and no more, in tokens computed."""
    return sum(map(_utf8_bytes, texts)) // _UNREAD_BYTES_PER_TOKEN


def _cost(size: int, added: int, max_tokens: int) -> int:
    """What so many bytes cost: the tokens that are computed, and the rest that is only taken up."""
    tokens = size // _BYTES_PER_TOKEN + added
    if not max_tokens or tokens <= max_tokens:
        return tokens
    return max_tokens + (tokens - max_tokens) * _BYTES_PER_TOKEN // _UNREAD_BYTES_PER_TOKEN


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
