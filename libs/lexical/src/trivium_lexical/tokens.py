"""Cuts a normalised text into words, and what is written without spaces into what stands for words."""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    import rjieba

__all__ = ["Tokens", "characters", "cut_chinese", "cut_pairs", "cut_words", "is_japanese", "tokens_of"]

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\u3005\u3006"
_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_CJK}\p{{Hangul}}{_UNSPACED}]]"
# Letters and digits with what identifiers have between them;
# before them a point (.NET, .5), after them a mark (C++, C#).
_ASCII_TOKEN = re.compile(
    r"""
    (?: (?<! [\w.)\]] ) \. (?= [A-Za-z0-9] ) )?
    [A-Za-z0-9]+
    (?: (?: _+ | [-.@/\\&'] | ::? | \+\+? | (?<=[0-9]),(?=[0-9]) ) [A-Za-z0-9]+ )*
    (?: \+\+ | \# )?
    """,
    re.VERBOSE | re.ASCII,
)
_TOKEN = regex.compile(
    f"""(?P<word> {_ASCII_TOKEN.pattern.replace("[A-Za-z0-9]", _LETTER)} )
    | (?P<han> [{_CJK}]+ ) | (?P<hangul> \\p{{Hangul}}+ ) | (?P<unspaced> [{_UNSPACED}]+ )""",
    regex.VERBOSE | regex.VERSION1,
)
# Telephone and account numbers, by themselves: (555) 123-4567, +49 30 123456, DE89 3704 0044 0532 0130 00.
_IN_GROUPS = re.compile(
    r"(?<![\w.,/-])\(?(?:[A-Za-z]{2})?\d{1,8}(?:(?:\) ?|[ /-]\(?)\d{1,8}){1,7}(?![\w,/-]|\.\d)", re.ASCII
)
_FEWEST_GROUPED_DIGITS = 7
_HYPHENS_ONLY = re.compile(r"[\w-]+", re.ASCII)  # which is a word that has its digits together already
_NO_DIGIT_OR_LETTER = re.compile(r"\W+", re.ASCII)
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HAN = regex.compile(r"\p{Han}")
_CLUSTER = regex.compile(r"\X")
_JAPANESE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a text is made of.

    Attributes:
        words: What stands between spaces and punctuation, and how often.
        han: Stretches of Chinese characters and of the syllables that Japanese puts between them.
        hangul: Korean words, with their endings.
        unspaced: Stretches of scripts that have letters and no spaces: Thai, Lao, Khmer, Burmese.
    """

    words: Counter[str]
    han: Sequence[str] = ()
    hangul: Sequence[str] = ()
    unspaced: Sequence[str] = ()


def tokens_of(text: str) -> Tokens:
    """Cut a normalised text."""
    if text.isascii():
        return Tokens(Counter([*_ASCII_TOKEN.findall(text), *_numbers_in_groups(text)]))
    found: dict[str | None, list[str]] = {"word": [], "han": [], "hangul": [], "unspaced": []}
    for match in _TOKEN.finditer(text):
        found[match.lastgroup].append(match[0])
    words = Counter([*found["word"], *_numbers_in_groups(text)])
    return Tokens(words, found["han"], found["hangul"], found["unspaced"])


def _numbers_in_groups(text: str) -> Iterator[str]:
    """Long numbers whose groups spaces or slashes part, as who leaves these out writes them."""
    for match in _IN_GROUPS.finditer(text):
        joined = _NO_DIGIT_OR_LETTER.sub("", match[0])
        if len(joined) >= _FEWEST_GROUPED_DIGITS and not _HYPHENS_ONLY.fullmatch(match[0]):
            yield joined


def is_japanese(text: str) -> bool:
    """Whether the Chinese characters of a passage are Japanese: syllables stand between them."""
    kana = len(_KANA.findall(text))
    return bool(kana) and kana >= _JAPANESE_SHARE * (kana + len(_HAN.findall(text)))


def cut_chinese(stretch: str) -> list[str]:
    """Segment Chinese; long words come with the shorter ones in them."""
    # Without guesses at unknown words: those depend on what stands around, and a query has other words around.
    return _segmenter().cut_for_search(stretch, False)


def cut_words(stretch: str) -> list[str]:
    """Segment Chinese into words, of which none is in another."""
    return _segmenter().cut(stretch, False)


def characters(stretch: str) -> list[str]:
    """Give the characters of a stretch, each with the marks on it."""
    return list(_CLUSTER.findall(stretch))


def cut_pairs(stretch: str, *, singles: bool = False) -> list[str]:
    """Give the pairs of neighbours in a stretch without spaces, which stand for its words.

    Args:
        stretch: The stretch.
        singles: Whether Chinese characters stand for words alone, too.
    """
    clusters = characters(stretch)
    if len(clusters) < 2:
        return clusters
    pairs = [first + second for first, second in itertools.pairwise(clusters)]
    return [*pairs, *filter(_HAN.match, clusters)] if singles else pairs


@functools.cache
def _segmenter() -> "rjieba.Jieba":
    # Its dictionary takes a quarter of a second and 60 MB, which only those pay who have Chinese texts.
    import rjieba

    return rjieba.Jieba()
