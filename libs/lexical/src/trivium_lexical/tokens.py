"""Cuts a normalised text into words, and what is written without spaces into what stands for words."""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    import rjieba

__all__ = ["Tokens", "cut_chinese", "cut_pairs", "cut_words", "is_japanese", "tokens_of"]

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\u3005\u3006"
_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_CJK}\p{{Hangul}}{_UNSPACED}]]"
# Letters and digits with what identifiers have between them; before them a point (.NET), after them a mark (C++, C#).
_ASCII_TOKEN = re.compile(
    r"""
    (?: (?<! [\w.)\]] ) \. (?= [A-Za-z] ) )?
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
        return Tokens(Counter(_ASCII_TOKEN.findall(text)))
    found: dict[str | None, list[str]] = {"word": [], "han": [], "hangul": [], "unspaced": []}
    for match in _TOKEN.finditer(text):
        found[match.lastgroup].append(match[0])
    return Tokens(Counter(found["word"]), found["han"], found["hangul"], found["unspaced"])


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


def cut_pairs(stretch: str, *, singles: bool = False) -> list[str]:
    """Give the pairs of neighbours in a stretch without spaces, which stand for its words.

    Args:
        stretch: The stretch.
        singles: Whether Chinese characters stand for words alone, too.
    """
    clusters: list[str] = _CLUSTER.findall(stretch)
    if len(clusters) < 2:
        return clusters
    pairs = [first + second for first, second in itertools.pairwise(clusters)]
    return [*pairs, *filter(_HAN.match, clusters)] if singles else pairs


@functools.cache
def _segmenter() -> "rjieba.Jieba":
    # Its dictionary takes a quarter of a second and 60 MB, which only those pay who have Chinese texts.
    import rjieba

    return rjieba.Jieba()
