"""Turns texts and queries into sparse vectors: which terms they have, and how much each says."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trivium_lexical.folding import fold, normalize, simplified, spelt_out
from trivium_lexical.identifiers import written
from trivium_lexical.languages import is_function_word, language_of, stem
from trivium_lexical.tokens import Tokens, characters, cut_chinese, cut_pairs, is_japanese, tokens_of

__all__ = ["ANALYZER_VERSION", "MAX_TERMS", "SparseVector", "document_vector", "query_vector"]

ANALYZER_VERSION = 3
"""Changes with anything that changes a vector: vectors of two versions do not find each other."""
MAX_TERMS = 4096
"""Most terms of one vector. Texts of people have a fraction of it."""

_K1 = 1.2
_B = 0.75
_AVERAGE_WORDS = 100.0
# How much a term says in a query, beside a word's stem and an identifier as a whole, which say 1.
_FORM = 0.3
_PART = 0.5
_AROUND = 0.2
# Before a character by which a keyword of one finds the words that have it; queries of more do not go by it.
_ALONE = "\0"


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Terms and their weights, for a scalar product.

    Attributes:
        indices: The terms' ids, 32 bits each, ascending.
        values: Their weights, above 0.
    """

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    """A word, an identifier, or what stands for a word where there are no spaces.

    Attributes:
        terms: The ids of what it is found by, and how much each says in a query.
        is_function_word: Whether it says nothing about what a text is about.
    """

    terms: tuple[tuple[int, float], ...]
    is_function_word: bool = False


def document_vector(text: str, language: str = "") -> SparseVector:
    """Weigh the terms of a document's passage by BM25, but for the rarity of the terms, which the search knows.

    All words are there, function words too, so that a query of nothing else finds them.

    Args:
        text: The passage, under its document's title.
        language: The code of its language where nothing in it tells; empty for English.
    """
    counts: dict[int, int] = {}
    length = 0
    for word, count in _words_of(text, language, for_query=False):
        if not word.is_function_word:
            length += count
        for term, _ in word.terms:
            counts[term] = counts.get(term, 0) + count
    damping = _K1 * (1 - _B + _B * length / _AVERAGE_WORDS)
    return _vector({term: count * (_K1 + 1) / (count + damping) for term, count in counts.items()})


def query_vector(text: str, focus: str = "", language: str = "") -> SparseVector:
    """Weigh the terms of a query.

    Function words are left out, unless it has no others. Whatever its spelling, an identifier finds itself: as a whole,
    and less so by its parts.

    Args:
        text: The query.
        focus: The part of a long query that says what it asks. Of the words around it there are many, and each says
            less.
        language: The code of its language where nothing in it tells; empty for English, and for whoever reads its
            Chinese characters.
    """
    weights = _query_weights(text, language)
    if focus:
        weights = {term: _AROUND * weight for term, weight in weights.items()} | _query_weights(focus, language)
    return _vector(weights)


def _query_weights(text: str, language: str) -> dict[int, float]:
    words = [word for word, _ in _words_of(text, language, for_query=True)]
    weights: dict[int, float] = {}
    for word in [word for word in words if not word.is_function_word] or words:
        for term, weight in word.terms:
            weights[term] = max(weight, weights.get(term, 0.0))
    return weights


def _vector(weights: Mapping[int, float]) -> SparseVector:
    ordered = sorted(weights.items())
    if len(ordered) > MAX_TERMS:
        ordered = sorted(sorted(ordered, key=lambda one: -one[1])[:MAX_TERMS])
    return SparseVector(tuple(term for term, _ in ordered), tuple(weight for _, weight in ordered))


def _words_of(text: str, otherwise: str, *, for_query: bool) -> Iterator[tuple[_Word, int]]:
    """Give the different words of a text, and how often each is there."""
    text = normalize(text)
    tokens = tokens_of(text)
    language = language_of(tokens.words, otherwise)
    # In a text that is all capitals they say nothing; in others WHO and IT are no function words.
    shouted = text.isupper()
    for token, count in tokens.words.items():
        yield _word(token, language, shouted), count
    if tokens.han or tokens.hangul or tokens.unspaced:
        for (piece, of), count in Counter(_unspaced_pieces(text, tokens, otherwise, for_query=for_query)).items():
            yield _piece(piece, of), count


def _unspaced_pieces(text: str, tokens: Tokens, otherwise: str, *, for_query: bool) -> Iterator[tuple[str, str]]:
    """What stands for words where there are no spaces, and the language whose function words may be among it."""
    for stretch in (*tokens.han, *tokens.hangul, *tokens.unspaced):
        # In a document they are in words that are counted already.
        of = "" if for_query else _ALONE
        yield from ((_ALONE + one, of) for one in _found_alone(simplified(stretch), for_query=for_query))
    if tokens.han:
        japanese = is_japanese(text) or otherwise == "ja"
        for stretch in tokens.han:
            if japanese:
                yield from ((pair, "japanese") for pair in cut_pairs(stretch, singles=True))
                continue
            pieces = cut_chinese(simplified(stretch))
            if for_query and otherwise != "zh":
                # Keywords of Chinese characters alone may be Japanese, whose texts are cut into pairs.
                pieces = [*dict.fromkeys([*pieces, *cut_pairs(stretch)])]
            yield from ((piece, "chinese") for piece in pieces)
    for word in tokens.hangul:
        yield from ((piece, "") for piece in {word: None, **dict.fromkeys(cut_pairs(word))})
    for stretch in tokens.unspaced:
        yield from ((pair, "") for pair in cut_pairs(stretch))


def _found_alone(stretch: str, *, for_query: bool) -> list[str]:
    """The characters by which a query finds a stretch that is one of them and nothing else."""
    found = characters(stretch)
    if for_query:
        return found if len(found) == 1 else []
    if "\uac00" <= stretch[0] <= "\ud7a3":
        return found[:1]  # of a Korean word, which ends with particles
    return [one for one in found if len(one) > 1 or "\u3400" <= one <= "\u9fff"]


@functools.lru_cache(maxsize=2**15)
def _word(token: str, language: str, shouted: bool) -> _Word:
    whole = written(token)
    terms = {whole.whole: 1.0 if whole.parts or not whole.words else _FORM}
    for part in whole.parts:
        if not is_function_word(part, language):
            terms.setdefault(part, _PART)
    for word in whole.words:
        root = stem(word, language)
        if root in terms or not is_function_word(root, language):
            terms[root] = max(terms.get(root, 0.0), _PART if whole.parts else 1.0)
    if not token.isascii():
        terms.setdefault(spelt_out(token), _FORM)
    says_nothing = is_function_word(whole.whole, language) and (shouted or len(token) < 2 or not token.isupper())
    return _Word(tuple((_term_id(term), weight) for term, weight in terms.items()), says_nothing)


@functools.lru_cache(maxsize=2**15)
def _piece(piece: str, language: str) -> _Word:
    folded = fold(piece)
    is_uncounted = language == _ALONE or (bool(language) and is_function_word(folded, language))
    return _Word(((_term_id(folded), 1.0),), is_uncounted)


def _term_id(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode(errors="replace"), digest_size=4).digest(), "little")
