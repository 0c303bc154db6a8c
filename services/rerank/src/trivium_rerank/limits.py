"""What the service accepts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trivium_serving.errors import InvalidField, TooLarge

_BYTES_PER_TOKEN = 3
# To take up and to read through so many bytes that are cut off costs about as much as to compute one token.
_UNREAD_BYTES_PER_TOKEN = 256
_TOKENS_PER_PAIR = 3

# Anything but whitespace, control characters (NUL among them: tokenizers drop it) and zero-width marks.
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one call."""

    max_texts: int
    """Most passages."""
    max_query_characters: int
    """Longest query, in characters (code points)."""
    max_text_characters: int
    """Longest passage, in characters (code points)."""
    max_call_bytes: int
    """Most bytes of query and passages together, as UTF-8."""

    def check(self, query: str, texts: Sequence[str]) -> None:
        """Accepts a call, or says which limit it breaks.

        Raises:
            InvalidField: The query is blank (BLANK_QUERY), or there are no passages (NO_TEXTS).
            TooLarge: The query is too long (QUERY_TOO_LONG), there are too many passages (TOO_MANY_TEXTS), one is too
                long (TEXT_TOO_LONG), or it is too much together (CALL_TOO_LARGE).
        """
        if is_blank(query):
            raise InvalidField("query", "query is blank; ask something.", reason="BLANK_QUERY")
        if len(query) > self.max_query_characters:
            raise TooLarge(
                f"query has {len(query)} characters, and a query has at most {self.max_query_characters}. Shorten it.",
                reason="QUERY_TOO_LONG",
                field="query",
            )
        if not texts:
            raise InvalidField("texts", "texts is empty; send at least one passage.", reason="NO_TEXTS")
        if len(texts) > self.max_texts:
            raise TooLarge(
                f"texts has {len(texts)} passages, and a call takes {self.max_texts}. Send the best candidates only.",
                reason="TOO_MANY_TEXTS",
                field="texts",
            )
        for index, text in enumerate(texts):
            if len(text) > self.max_text_characters:
                raise TooLarge(
                    f"texts[{index}] has {len(text)} characters, and a passage has at most "
                    f"{self.max_text_characters}. Cut it into chunks.",
                    reason="TEXT_TOO_LONG",
                    field=f"texts[{index}]",
                )
        size = _utf8_bytes(query) + sum(map(_utf8_bytes, texts))
        if size > self.max_call_bytes:
            raise TooLarge(
                f"query and texts have {size} bytes, and a call takes {self.max_call_bytes}. Send fewer or shorter "
                "passages.",
                reason="CALL_TOO_LARGE",
                field="texts",
            )


def is_blank(text: str) -> bool:
    """Whether a text has nothing to read: it is empty, or whitespace and control characters alone."""
    return not _VISIBLE.search(text)


def estimate_tokens(query: str, texts: Sequence[str], max_tokens: int) -> int:
    """About how much work a call is, in tokens, without tokenising: rather too much than too little.

    Args:
        query: What is asked; counted once per passage.
        texts: The passages. English has four to five bytes a token, Chinese three.
        max_tokens: Most tokens that the model reads at a time; 0 if there is no such limit.
    """
    query_bytes = _utf8_bytes(query)
    return sum(_cost(query_bytes + _utf8_bytes(text), max_tokens) for text in texts)


def _cost(size: int, max_tokens: int) -> int:
    """What a pair of so many bytes costs: the tokens that are computed, and the rest that is only taken up."""
    tokens = size // _BYTES_PER_TOKEN + _TOKENS_PER_PAIR
    if not max_tokens or tokens <= max_tokens:
        return tokens
    return max_tokens + (tokens - max_tokens) * _BYTES_PER_TOKEN // _UNREAD_BYTES_PER_TOKEN


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
