"""Tells the language of a passage by its function words, and gives words their stems."""

import functools
import threading
import tomllib
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files

import Stemmer

from trivium_lexical.folding import fold

__all__ = ["LANGUAGES", "is_function_word", "language_of", "stem"]

LANGUAGES = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "pt": "portuguese",
    "nl": "dutch",
    "sv": "swedish",
    "ru": "russian",
    "zh": "chinese",
    "ja": "japanese",
}
"""The languages whose rules are known, by their codes in ISO 639-1."""

_DEFAULT = "english"
"""Of a passage or query in which nothing tells: keywords, tables, names."""

_SETS = {
    language: frozenset(words.split())
    for language, words in tomllib.loads(
        files("trivium_lexical").joinpath("function_words.toml").read_text(encoding="utf-8")
    ).items()
}
_STEMMED = tuple(language for language in _SETS if language not in ("chinese", "japanese"))
_LONGEST = max(len(word) for language in _STEMMED for word in _SETS[language])
_local = threading.local()


def language_of(words: Mapping[str, int], otherwise: str = "") -> str:
    """Tell the language of a passage.

    Args:
        words: Its words as they are written, and how often.
        otherwise: The code of what it is where nothing tells; empty for English.

    Returns:
        The language that has most of them as its function words.
    """
    default = LANGUAGES.get(otherwise, _DEFAULT)
    if default not in _STEMMED:
        default = _DEFAULT
    seen: Counter[str] = Counter()
    for word, count in words.items():
        if len(word) <= _LONGEST:
            for language in _spoken_in(word):
                seen[language] += count
    if not seen:
        return default
    return max(seen, key=lambda language: (seen[language], language == default, language))


@functools.lru_cache(maxsize=2**15)
def _spoken_in(word: str) -> tuple[str, ...]:
    folded = fold(word)
    return tuple(language for language in _STEMMED if folded in _SETS[language])


def is_function_word(word: str, language: str) -> bool:
    """Whether a folded word holds sentences of a language together and says nothing about what they are about."""
    return word in _SETS[language]


def stem(word: str, language: str) -> str:
    """Give the stem of a word, folded.

    Args:
        word: Letters of any case, accents and all: stemmers go by them.
        language: Of its passage. A word in Cyrillic letters is taken for Russian, whatever stands around it.
    """
    lowered = word.lower()
    if lowered[0] >= "\u0400":
        if lowered[0] > "\u04ff":
            return fold(lowered)
        language = "russian"
    elif language == "russian":
        language = _DEFAULT
    return fold(str(_stemmer(language).stemWord(lowered)))


def _stemmer(language: str) -> Stemmer.Stemmer:
    # One for each thread: a stemmer works in its own memory.
    stemmers: dict[str, Stemmer.Stemmer] = _local.__dict__
    found = stemmers.get(language)
    if found is None:
        found = stemmers[language] = Stemmer.Stemmer(language)
    return found
