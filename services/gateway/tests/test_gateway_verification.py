"""Which sentence of an answer a citation stands for, how surely it is supported, and what stays when only that may."""

from __future__ import annotations

import re

from trivium_evidence.support import Verdict
from trivium_gateway.answering.verification import Verifier, supported_part
from trivium_gateway.domain.chunks import Chunk, LineBox, Span
from trivium_gateway.domain.passages import Citation, Passage, Scores

TEXT = "The warranty lasts 36 months from delivery. Lamps are not covered. Returns are free within 14 days."


def passage(document_id: str, text: str, start: int = 0) -> Passage:
    """A passage that stands somewhere in its document."""
    chunk = Chunk(document_id, 0, "Title", "", text, start, start + len(text), "1", 1, {})
    return Passage(document_id, chunk, 0.9, Scores())


PASSAGE = passage("terms", TEXT, start=100)
OTHER = passage("birds", "Herons eat fish and frogs.")


def cited(text: str, *passages: Passage) -> list[Citation]:
    """The citations of an answer, as they are when it streams: each with the text up to its mark alone."""
    verifier = Verifier(passages or (PASSAGE, OTHER))
    found, place = [], 0
    while (place := text.find("[", place)) >= 0:
        end = text.index("]", place) + 1
        found.append(verifier.citation(text[:end], int(text[place + 1 : end - 1]), Span(place, end)))
        place = end
    return found


def said(text: str, citation: Citation) -> str:
    """The part of an answer that a citation stands for."""
    return text[citation.sentence.start : citation.sentence.end]


def test_citation_stands_for_its_sentence_and_quotes_the_documents() -> None:
    text = "Here is what I found. The warranty lasts 36 months. [1] Returns are free within 14 days [1]."

    first, second = cited(text)

    assert said(text, first) == "The warranty lasts 36 months."
    assert said(text, second) == "Returns are free within 14 days"
    assert first.quote is not None
    assert TEXT[first.quote.start - 100 : first.quote.end - 100] == "The warranty lasts 36 months from delivery."
    assert first.verdict is second.verdict is Verdict.SUPPORTED


def test_citation_behind_another_stands_for_the_same_sentence() -> None:
    text = "- The warranty lasts 36 months [1][2]."

    first, second = cited(text)

    assert first.sentence == second.sentence
    assert said(text, second) == "The warranty lasts 36 months"
    assert (first.verdict, second.verdict) == (Verdict.SUPPORTED, Verdict.UNSUPPORTED)


def test_citation_amid_a_sentence_stands_for_what_was_said_since_the_mark_before() -> None:
    text = "The warranty lasts 36 months [1] and herons eat fish [2]."

    _, second = cited(text)

    assert said(text, second) == "and herons eat fish"
    assert second.verdict is Verdict.SUPPORTED


def test_citation_of_a_wrong_number_is_unsupported() -> None:
    (wrong,) = cited("The warranty lasts 24 months from delivery. [1]")

    assert wrong.verdict is Verdict.UNSUPPORTED
    assert wrong.support < 0.4


def test_uncited_sentences_have_the_passage_that_supports_them_most() -> None:
    text = "Herons eat fish and frogs. Lamps are not covered. [1] Otters sleep in large rivers. So:"
    citations = cited(text)

    supported, other = Verifier((PASSAGE, OTHER)).uncited(text, citations)

    assert (supported.index, said(text, supported)) == (2, "Herons eat fish and frogs.")
    assert (supported.verdict, supported.answer_span) == (Verdict.SUPPORTED, Span(26, 26))
    assert said(text, other) == "Otters sleep in large rivers."
    assert other.verdict is not Verdict.SUPPORTED


def test_supported_part_keeps_what_passages_say_and_moves_its_citations() -> None:
    text = (
        "# Terms\n\nThe warranty lasts 24 months. [1] Lamps are not covered. [1]\n\n"
        "- Otters sleep in large rivers.\n- Returns are free within 14 days. [2][1]\n"
    )
    citations = cited(text)
    unsupported = [one.sentence for one in Verifier((PASSAGE, OTHER)).uncited(text, citations)]

    kept = supported_part(text, citations, unsupported)

    assert (
        re.sub(r"\n+", "\n\n", kept.text)
        == "# Terms\n\nLamps are not covered. [1]\n\n- Returns are free within 14 days. [2][1]"
    )
    for one in kept.citations:
        assert kept.text[one.answer_span.start : one.answer_span.end] == f"[{one.index}]"
    assert [said(kept.text, one) for one in kept.citations] == [
        "Lamps are not covered.",
        "Returns are free within 14 days.",
        "Returns are free within 14 days.",
    ]


def test_supported_part_of_an_answer_that_nothing_supports_is_empty() -> None:
    text = "The warranty lasts 24 months. [1]"

    assert supported_part(text, cited(text), ()).text == ""


def test_citation_has_the_boxes_of_the_lines_that_it_quotes_and_no_others() -> None:
    text = "The warranty lasts\n36 months from delivery.\nLamps are not covered."
    starts = [0, text.index("36"), text.index("Lamps")]
    boxes = [LineBox(40 + start, 3, 72.0, 100.0 + 16 * at, 300.0, 110.0 + 16 * at) for at, start in enumerate(starts)]
    chunk = Chunk("terms", 0, "", "", text, 40, 40 + len(text), "1", 1, {}, page=3, boxes=boxes)

    (citation,) = cited("The warranty lasts 36 months from delivery. [1]", Passage("p", chunk, 0.9, Scores()))

    assert citation.quote is not None
    assert list(citation.boxes) == boxes[:2]
