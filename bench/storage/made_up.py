"""Pieces of documents that nobody wrote, as many as one likes: vectors in clusters, words as frequent as in texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

DIMENSION = 384
SHELVES = 10
"""Each piece stands on one of so many shelves: a filter for one of them leaves a tenth."""

_TOPICS = 1_000
_POINTS_PER_SUBJECT = 50
_SUBJECT, _PIECE = 0.8, 0.6
"""How far subjects are from their topic, and pieces from their subject, beside a topic's own length of 1."""
_VOCABULARY = 60_000
_STOP_WORDS = 60
"""The most frequent words of a language, which no search looks for."""
_WORDS, _WORDS_ASKED = 60, 8
_CONSONANTS, _VOWELS = "bcdfgklmnprtvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces and questions.

    Attributes:
        vectors: Unit vectors, a row for each piece.
        shelves: On which shelf each stands.
        words: The numbers of each piece's words.
        asked: Vectors of questions: of a piece's subject, and of no piece.
        asked_words: The numbers of their words, some of that piece's.
        asked_shelves: On which shelf each looks.
    """

    vectors: npt.NDArray[np.float32]
    shelves: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    asked: npt.NDArray[np.float32]
    asked_words: npt.NDArray[np.int32]
    asked_shelves: npt.NDArray[np.int64]

    def exact(self, count: int) -> list[set[int]]:
        """For each question, so many nearest pieces of its shelf, by comparing with every one."""
        nearest: list[set[int]] = [set() for _ in self.asked]
        for shelf in range(SHELVES):
            there = np.flatnonzero(self.shelves == shelf)
            asking = np.flatnonzero(self.asked_shelves == shelf)
            scores = self.asked[asking] @ self.vectors[there].T
            for question, row in zip(asking, np.argpartition(-scores, count, axis=1)[:, :count], strict=True):
                nearest[question] = set(there[row].tolist())
        return nearest


def make_up(count: int, questions: int) -> Pieces:
    """Makes so many pieces and questions, the same every time."""
    draw = np.random.default_rng(18)
    topics = _units(draw, _TOPICS)
    subjects = topics[draw.integers(_TOPICS, size=max(1, count // _POINTS_PER_SUBJECT))]
    subjects = subjects + _SUBJECT * _units(draw, len(subjects))
    subject_of = draw.integers(len(subjects), size=count)
    vectors = np.empty((count, DIMENSION), dtype=np.float32)
    for first in range(0, count, 50_000):
        part = subject_of[first : first + 50_000]
        vectors[first : first + 50_000] = _normalised(subjects[part] + _PIECE * _units(draw, len(part)))
    frequencies = 1 / np.arange(_STOP_WORDS, _VOCABULARY)
    words = draw.choice(_VOCABULARY - _STOP_WORDS, size=(count, _WORDS), p=frequencies / frequencies.sum())
    near = draw.integers(count, size=questions)
    asked = _normalised(subjects[subject_of[near]] + _PIECE * _units(draw, questions))
    return Pieces(
        vectors,
        draw.integers(SHELVES, size=count),
        words.astype(np.int32),
        asked,
        words[near, :_WORDS_ASKED].astype(np.int32),
        draw.integers(SHELVES, size=questions),
    )


def text_of(words: npt.NDArray[np.int32]) -> str:
    """A text of words by their numbers."""
    return " ".join(_word(int(number)) for number in words)


@cache
def _word(number: int) -> str:
    """A word that can be spoken and has no ending that a stemmer would cut off: each number's own."""
    syllables = []
    for _ in range(4):
        number, consonant = divmod(number, len(_CONSONANTS))
        number, vowel = divmod(number, len(_VOWELS))
        syllables.append(_CONSONANTS[consonant] + _VOWELS[vowel])
    return "".join(syllables) + "k"


def _units(draw: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    return _normalised(draw.standard_normal(size=(count, DIMENSION), dtype=np.float32))


def _normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    normal: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return normal
