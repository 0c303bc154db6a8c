"""How a call to a model's API is cut into requests, by estimates of tokens because its tokenizer is not here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from trivium_model_apis import token_estimates
from trivium_model_apis.token_estimates import cut, token_count

__all__ = ["batches", "cut", "token_count", "token_starts"]


def token_starts(text: str) -> NDArray[np.uint32]:
    """Where tokens start, in code points, ascending."""
    return np.array(token_estimates.token_starts(text), dtype=np.uint32)


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
