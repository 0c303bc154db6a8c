"""Terms of a text for lexical comparison: English word stems, Chinese character bigrams."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RUNS = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_SUFFIXES = ("ing", "edly", "ed", "es", "ly", "s")
_MIN_STEM = 3


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeated as they are.

    A run of Chinese characters gives its bigrams, so that no word list is needed; a single character stands alone.
    """
    found: list[str] = []
    for run in _RUNS.findall(text.lower()):
        if "\u3400" <= run[0] <= "\u9fff":
            found += [run[start : start + 2] for start in range(len(run) - 1)] or [run]
        else:
            found.append(_stem(run))
    return found


def inverse_frequencies(wanted: Iterable[str], texts: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much each wanted term tells the texts apart: BM25's IDF over these texts; terms in none of them are left out.

    Args:
        wanted: The terms.
        texts: The terms of each text.
    """
    counts = Counter(term for text in texts for term in text)
    total = len(texts)
    return {
        term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5))
        for term in sorted(set(wanted))
        if counts[term]
    }


def _stem(word: str) -> str:
    """A word without its commonest endings: enough for `services` to meet `service`, not linguistics."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            return word[: -len(suffix)].rstrip("e")
    return word.rstrip("e") if len(word) > _MIN_STEM else word
