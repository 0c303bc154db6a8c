"""What the service accepts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trivium_serving.errors import InvalidField, TooLarge

_BYTES_PER_TOKEN = 3
# To take up and to read through so many bytes that are cut off costs about as much as to compute one token.
_UNREAD_BYTES_PER_TOKEN = 256
_TOKENS_PER_TEXT = 2

# Anything but whitespace, control characters (NUL among them: tokenizers drop it) and zero-width marks.
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one call."""

    max_texts: int
    """Most texts."""
    max_text_characters: int
    """Longest text, in characters (code points)."""
    max_call_bytes: int
    """Most bytes of all texts together, as UTF-8."""
    max_codes_bytes: int = 48 << 20
    """Most bytes of the token codes of an answer: with the vectors they stay under what a message may have."""

    def check(self, texts: Sequence[str]) -> None:
        """Accepts the texts of a call, or says which limit they break.

        Raises:
            InvalidField: There are none (NO_TEXTS).
            TooLarge: Too many (TOO_MANY_TEXTS), one too long (TEXT_TOO_LONG), or too much together (CALL_TOO_LARGE).
        """
        if not texts:
            raise InvalidField("texts", "texts is empty; send at least one text.", reason="NO_TEXTS")
        if len(texts) > self.max_texts:
            raise TooLarge(
                f"texts has {len(texts)} texts, and a call takes {self.max_texts}. Send them in several calls.",
                reason="TOO_MANY_TEXTS",
                field="texts",
            )
        for index, text in enumerate(texts):
            if len(text) > self.max_text_characters:
                raise TooLarge(
                    f"texts[{index}] has {len(text)} characters, and a text has at most {self.max_text_characters}. "
                    "Cut it into chunks.",
                    reason="TEXT_TOO_LONG",
                    field=f"texts[{index}]",
                )
        size = sum(map(_utf8_bytes, texts))
        if size > self.max_call_bytes:
            raise TooLarge(
                f"texts has {size} bytes, and a call takes {self.max_call_bytes}. Send them in several calls.",
                reason="CALL_TOO_LARGE",
                field="texts",
            )


def refuse_blank(texts: Sequence[str]) -> None:
    """Refuses texts that have nothing to embed: empty ones, and those of whitespace and control characters alone.

    Raises:
        InvalidField: One is blank (BLANK_TEXT).
    """
    for index, text in enumerate(texts):
        if not _VISIBLE.search(text):
            raise InvalidField(
                f"texts[{index}]", f"texts[{index}] is blank; leave it out of the call.", reason="BLANK_TEXT"
            )


def estimate_tokens(texts: Sequence[str], max_tokens: int) -> int:
    """About how much work some texts are, in tokens, without tokenising them: rather too much than too little.

    Args:
        texts: The texts. English has four to five bytes a token, Chinese three.
        max_tokens: Most tokens that the model reads of a text; 0 if there is no such limit.
    """
    return sum(_cost(_utf8_bytes(text), max_tokens) for text in texts)


def estimate_tokenizing(texts: Sequence[str]) -> int:
    """About how much work it is to tokenise some texts and no more, in tokens computed."""
    return sum(map(_utf8_bytes, texts)) // _UNREAD_BYTES_PER_TOKEN


def _cost(size: int, max_tokens: int) -> int:
    """What a text of so many bytes costs: the tokens that are computed, and the rest that is only taken up."""
    tokens = size // _BYTES_PER_TOKEN + _TOKENS_PER_TEXT
    if not max_tokens or tokens <= max_tokens:
        return tokens
    return max_tokens + (tokens - max_tokens) * _BYTES_PER_TOKEN // _UNREAD_BYTES_PER_TOKEN


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
