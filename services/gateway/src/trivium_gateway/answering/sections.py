"""Small pieces are found, and the sections that they stand in are read."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_gateway.domain.chunks import Span, boxes_within
from trivium_gateway.domain.degradation import Degradation, Reason, Stage, degradable_reason
from trivium_gateway.ingestion.structure import Place, headings_of, place_within
from trivium_gateway.library.documents import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.library.neighbours import Neighbours
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.request.record import Record

_MOST_TOGETHER_CHARACTERS = 200_000
"""Of all passages of a question together: what writes answers takes no more than 262,144."""
_MOST_NEIGHBOURS = 32
_STEP = 0.75
"""What part of a chunk's length the next one adds, about; the rest they share."""
_SHARE = 0.2
"""What part of the remaining time it may take."""


class SectionReader:
    """Reads the sections around what was found.

    Args:
        neighbours: Read what stands beside a chunk.
        timeout_seconds: Longest time for it.
    """

    def __init__(self, neighbours: Neighbours, timeout_seconds: float) -> None:
        self._neighbours = neighbours
        self._timeout_seconds = timeout_seconds

    async def read(
        self,
        passages: Sequence[Passage],
        top_n: int,
        most_characters: int,
        collection: ResolvedCollection,
        reader: Reader,
        record: Record,
    ) -> tuple[Passage, ...]:
        """Passages with their sections; of several that stand in one section the best. As they are if Qdrant fails.

        Args:
            passages: Pieces, best first.
            top_n: How many to give at most.
            most_characters: Longest section.
            collection: Where they are from.
            reader: As whom.
            record: Takes note of it; where candidates end is set right in it.
        """
        pieces = [one.chunk for one in passages]
        found: Sequence[Chunk | int] = pieces
        try:
            with record.stage("section", "search") as stage:
                stage.size = 1
                async with record.waiting("search"):
                    later, longest = record.budget.later, self._timeout_seconds
                    runs = await self._neighbours.of(
                        collection,
                        pieces,
                        [_distance(one, most_characters) for one in pieces],
                        timeout_seconds=record.budget.allot("section", longest, _SHARE, later=later),
                        reader=reader,
                    )
                found = await asyncio.to_thread(sections, pieces, runs, most_characters)
        except TriviumError as error:
            reason = degradable_reason(error) or Reason.UNAVAILABLE  # the collection may have been deleted just now
            record.degrade(Degradation(Stage.SECTION, reason, "piece"), error)
        shown: list[Passage] = []
        places: dict[int, int] = {}
        for position, (passage, section) in enumerate(zip(passages, found, strict=True)):
            if isinstance(section, int):
                if section in places:
                    places[position] = places[section]
            elif len(shown) < top_n:
                places[position] = len(shown)
                piece = None if section is passage.chunk else passage.chunk
                shown.append(replace(passage, chunk=section, piece=piece))
        record.ordered = [
            one
            if one.place is None
            else one._replace(
                place=places.get(one.place),
                stands_for_itself=one.stands_for_itself and not isinstance(found[one.place], int),
            )
            for one in record.ordered
        ]
        return tuple(shown)


def _distance(piece: Chunk, most_characters: int) -> int:
    """How many chunks to each side of a piece may belong to a section of so many characters."""
    missing = most_characters - len(piece.text)
    return 0 if missing <= 0 else min(_MOST_NEIGHBOURS, 1 + int(missing / max(50.0, _STEP * len(piece.text))))


def sections(pieces: Sequence[Chunk], runs: Sequence[Sequence[Chunk]], most_characters: int) -> list[Chunk | int]:
    """Widen pieces to the sections that they stand in.

    Args:
        pieces: Chunks, best first.
        runs: For each of them the chunks around it without a gap, in their order, itself among them.
        most_characters: Longest section; of a longer one the part around the piece is taken.

    Returns:
        For each piece its section, which shares nothing with those before but what its piece does; or the position of
        the piece before it whose section it stands in.
    """
    found: list[Chunk | int] = []
    left = _MOST_TOGETHER_CHARACTERS
    for piece, run in zip(pieces, runs, strict=True):
        before = [
            (position, one)
            for position, one in enumerate(found)
            if not isinstance(one, int) and one.version == piece.version
        ]
        inside = [position for position, one in before if one.start <= piece.start and piece.end <= one.end]
        if inside:
            found.append(inside[0])
            continue
        section = _section(run, piece, min(most_characters, left), [one.span for _, one in before])
        left -= len(section.text)
        found.append(section)
    return found


def _section(run: Sequence[Chunk], piece: Chunk, most_characters: int, taken: Sequence[Span]) -> Chunk:
    text, base = text_of(run), run[0].start
    low, high = _bounds(text, piece.start - base, piece.end - base)
    low = max([low + base, *(min(piece.start, one.end) for one in taken if one.start <= piece.start)])
    high = min([high + base, *(max(piece.end, one.start) for one in taken if one.start > piece.start)])
    start, end = _grown(run, piece, low, high, most_characters)
    if (start, end) == (piece.start, piece.end):
        return piece
    place, table_header = _place(run, start)
    boxes = sorted(dict.fromkeys(box for one in run for box in one.boxes), key=lambda box: box.start)
    return replace(
        piece,
        text=text[start - base : end - base],
        start=start,
        end=end,
        heading=place.heading,
        page=place.page,
        table_header=table_header,
        boxes=boxes_within(boxes, start, end),
    )


def _bounds(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the section that a piece begins in begins, and the one that it ends in ends, as far as the text goes."""
    headings = headings_of(text)
    visible = end - len(text[start:end].lstrip())
    before = [one for one in headings if one.start <= visible]
    low = min(start, before[-1].start) if before else 0
    last = next((one for one in reversed(headings) if one.start < end), None)
    level = last.level if last else 0
    high = next((one.start for one in headings if one.start >= end and (not level or one.level <= level)), len(text))
    return low, high


def _grown(run: Sequence[Chunk], piece: Chunk, low: int, high: int, most_characters: int) -> tuple[int, int]:
    """Widen a piece by whole chunks to both sides alike, within bounds."""
    starts = sorted({low, *(one.start for one in run if low < one.start)})
    ends = sorted({high, *(one.end for one in run if one.end < high)})
    first, last = bisect_left(starts, piece.start), bisect_left(ends, piece.end)
    starts, ends = starts[:first][::-1], [one for one in ends[last:] if one > piece.end]
    start, end = piece.start, piece.end
    while starts or ends:
        if ends and (not starts or end - piece.end <= piece.start - start):
            wider, ends = (start, ends[0]), ends[1:]
        else:
            wider, starts = (starts[0], end), starts[1:]
        if wider[1] - wider[0] <= most_characters:
            start, end = wider
        elif wider[1] > end:
            ends = []
        else:
            starts = []
    return start, end


def _place(run: Sequence[Chunk], start: int) -> tuple[Place, str]:
    """Where a section begins, and the names of the columns if it does with a row of a table."""
    chunk = next(one for one in reversed(run) if one.start <= start)
    if chunk.start == start:
        return Place(chunk.heading, chunk.page), chunk.table_header
    return place_within(Place(chunk.heading, chunk.page), chunk.text, start - chunk.start), ""
