"""Terms of a text for lexical comparison: English word stems, Chinese character bigrams."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from trivium_lexical import simplified, spaced

from trivium_evidence.letters import plain_letters
from trivium_evidence.numerals import COUNTS, in_digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A number stays whole: 2 is no part of 2,980.
_RUNS = re.compile(r"[\u3400-\u9fff]+|\d+(?:[.,]\d+)+(?![^\W_\u3400-\u9fff])|[^\W_\u3400-\u9fff]+")
_GROUPING = re.compile(r",(?=\d{3}(?:\D|$))")
_ACRONYMS = frozenset({"IT", "US", "WHO", "OR", "ME"})
# The mark of an owner is no word: the CEO's salary.
_OWNER = re.compile(r"(?<=\w)['’]s\b")
_SUFFIXES = ("ing", "edly", "ed", "es", "ly", "s")
_MIN_STEM = 3
_TEN = 10
BEGINNING = 5
"""Terms that begin with as many of the same letters are mostly forms of one word: deliver, delivery."""
# Words that hold a question together and say little about what it is about count for this share of what they would.
_FUNCTION_WORD_SHARE = 0.25


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeated as they are.

    A run of Chinese characters gives its bigrams, so that no word list is needed; a single character stands alone.
    Traditional characters count as simplified ones, small numbers in words as digits, and IT and US are no pronouns.
    """
    found: list[str] = []
    shouts = text.isupper()
    tens = 0
    plain = _OWNER.sub("", plain_letters(text))
    for written in _RUNS.findall(plain if plain.isascii() else in_digits(simplified(plain))):
        run = written.lower()
        counted = COUNTS.get(run)
        if counted is not None and tens and counted < _TEN:  # thirty-six
            found[-1] = str(tens + counted)
            tens = 0
            continue
        tens = counted if counted is not None and counted >= 2 * _TEN else 0
        if counted is not None and counted != 1:  # one alone is mostly no number
            found.append(str(counted))
        elif "," in run:
            found.append(_GROUPING.sub("", run))
        elif written in _ACRONYMS and not shouts:
            found.append(written)
        elif "\u3400" <= run[0] <= "\u9fff":
            found += [run[start : start + 2] for start in range(len(run) - 1)] or [run]
        else:
            found.append(_stem(run))
    return found


def words_apart(text: str) -> str:
    """A text with spaces between its Chinese words, and its small numbers in digits: 三十六個月 is `36 个月`."""
    return spaced(in_digits(simplified(text)))


def inverse_frequencies(wanted: Iterable[str], texts: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much each wanted term tells the texts apart: BM25's IDF over these texts, less for function words.

    Terms in none of the texts are left out.

    Args:
        wanted: The terms.
        texts: The terms of each text.
    """
    counts = Counter(term for text in texts for term in text)
    total = len(texts)
    return {
        term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5))
        * (_FUNCTION_WORD_SHARE if is_function_term(term) else 1)
        for term in sorted(set(wanted))
        if counts[term]
    }


@lru_cache(maxsize=1 << 14)
def _stem(word: str) -> str:
    """A word without its commonest endings: enough for `services` to meet `service`, not linguistics."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            return word[: -len(suffix)].rstrip("e")
    return word.rstrip("e") if len(word) > _MIN_STEM else word


def is_function_term(term: str) -> bool:
    """Whether a term holds a text together and says little about what it is about."""
    return term in _FUNCTION_WORDS


def words_of(text: str) -> frozenset[str]:
    """A list of words, written as a text."""
    return frozenset(text.split())


def _terms_of_words(words: str) -> frozenset[str]:
    return frozenset(term for word in words.split() for term in terms(word))


_FUNCTION_WORDS = _terms_of_words(
    """
    a an the of in on at by for from to with and or as is are was were be been being it its that this these those there
    do does did done has have had can could will would shall should may might must not no what which who whom whose
    when where why how he she they his her their them you your we our us i me my if than then so such into about after
    before between during over under up out also any all some one more most other many much
    什么 怎么 怎样 如何 为什 么样 是什 哪些 哪个 多少 几个 的是 是的 有哪 些什 何时 时候 么时 么是 请问 是谁 是哪 哪里
    是多 为何 是怎 称为 有什 多大 多长 多高
    """
)
