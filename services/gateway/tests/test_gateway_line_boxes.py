"""Boxes of lines: which belong to a range of the text, and how a payload keeps them."""

from __future__ import annotations

import random

import pytest
from trivium_gateway.domain.chunks import LineBox, boxes_within
from trivium_gateway.qdrant.line_boxes import packed_boxes, unpacked_boxes


def test_packed_boxes_are_the_same_when_they_are_unpacked() -> None:
    chosen = random.Random(7)
    boxes = [
        LineBox(start, chosen.randrange(1, 5_000), *(chosen.randrange(65_536) / 10 for _ in range(4)))
        for start in sorted(chosen.randrange(50, 2**31) for _ in range(200))
    ]
    assert list(unpacked_boxes(packed_boxes(boxes, 50), 50)) == boxes


def test_box_beyond_what_can_be_packed_ends_there() -> None:
    far = LineBox(0, 1, -5.0, 0.0, 9_000.0, 20.0)
    assert unpacked_boxes(packed_boxes([far], 10), 10) == (LineBox(10, 1, 0.0, 0.0, 6553.5, 20.0),)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 5, [0]), (10, 11, [10, 10]), (12, 25, [10, 10, 20]), (5, 10, [0]), (30, 99, [20])],
)
def test_boxes_within_a_range_are_those_of_its_lines(start: int, end: int, expected: list[int]) -> None:
    boxes = [LineBox(at, 1, 0.0, 0.0, 1.0, 1.0) for at in (0, 10, 10, 20)]
    assert [box.start for box in boxes_within(boxes, start, end)] == expected
