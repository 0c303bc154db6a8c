"""Whatever a document is like, a section is a part of its stored text around the piece that was found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from trivium_gateway.answering.sections import sections
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.ingestion.chunking import ChunkingSettings, chunk_spans
from trivium_gateway.ingestion.structure import Structure

if TYPE_CHECKING:
    from random import Random

_SETTINGS = ChunkingSettings(chunk_tokens=30, overlap_tokens=7, chunk_characters=2000)
_TOKEN = re.compile(r"\w{1,4}|[^\w\s]")
_LINES = st.sampled_from(
    ["# One", "## Two", "### Three", "", "Some words here. And more.", "\f", "| a | b |", "| --- | --- |", "| 1 |  |"]
)
_TEXTS = st.lists(_LINES, min_size=1, max_size=120).map("\n".join).filter(str.strip)


def _chunks(text: str) -> list[Chunk]:
    starts = np.array([match.start() for match in _TOKEN.finditer(text)], dtype=np.uint32)
    structure = Structure(text)
    spans = chunk_spans(text, starts, _SETTINGS)
    places = [structure.place(span.start, span.end, 200) for span in spans]
    return [
        Chunk(
            document_id="a",
            index=index,
            title="",
            uri="",
            text=text[span.start : span.end],
            start=span.start,
            end=span.end,
            version="v",
            chunk_count=len(spans),
            metadata={},
            heading=place.heading,
            page=place.page,
            table_header=place.table_header,
        )
        for index, (span, place) in enumerate(zip(spans, places, strict=True))
    ]


@given(_TEXTS, st.integers(0, 600), st.integers(0, 12), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_sections_are_parts_of_the_text_around_their_pieces(
    text: str, most_characters: int, reach: int, random: Random
) -> None:
    chunks = _chunks(text)
    pieces = [*chunks]
    random.shuffle(pieces)
    runs = [chunks[max(0, one.index - reach) : one.index + reach + 1] for one in pieces]
    structure = Structure(text)

    found = sections(pieces, runs, most_characters)

    for position, (piece, section) in enumerate(zip(pieces, found, strict=True)):
        if isinstance(section, int):
            other = found[section]
            assert section < position
            assert isinstance(other, Chunk)
            assert other.start <= piece.start
            assert piece.end <= other.end
            continue
        assert section.text == text[section.start : section.end]
        assert section.start <= piece.start < piece.end <= section.end
        assert len(section.text) <= max(most_characters, len(piece.text))
        assert section.page == structure.place(section.start, section.end, 200).page
        # No other section's heading comes before what was found, and none as high behind it.
        before = text[section.start : piece.start]
        assert before.count("\n#") + before.startswith("#") <= 1


def test_section_ends_before_the_next_one_that_is_as_high() -> None:
    text = "# A\n\nOne one one.\n\n## B\n\n" + "Two two two. " * 30 + "\n\n### C\n\nThree.\n\n## D\n\nFour."
    chunks = _chunks(text)
    piece = next(one for one in chunks if one.heading == ("A", "B"))

    [section] = sections([piece], [chunks], 10_000)

    assert isinstance(section, Chunk)
    assert section.text.startswith("## B")
    assert section.text.rstrip().endswith("Three.")
    assert section.heading == ("A", "B")
