"""Cuts a text into chunks that cover it, fit the model, and end where the text itself has an end."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.ingestion.boundaries import Boundary, boundary_qualities

__all__ = ["CHUNKER_VERSION", "ChunkSpan", "ChunkingSettings", "chunk_spans"]

CHUNKER_VERSION = 2
"""Part of a document's content hash: raise it when the same text is cut differently, so that documents are cut anew."""

# Tokenizers know no longer words. Some make one unknown token of them, which comes apart in many once the word is cut.
_LONG_WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]{33,}")
_LONG_TOKEN_CHARACTERS = 64
_BLANK_RANGES = (range(0x21), range(0x7F, 0xA1), range(0x2000, 0x2010), range(0x2028, 0x202A), (0x2060, 0x3000, 0xFEFF))
_BLANK = "".join(chr(code) for codes in _BLANK_RANGES for code in codes)


@dataclass(frozen=True, slots=True)
class ChunkingSettings:
    """How long chunks are.

    Attributes:
        chunk_tokens: Most tokens of a chunk, title and special tokens not counted.
        overlap_tokens: About how many tokens of a chunk the next one repeats, at most a quarter of `chunk_tokens`. A
            section begins without overlap.
        chunk_characters: Most characters of a chunk, unless a single token has more.
    """

    chunk_tokens: int = 200
    overlap_tokens: int = 30
    chunk_characters: int = 8_000

    def of(self, collection: CollectionSettings) -> "ChunkingSettings":
        """These, and what a collection says itself in their place."""
        tokens, overlap = collection.chunk_tokens, collection.chunk_overlap_tokens
        return replace(
            self,
            chunk_tokens=self.chunk_tokens if tokens is None else tokens,
            overlap_tokens=self.overlap_tokens if overlap is None else overlap,
        )


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """A chunk's half-open range in the text, in code points."""

    start: int
    end: int


def chunk_spans(text: str, token_starts: NDArray[np.uint32], settings: ChunkingSettings) -> list[ChunkSpan]:
    """Cut a text. Every code point lies in some chunk, and each chunk begins after the one before it.

    Args:
        text: The text; not empty.
        token_starts: The offset in code points of each of its tokens, ascending.
        settings: How long chunks are.

    Returns:
        The chunks in their order.
    """
    starts, costs = _units(text, token_starts)
    if int(costs.sum()) <= settings.chunk_tokens and len(text) <= settings.chunk_characters:
        return [ChunkSpan(0, len(text))]
    return _Cutter(text, starts, costs, settings).cut()


def _units(text: str, token_starts: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pieces that a chunk is made of: mostly tokens, but single characters in what is over-long.

    Returns:
        The offset of each piece, strictly ascending from 0, and the most tokens that it can come to.
    """
    starts, counts = np.unique(token_starts.astype(np.int64), return_counts=True)
    inside = starts < len(text)
    starts, counts = starts[inside], counts[inside].astype(np.int64)
    if not len(starts) or starts[0] > 0:
        starts, counts = np.append(0, starts), np.append(0, counts)
        if len(starts) > 1 and not text[: starts[1]].strip(_BLANK):  # leading blanks belong to the first token
            starts, counts = np.delete(starts, 1), np.delete(counts, 0)
    over_long = _over_long(text, starts)
    if over_long:
        costs = np.zeros(len(text), dtype=np.int32)
        costs[starts] = np.maximum(counts, 1)
        for begin, end in over_long:
            np.maximum(costs[begin:end], 1, out=costs[begin:end])
        starts = np.flatnonzero(costs)
        counts = costs[starts].astype(np.int64)
    return starts, counts


def _over_long(text: str, starts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Find long words, and tokens of many characters."""
    ranges = [match.span() for match in _LONG_WORD.finditer(text)]
    ends = np.append(starts[1:], len(text))
    for index in np.flatnonzero(ends - starts > _LONG_TOKEN_CHARACTERS):
        begin = int(starts[index])
        end = begin + len(text[begin : int(ends[index])].rstrip(_BLANK))
        if end - begin > _LONG_TOKEN_CHARACTERS:
            ranges.append((begin, end))
    return ranges


class _Cutter:
    """Goes through the units of one text, and ends each chunk at the best boundary in reach."""

    def __init__(
        self, text: str, starts: NDArray[np.int64], costs: NDArray[np.int64], settings: ChunkingSettings
    ) -> None:
        self._length = len(text)
        self._starts = starts
        self._tokens_before = np.concatenate(([0], np.cumsum(costs)))
        self._qualities = boundary_qualities(text, starts)
        self._most_tokens = max(1, settings.chunk_tokens)
        self._overlap_tokens = min(settings.overlap_tokens, self._most_tokens // 4)
        self._most_characters = max(1, settings.chunk_characters)

    def cut(self) -> list[ChunkSpan]:
        spans: list[ChunkSpan] = []
        count = len(self._starts)
        first, end = 0, 0
        while end < count:
            end = self._end_of_chunk(first, end)
            spans.append(ChunkSpan(int(self._starts[first]), self._length if end == count else int(self._starts[end])))
            first = self._start_after(first, end)
        assert all(one.start < other.start <= one.end < other.end for one, other in pairwise(spans))
        return spans

    def _end_of_chunk(self, first: int, covered: int) -> int:
        """Choose the unit before which the chunk that begins at `first` ends, after all that is covered already."""
        count, tokens_before = len(self._starts), self._tokens_before
        last = min(
            self._unit_after_tokens(int(tokens_before[first]) + self._most_tokens),
            int(np.searchsorted(self._starts, self._starts[first] + self._most_characters, "right")) - 1
            if self._length - self._starts[first] > self._most_characters
            else count,
        )
        last = max(last, first + 1)
        if last >= count:
            return count
        lowest = max(first + 1, min(last, self._unit_after_tokens(int(tokens_before[first]) + self._most_tokens // 2)))
        # Leave no crumb for the last chunk.
        last = max(lowest, min(last, self._unit_after_tokens(int(tokens_before[-1]) - self._most_tokens // 4)))
        window = self._qualities[lowest : last + 1]
        if not window.any():  # rather a short chunk than a row of a table or a line of code that is cut
            begin = max(first, covered) + 1
            earlier = np.flatnonzero(self._qualities[begin:lowest] >= Boundary.LINE)
            if len(earlier):
                return begin + int(earlier[-1])
        return lowest + len(window) - 1 - int(np.argmax(window[::-1]))

    def _start_after(self, first: int, end: int) -> int:
        """Choose the unit at which the chunk after the one that ends before `end` begins."""
        if end >= len(self._starts) or self._qualities[end] >= Boundary.SECTION:
            return end
        earliest = max(
            first + 1, int(np.searchsorted(self._tokens_before, self._tokens_before[end] - self._overlap_tokens))
        )
        # After a whole sentence only whole sentences are repeated; elsewhere, whole words.
        wanted = Boundary.SENTENCE if self._qualities[end] >= Boundary.SENTENCE else Boundary.WORD
        found = np.flatnonzero(self._qualities[earliest:end] >= wanted)
        if len(found):
            return earliest + int(found[0])
        return end if wanted is Boundary.SENTENCE else min(earliest, end)

    def _unit_after_tokens(self, tokens: int) -> int:
        """Find the last unit before which there are at most `tokens` tokens."""
        return int(np.searchsorted(self._tokens_before, tokens, "right")) - 1
