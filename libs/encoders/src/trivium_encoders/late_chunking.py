"""Vectors of the parts of a text that is read whole, so that each part is read with what stands around it.

Günther et al., "Late Chunking: Contextual Chunk Embeddings Using Long-Context Embedding Models", 2024
(arXiv:2409.04701): the transformer reads the whole text, and only then the tokens are pooled, part by part. A text that
is longer than the model's window is read in stretches that overlap, each with whole parts.

Other than there, what stands above every part (special tokens, the prompt, a heading) counts in each part's mean, as it
does where parts are read one by one: so the vector of a text with one part is that of the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.errors import InputTooLong
from trivium_encoders.tokenization import PlacedTokens, TokenIds

_CONTEXT_SHARE = 8
"""An eighth of the window on each side of a stretch's parts is read for their sake alone, where there is more text."""


@dataclass(frozen=True, slots=True)
class PartedText:
    """A text and its parts."""

    text: str
    """The text, its heading first."""
    parts: Sequence[tuple[int, int]]
    """Where each begins and ends, half open, in code points. They may overlap, but are in the order of their begins."""
    heading: int = 0
    """So many code points at the beginning are read with every part; no part begins within."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """What the model reads at once of a text."""

    tokens: TokenIds
    """As the model reads it."""
    parts: list[NDArray[np.intp]]
    """For each of its parts, which of these tokens are pooled."""


def pools_parts(model: ModelDescription) -> bool:
    """Whether a model's vectors are means of token vectors, so that there is one of any of its tokens."""
    return model.pooling == ("mean",) and not model.obstacle_to(Family.TEXT)


def stretches(index: int, text: PartedText, placed: PlacedTokens, *, unpooled: int, max_tokens: int) -> list[Stretch]:
    """Divides a text so that each part is read whole, with some of what stands before and behind it.

    Args:
        index: The text's position in the call, for errors.
        text: The text.
        placed: Its tokens behind the prompt, and where they stand in it.
        unpooled: How many of the first tokens the pooling leaves out.
        max_tokens: Most tokens in a stretch.

    Returns:
        Stretches whose parts, one after the other, are those of the text.

    Raises:
        InputTooLong: A part alone is longer than a stretch.
    """
    opening = placed.opening + int(np.searchsorted(placed.starts, text.heading))
    closing = len(placed.ids) - placed.closing
    starts, ends = placed.starts[opening - placed.opening :], placed.ends[opening - placed.opening :]
    around = opening + placed.closing
    ranges = [
        (int(np.searchsorted(ends, begin, "right")), int(np.searchsorted(starts, end))) for begin, end in text.parts
    ]
    made = []
    if (longest := around + max(high - low for low, high in ranges)) > max_tokens:
        raise InputTooLong(index, longest, max_tokens)
    for first, last in _groups(ranges, len(starts), max_tokens - around):
        begin, end = _reach(ranges[first:last], len(starts), max_tokens - around)
        kept = np.r_[:opening, opening + begin : opening + end, closing : len(placed.ids)]
        tokens = TokenIds(placed.ids[kept], None, placed.special[kept], len(text.text))
        shared = np.arange(unpooled, opening), np.arange(len(kept) - placed.closing, len(kept))
        made.append(
            Stretch(
                tokens,
                [
                    np.concatenate([shared[0], np.arange(opening + low - begin, opening + high - begin), shared[1]])
                    for low, high in ranges[first:last]
                ],
            )
        )
    return made


def _groups(ranges: Sequence[tuple[int, int]], count: int, room: int) -> list[tuple[int, int]]:
    """Which parts are read together: as many as fit with something around them."""
    context = room // _CONTEXT_SHARE
    groups: list[tuple[int, int]] = []
    first = 0
    while first < len(ranges):
        low, high = ranges[first]
        last = first + 1
        while last < len(ranges):
            end = max(high, ranges[last][1])
            if end - low + min(low, context) + min(count - end, context) > room:
                break
            last, high = last + 1, end
        groups.append((first, last))
        first = last
    return groups


def _reach(ranges: Sequence[tuple[int, int]], count: int, room: int) -> tuple[int, int]:
    """From where to where a stretch with some parts is read: what room they leave is for both sides alike."""
    low, high = ranges[0][0], max(end for _, end in ranges)
    spare = room - (high - low)
    before = min(low, max(spare // 2, spare - (count - high)))
    return low - before, min(count, high + spare - before)
