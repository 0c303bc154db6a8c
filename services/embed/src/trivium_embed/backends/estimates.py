"""About where the tokens of a text lie, for models whose tokenizer is not here.

A run of up to six Latin letters counts as a token, or up to three digits, or any other character that is no space. That
is rather too much for English, and too little for rare Chinese characters and emoji, which take two or three tokens
each.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|[^\sA-Za-z0-9]")


def token_starts(text: str) -> NDArray[np.uint32]:
    """Where tokens start, in code points, ascending."""
    return np.array([match.start() for match in _TOKEN.finditer(text)], dtype=np.uint32)


def token_count(text: str) -> int:
    """How many tokens a text has; at least one."""
    return max(1, sum(1 for _ in _TOKEN.finditer(text)))


def cut(text: str, max_tokens: int) -> str:
    """The beginning of a text, of so many tokens at most."""
    starts = token_starts(text)
    return text if len(starts) <= max_tokens else text[: starts[max_tokens]]


def batches(token_counts: Sequence[int], *, max_texts: int, max_tokens: int) -> list[range]:
    """Cuts a call into runs of texts within two bounds; a text over the second makes one of its own.

    Args:
        token_counts: Of each text.
        max_texts: Most texts of a run.
        max_tokens: Most tokens of a run.
    """
    found, first, tokens = [], 0, 0
    for index, count in enumerate(token_counts):
        if index > first and (index - first >= max_texts or tokens + count > max_tokens):
            found.append(range(first, index))
            first, tokens = index, 0
        tokens += count
    found.append(range(first, len(token_counts)))
    return found
