"""Reads a query that is longer than a model's window: what it asks above all, and the whole of it window by window."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from trivium_evidence.asking import asking_sentences

if TYPE_CHECKING:
    from trivium_gateway.models.embed_answers import Tokens

__all__ = ["LongQuery", "long_query", "long_query_about", "split_query"]

# What models make tokens of, or rather less: few words of Latin letters have more tokens than quarters of it.
_ABOUT_A_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]{1,4}|\d{1,2}|\S")
_SPARE_TOKENS = 16  # of a prompt before queries
_FOCUS_SHARE = 0.75
"""How much what it asks counts. Of 1,000 characters of circumstances, few say what the passage has to be about."""


@dataclass(frozen=True, slots=True)
class LongQuery:
    """A query in parts that a model can read.

    Attributes:
        focus: What it asks; see `asking_sentences`.
        windows: All of it, in order.
    """

    focus: str
    windows: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The focus and the windows: what a model is given."""
        return (self.focus, *self.windows)

    def combined(self, of_parts: Sequence[Sequence[float]] | NDArray[np.float32]) -> NDArray[np.float32]:
        """Put together what a model made of the parts.

        Args:
            of_parts: For each of `parts` a row: its vector, or its scores of some texts.

        Returns:
            One row of the same length.
        """
        rows = np.asarray(of_parts, dtype=np.float32)
        combined: NDArray[np.float32] = _FOCUS_SHARE * rows[0] + (1 - _FOCUS_SHARE) * rows[1:].mean(axis=0)
        return combined


def long_query(text: str, tokens: "Tokens") -> LongQuery | None:
    """Cut a query into parts that a model reads whole; None if it reads the query whole.

    Args:
        text: The query.
        tokens: Those of the query alone.
    """
    window_tokens = max(1, tokens.max_input_tokens - tokens.overhead_tokens - _SPARE_TOKENS)
    starts = tokens.starts[0]
    return split_query(text, starts, window_tokens) if len(starts) >= window_tokens else None


def long_query_about(text: str, max_input_tokens: int) -> LongQuery | None:
    """Cut a query into parts for a model whose tokens nobody tells; None if it should read the query whole.

    Args:
        text: The query.
        max_input_tokens: Most tokens that the model reads at a time.
    """
    window_tokens = max(1, max_input_tokens - _SPARE_TOKENS)
    starts = [one.start() for one in _ABOUT_A_TOKEN.finditer(text)]
    return split_query(text, starts, window_tokens) if len(starts) > window_tokens else None


def split_query(text: str, token_starts: Sequence[int] | NDArray[np.uint32], window_tokens: int) -> LongQuery:
    """Cut a query into parts.

    Args:
        text: The query.
        token_starts: Where its tokens begin, in code points.
        window_tokens: How many of them the model reads at a time.
    """
    cuts = [0, *(int(token_starts[at]) for at in range(window_tokens, len(token_starts), window_tokens)), len(text)]
    windows = (text[start:end].strip() for start, end in itertools.pairwise(cuts))
    return LongQuery(asking_sentences(text), tuple(window for window in windows if window))
