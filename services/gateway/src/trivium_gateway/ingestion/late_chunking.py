"""Which pieces late chunking embeds together: of one document, in the same runs whoever writes it and whenever."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from trivium_gateway.ingestion.pieces import Piece
from trivium_gateway.models.late_chunks import ChunkedText

__all__ = ["chunked_text", "runs_of", "whole_runs"]

_RUN_PIECES = 64
_CONTEXT_CHARACTERS = 8_000
"""Read before and behind a run, from the beginning of a piece or to the end of one: the embed service takes of it what
its model's window has room for."""


def runs_of(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Divide the pieces of some documents, in their order, into those that are embedded together."""
    groups = groupby(pieces, lambda piece: (id(piece.writing), piece.index // _RUN_PIECES))
    return [list(run) for _, run in groups]


def whole_runs(pieces: Sequence[Piece], most: int) -> Iterator[list[Piece]]:
    """Divide the pieces of some documents into batches of at most so many, or one run, that divide no run."""
    batch: list[Piece] = []
    for run in runs_of(pieces):
        if batch and len(batch) + len(run) > most:
            yield batch
            batch = []
        batch += run
    if batch:
        yield batch


def chunked_text(run: Sequence[Piece]) -> ChunkedText:
    """Give a run with what stands around it, as it is asked for."""
    cut = run[0].writing.cut
    begin, end = run[0].span.start, run[-1].span.end
    before = [span.start for span in cut.spans[: run[0].index] if span.start >= begin - _CONTEXT_CHARACTERS]
    behind = [span.end for span in cut.spans[run[-1].index + 1 :] if span.end <= end + _CONTEXT_CHARACTERS]
    begin, end = min([begin, *before]), max([end, *behind])
    spans = [(piece.span.start - begin, piece.span.end - begin) for piece in run]
    return ChunkedText(cut.heading, cut.document.text[begin:end], spans)
