"""About where the tokens of a text lie, for models whose tokenizer is not here.

A run of up to six Latin letters counts as a token, or up to three digits, or any other character that is no space. That
is rather too much for English, and too little for rare Chinese characters and emoji, which take two or three tokens
each.
"""

from __future__ import annotations

import re

# White space is left out: any run of it may be a token, or part of one.
_ASCII = re.compile(r"[!-~]")
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_OTHER = re.compile(r"[^\s\x00-\x7f\u3400-\u9fff]")
_TOKEN = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[^\sA-Za-z0-9]")


def token_starts(text: str) -> list[int]:
    """Where tokens start, in code points, ascending."""
    return [match.start() for match in _TOKEN.finditer(text)]


def token_count(text: str) -> int:
    """How many tokens a text has; at least one."""
    return max(1, sum(1 for _ in _TOKEN.finditer(text)))


def least_token_count(text: str) -> int:
    """The fewest tokens that any tokenizer in use makes of a text: whoever counts fewer has not read it whole."""
    ascii_count = len(_ASCII.findall(text))
    ideograph_count = len(_IDEOGRAPH.findall(text))
    other_count = len(_OTHER.findall(text))
    return int(ascii_count / 5.5 + ideograph_count / 2.5 + other_count / 6)


def cut(text: str, max_tokens: int) -> str:
    """The beginning of a text, of so many tokens at most."""
    starts = token_starts(text)
    return text if len(starts) <= max_tokens else text[: starts[max_tokens]]
