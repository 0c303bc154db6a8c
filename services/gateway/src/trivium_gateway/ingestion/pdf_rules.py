"""The straight lines that are drawn on a PDF page: borders of cells, frames, underlines."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium
from pypdfium2 import PdfPage

__all__ = ["Rule", "rules_of"]

_MOST_OBJECTS = 20_000
_MOST_POINTS = 50_000
"""A page on which more is drawn has pictures, not tables."""
_DEEPEST_FORM = 4
_THICKEST = 3.0
_STRAIGHT = 0.5

_Matrix = tuple[float, float, float, float, float, float]
_Shown = Callable[[float, float, float, float], tuple[float, float, float, float]]


class Rule(NamedTuple):
    """A line along a page's edge, in points: at a height from left to right, or at a width from bottom to top."""

    at: float
    start: float
    end: float


def rules_of(page: PdfPage, shown: _Shown) -> tuple[list[Rule], list[Rule]]:
    """Find the lines that are drawn along a page's edges, those that run across and those that run upwards.

    Args:
        page: The page.
        shown: From left, right, bottom and top in the page's own space to these on the page as it is shown.
    """
    across: list[Rule] = []
    upwards: list[Rule] = []
    points = 0
    for number, (drawn, matrix) in enumerate(_paths(page)):
        points += max(0, pdfium.FPDFPath_CountSegments(drawn))
        if number >= _MOST_OBJECTS or points > _MOST_POINTS:
            return [], []
        for x0, y0, x1, y1 in _strokes(drawn, matrix):
            left, right, bottom, top = shown(min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))
            if top - bottom <= _THICKEST and right - left > top - bottom:
                across.append(Rule((top + bottom) / 2, left, right))
            elif right - left <= _THICKEST and top - bottom > right - left:
                upwards.append(Rule((left + right) / 2, bottom, top))
    return across, upwards


def _paths(page: PdfPage) -> Iterator[tuple[Any, _Matrix]]:
    """Give what is drawn, with how its points are put on the page."""
    count = pdfium.FPDFPage_CountObjects(page)
    yield from _paths_in((pdfium.FPDFPage_GetObject(page, at) for at in range(count)), (1, 0, 0, 1, 0, 0), 0)


def _paths_in(objects: Iterator[Any], outer: _Matrix, depth: int) -> Iterator[tuple[Any, _Matrix]]:
    own = pdfium.FS_MATRIX()
    for each in objects:
        kind = pdfium.FPDFPageObj_GetType(each)
        if kind not in (pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_FORM):
            continue
        if not pdfium.FPDFPageObj_GetMatrix(each, own):
            continue
        matrix = _within((own.a, own.b, own.c, own.d, own.e, own.f), outer)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            yield each, matrix
        elif depth < _DEEPEST_FORM:
            count = pdfium.FPDFFormObj_CountObjects(each)
            inner = (pdfium.FPDFFormObj_GetObject(each, at) for at in range(count))
            yield from _paths_in(inner, matrix, depth + 1)


def _within(inner: _Matrix, outer: _Matrix) -> _Matrix:
    a, b, c, d, e, f = inner
    oa, ob, oc, od, oe, of = outer
    return (
        a * oa + b * oc,
        a * ob + b * od,
        c * oa + d * oc,
        c * ob + d * od,
        e * oa + f * oc + oe,
        e * ob + f * od + of,
    )


def _strokes(drawn: Any, matrix: _Matrix) -> Iterator[tuple[float, float, float, float]]:
    """Give the straight parts of a path that is stroked, and how far each part of one that is filled reaches."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(drawn, fill, stroke):
        return
    for points, is_curved in _subpaths(drawn, matrix):
        if stroke.value:
            for (x0, y0), (x1, y1) in pairwise(points):
                if min(abs(x0 - x1), abs(y0 - y1)) <= _STRAIGHT:
                    yield x0, y0, x1, y1
        elif fill.value and not is_curved:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            yield min(xs), min(ys), max(xs), max(ys)


def _subpaths(drawn: Any, matrix: _Matrix) -> Iterator[tuple[Sequence[tuple[float, float]], bool]]:
    """Give the points of each part of a path that hangs together, and whether it is curved."""
    a, b, c, d, e, f = matrix
    x, y = ctypes.c_float(), ctypes.c_float()
    points: list[tuple[float, float]] = []
    is_curved = False
    for at in range(pdfium.FPDFPath_CountSegments(drawn)):
        segment = pdfium.FPDFPath_GetPathSegment(drawn, at)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == pdfium.FPDF_SEGMENT_MOVETO and points:
            yield points, is_curved
            points, is_curved = [], False
        is_curved = is_curved or kind == pdfium.FPDF_SEGMENT_BEZIERTO
        points.append((a * x.value + c * y.value + e, b * x.value + d * y.value + f))
        if pdfium.FPDFPathSegment_GetClose(segment) and points[0] != points[-1]:
            points.append(points[0])
    if points:
        yield points, is_curved
