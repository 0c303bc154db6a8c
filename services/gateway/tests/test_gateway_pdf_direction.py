"""Lines of PDF pages in Hebrew and Arabic come out as they are read, whatever order the file has them in."""

from __future__ import annotations

import pytest
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.pdf import read_pdf
from trivium_gateway.ingestion.pdf_direction import Glyph, reading_order

_SIZE = 10.0


def _pdf(lines: list[tuple[int, int, str]]) -> bytes:
    """A page with each line where it is shown, letter by letter from left to right, as programs draw them.

    Its font is called by the letters' own codes, half as wide as high.
    """
    shown = "".join(
        f"BT /F 10 Tf {x} {y} Td <{''.join(f'{ord(letter):04X}' for letter in text)}> Tj ET\n" for x, y, text in lines
    )
    codes = "1 beginbfrange <0020> <06FF> <0020> endbfrange"
    to_unicode = (
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /M def /CMapType 2 def "
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange {codes} endcmap end"
    )
    font = "/Type /Font /Subtype /CIDFontType2 /BaseFont /Arial /DW 500"
    system = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    described = "/FontDescriptor << /Type /FontDescriptor /FontName /Arial /Flags 4 /Ascent 800 /Descent -200 >>"
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
        f"<< /Length {len(shown)} >>\nstream\n{shown}endstream",
        "<< /Type /Font /Subtype /Type0 /BaseFont /Arial /Encoding /Identity-H /DescendantFonts [6 0 R] "
        "/ToUnicode 7 0 R >>",
        f"<< {font} {system} {described} >>",
        f"<< /Length {len(to_unicode)} >>\nstream\n{to_unicode}\nendstream",
    ]
    objects = "".join(f"{number} 0 obj\n{body}\nendobj\n" for number, body in enumerate(bodies, 1))
    return f"%PDF-1.7\n{objects}trailer << /Root 1 0 R >>\n".encode()


def _read(*lines: tuple[int, int, str]) -> str:
    return read_pdf(_pdf(list(lines)), Bounds(max_pages=9, max_characters=9999)).text


def _visual(text: str, *turned: str) -> str:
    """How a line of a page that is read from the right is drawn from the left: turned, but for what is not."""
    for part in turned:
        text = text.replace(part, part[::-1])
    return text[::-1]


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("שסתום הביטחון נפתח בלחץ של 12.5 בר", ["12.5"]),
        ("המספר הוא KX-200 משנת 2024, עמוד 12-14", ["KX-200", "2024", "12-14"]),
        ("ראו בספר Pump Guide 3 בעמוד 7", ["Pump Guide 3"]),
        ("صمام الضغط يفتح عند ١٢٫٥ بار", ["١٢٫٥"]),
    ],
    ids=["number", "numbers", "words", "arabic"],
)
def test_line_from_the_right_is_read_as_it_was_written(text: str, turned: list[str]) -> None:
    assert _read((50, 700, _visual(text, *turned))) == text


def test_table_from_the_right_begins_with_its_right_column() -> None:
    rows = [("דגם", "לחץ", "זרימה"), ("ורן", "7 בר", "20.5"), ("טארן", "8 בר", "30.5")]
    lines = [
        (400 - 150 * column, 700 - 20 * at, _visual(cell, "20.5", "30.5"))
        for at, row in enumerate(rows)
        for column, cell in enumerate(row)
    ]
    assert _read(*lines) == "| דגם | לחץ | זרימה |\n| --- | --- | --- |\n| ורן | 7 בר | 20.5 |\n| טארן | 8 בר | 30.5 |"


def test_words_from_the_right_within_a_page_from_the_left_stay_in_their_place() -> None:
    assert _read((50, 700, "The sign says " + "שלום עולם"[::-1] + " in large letters.")) == (
        "The sign says שלום עולם in large letters."
    )


def test_letters_with_marks_ligatures_and_percentages_are_kept() -> None:
    glyphs = [Glyph("ם", 0, 5), Glyph("ו", 5, 10), Glyph("ל", 10, 15), Glyph("ׁ", 16, 17), Glyph("ש", 15, 20)]
    assert reading_order(glyphs, _SIZE, 1.2, from_right=True) == [("שׁלום", 0, 20)]
    percentage = [Glyph(each, 5 * at, 5 * at + 5) for at, each in enumerate("50%")]
    assert reading_order(percentage, _SIZE, 1.2, from_right=True) == [("50%", 0, 15)]
    assert reading_order([Glyph("ل", 0, 5), Glyph("ا", 0, 5)], _SIZE, 1.2, from_right=True) == [("لا", 0, 5)]
