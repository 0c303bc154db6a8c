"""Holds each sentence of an answer to the passages: what a citation stands for, and how surely that is supported."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_evidence.sentences import is_question, sentence_ends
from trivium_evidence.statements import statement_of
from trivium_evidence.support import NO_SUPPORT, Evidence, Support, Verdict, supported_by

from trivium_gateway.domain.chunks import Span, boxes_within
from trivium_gateway.domain.passages import Citation
from trivium_gateway.ingestion.structure import Place, place_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_gateway.domain.chunks import LineBox
    from trivium_gateway.domain.passages import Passage

_MARK = re.compile(r"\[\d+\]")
_MARKS_AFTER = re.compile(r"(?: ?\[\d{1,4}\])+[.。!?！？]?")
_MARK_AT_END = re.compile(r"\[\d{1,4}\]$")
# A list's or a heading's mark is no part of what is stated.
_BEFORE = re.compile(r"\s*(?:#{1,6}\s+|[-*•]\s+|\d{1,3}[.)]\s+)?")
# Shorter ones, as "Yes." or "Here it is:", state nothing that could be held to a passage.
_MIN_TERMS = 3


class Verifier:
    """Verifies one answer.

    Args:
        passages: What it may rest on; `[n]` is `passages[n-1]`.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._evidence = [
            Evidence(one.text, (one.title, *one.heading, one.table_header))
            for one in (passage.chunk for passage in passages)
        ]

    def citation(self, text: str, index: int, mark: Span) -> Citation:
        """What a mark stands for: what was said since the sentence began, or since the mark before.

        Args:
            text: The answer, up to the mark at least.
            index: Which passage it cites, from 1.
            mark: Where it stands.
        """
        sentence = _claim_before(text, mark.start)
        support = self._evidence[index - 1].support(text[sentence.start : sentence.end])
        return self._citation(index, mark, sentence, support)

    def weighed(self, text: str, citation: Citation, estimate: float, share: float) -> Citation:
        """A citation whose support is by a model's estimate, too: see Support.weighed."""
        claim = text[citation.sentence.start : citation.sentence.end]
        support = self._evidence[citation.index - 1].support(claim).weighed(estimate, share)
        return replace(citation, support=round(support.score, 3), verdict=support.verdict)

    def uncited(self, text: str, citations: Sequence[Citation]) -> list[Citation]:
        """For each sentence without a citation, one of the passage that supports it most, however little.

        Such a citation has no mark in the text: its place is empty, at the sentence's end.
        """
        found: list[Citation] = []
        cited = [one.sentence for one in citations]
        for _, _, sentence in _cut(text):
            claim = text[sentence.start : sentence.end]
            if any(one.start < sentence.end and sentence.start < one.end for one in cited) or not _states(claim):
                continue
            place, support = supported_by(claim, self._evidence) or (0, NO_SUPPORT)
            found.append(self._citation(place + 1, Span(sentence.end, sentence.end), sentence, support))
        return found

    def _citation(self, index: int, mark: Span, sentence: Span, support: Support) -> Citation:
        passage = self._passages[index - 1]
        chunk = passage.chunk
        quote, place = None, Place(chunk.heading, chunk.page)
        boxes: Sequence[LineBox] = ()
        if support.piece is not None:
            quote = Span(chunk.start + support.piece.start, chunk.start + support.piece.end)
            place = place_within(place, chunk.text, support.piece.start)
            boxes = boxes_within(chunk.boxes, quote.start, quote.end)
        score = round(support.score, 3)
        return Citation(index, passage, mark, sentence, score, support.verdict, quote, place.heading, place.page, boxes)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of an answer.

    Attributes:
        text: The text.
        citations: Its citations, by their places in it.
    """

    text: str
    citations: tuple[Citation, ...]


def supported_part(text: str, citations: Sequence[Citation], unsupported: Sequence[Span]) -> Kept:
    """An answer without the sentences that no passage supports.

    A sentence with several citations stays if one of them supports it. What states nothing, as a heading, stays.

    Args:
        text: The answer.
        citations: All of them, those without a mark included.
        unsupported: Its sentences without a citation that nothing supports.
    """
    supported = {one.sentence for one in citations if one.verdict is Verdict.SUPPORTED}
    doubted = [one.sentence for one in citations if one.sentence not in supported] + list(unsupported)
    parts: list[str] = []
    kept: list[Citation] = []
    length = 0
    for start, end, _ in _cut(text):
        if any(one.start < end and start < one.end for one in doubted):
            continue
        # What was left out before it leaves no space behind.
        part = text[start:end].lstrip(" ") if parts and parts[-1].endswith((" ", "\n")) else text[start:end]
        part = part if parts else part.lstrip()
        shift = length - start + len(part) - len(text[start:end])
        kept += [_moved(one, shift) for one in citations if start <= one.sentence.start < end]
        parts.append(part)
        length += len(part)
    return Kept("".join(parts).rstrip(), tuple(kept))


def _moved(citation: Citation, by: int) -> Citation:
    def moved(span: Span) -> Span:
        return Span(span.start + by, span.end + by)

    return replace(citation, answer_span=moved(citation.answer_span), sentence=moved(citation.sentence))


def _claim_before(text: str, end: int) -> Span:
    """What was said right before a place in an answer."""
    end = _before_marks(text, 0, end)
    start = max(text.rfind("\n", 0, end) + 1, max((one.end() for one in _MARK.finditer(text, 0, end)), default=0))
    start = max((start + one for one in sentence_ends(text[start:end]) if start + one < end), default=start)
    return _trimmed(text, start, end)


def _cut(text: str) -> Iterator[tuple[int, int, Span]]:
    """The sentences of an answer: where each begins and ends with the marks behind it, and itself without marks."""
    start = place = 0
    for line in text.splitlines(keepends=True):
        ends = [*sentence_ends(line), len(line)]
        for end in (place + one for one in ends):
            if end <= start:  # the marks behind the sentence before went over it
                continue
            marks = _MARKS_AFTER.match(text, end)
            stop = marks.end() if marks else end
            yield start, stop, _trimmed(text, start, _before_marks(text, start, end))
            start = stop
        place += len(line)


def _before_marks(text: str, start: int, end: int) -> int:
    """Where a stretch ends without the marks and the space at its end."""
    while True:
        end = start + len(text[start:end].rstrip())
        mark = _MARK_AT_END.search(text, max(start, end - 6), end)
        if mark is None:
            return end
        end = mark.start()


def _trimmed(text: str, start: int, end: int) -> Span:
    before = _BEFORE.match(text, start, end)
    start = before.end() if before else start
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    return Span(start, max(start, end))


def _states(claim: str) -> bool:
    """Whether a sentence states something that a passage can support."""
    leads_on = is_question(claim) or claim.endswith((":", "："))
    return bool(claim) and not leads_on and len(statement_of(claim).terms) >= _MIN_TERMS
