"""PDFs come out in lines, tables, headings and pages, with what was filled in and without what runs along."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    TextStringObject,
)
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.pdf import read_pdf
from trivium_serving.errors import InvalidField

BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)


@dataclass
class Page:
    """What a page has: words at places, and fields of a form."""

    words: list[tuple[float, float, str]] = field(default_factory=list)
    large: list[tuple[float, float, str]] = field(default_factory=list)
    fields: list[tuple[float, float, str, str]] = field(default_factory=list)
    picture: bool = False


def _pdf(*pages: Page, title: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = writer._add_object(DictionaryObject({NameObject(key): NameObject(names[key]) for key in names}))
    form_fields = ArrayObject()
    for each in pages:
        page = writer.add_blank_page(612, 792)
        shown = [(size, *word) for size, words in ((12, each.words), (20, each.large)) for word in words]
        drawn = "".join(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET " for size, x, y, text in shown)
        if each.picture:
            drawn += "q 600 0 0 700 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q"
        stream = DecodedStreamObject()
        stream.set_data(drawn.encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        widgets = ArrayObject()
        for x, y, name, value in each.fields:
            widget = DictionaryObject(
                {
                    NameObject("/Type"): NameObject("/Annot"),
                    NameObject("/Subtype"): NameObject("/Widget"),
                    NameObject("/FT"): NameObject("/Tx"),
                    NameObject("/T"): TextStringObject(name),
                    NameObject("/V"): TextStringObject(value),
                    NameObject("/Rect"): ArrayObject([FloatObject(at) for at in (x, y - 3, x + 200, y + 12)]),
                }
            )
            widgets.append(writer._add_object(widget))
        if widgets:
            page[NameObject("/Annots")] = widgets
            form_fields.extend(widgets)
    if form_fields:
        writer._root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): form_fields})
    if title:
        writer.add_metadata({"/Title": title})
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def _read(*pages: Page, title: str = "") -> tuple[str, str]:
    reading = read_pdf(_pdf(*pages, title=title), BOUNDS)
    return reading.title, reading.text


def _text(*pages: Page) -> str:
    return _read(*pages)[1]


def test_words_that_are_placed_one_by_one_come_out_in_lines() -> None:
    words = ["The", "relief", "valve", "opens", "at", "nine", "bar."]
    places, at = [], 72.0
    for word in words:
        places.append((at, 700.0, word))
        at += 6.7 * len(word) + 3
    assert _text(Page([*places, (72, 684, "It closes.")])) == "The relief valve opens at nine bar.\nIt closes."


def test_table_keeps_rows_columns_and_empty_cells() -> None:
    rows = [("Fluid", "Capacity", "Grade"), ("Coolant", "17.6 l", "Gold"), ("Oil", "", "5W-20"), ("Brake", "0.9 l", "")]
    cells = [(72 + 150 * x, 700 - 16 * y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell]
    assert _text(Page([(72, 740, "Fill these in."), *cells])) == (
        "Fill these in.\n\n| Fluid | Capacity | Grade |\n| --- | --- | --- |\n| Coolant | 17.6 l | Gold |\n"
        "| Oil |  | 5W-20 |\n| Brake | 0.9 l |  |"
    )


def test_cell_of_several_lines_is_one_cell() -> None:
    page = Page([(72, 700, "Part"), (250, 700, "Use"), (72, 684, "Seal"), (250, 684, "closes the"), (250, 670, "lid")])
    assert _text(page).endswith("| Seal | closes the lid |")


def test_columns_written_line_by_line_are_read_one_after_the_other() -> None:
    left = ["Drain the tank before the lid", "is opened, and let it cool for", "at least one hour in the open."]
    right = ["The pump stops after ten", "seconds without any pressure", "and must be started by hand."]
    words = [(x, 700.0 - 14 * y, line) for y in range(3) for x, line in ((72.0, left[y]), (330.0, right[y]))]
    text = _text(Page(words))
    assert text.index(left[2]) < text.index(right[0])
    assert "|" not in text


def test_larger_type_is_a_heading_and_wider_gaps_part_paragraphs() -> None:
    page = Page([(72, 670, "First."), (72, 656, "Goes on."), (72, 620, "Second.")], large=[(72, 700, "Limits")])
    page.words.sort(key=lambda word: -word[1])
    title, text = _read(page)
    assert title == "Limits" or "# Limits" in text
    assert "First.\nGoes on.\n\nSecond." in text


def test_pages_are_parted_by_form_feeds_and_a_sentence_goes_on_over_them() -> None:
    text = _text(
        Page([(72, 700, "The valve opens")]), Page([(72, 700, "at nine bar.")]), Page(), Page([(72, 700, "End.")])
    )
    assert text == "The valve opens\n\fat nine bar.\n\n\f\n\n\fEnd."
    assert text[: text.index("End.")].count("\f") == 3


def test_running_headers_and_footers_are_left_out() -> None:
    pages = [
        Page(
            [
                (72, 760, "Northwind Service Manual Rev. F"),
                (72, 700, f"The part {word} is made of steel."),
                (300, 30, f"Page {number} of 4"),
            ]
        )
        for number, word in enumerate(("alpha", "beta", "gamma", "delta"), start=1)
    ]
    text = _text(*pages)
    assert "Northwind" not in text
    assert "Page" not in text
    assert all(f"The part {word}" in text for word in ("alpha", "beta", "gamma", "delta"))


def test_lines_that_all_pages_consist_of_are_kept() -> None:
    assert "Label" in _text(*[Page([(72, 700, "Label")])] * 4)


def test_values_of_a_form_stand_with_their_labels() -> None:
    page = Page(
        [(72, 700, "Inspector:"), (72, 670, "Result:")],
        fields=[(150, 700, "who", "Jo Winter"), (150, 670, "what", "Passed"), (72, 500, "Remark", "No label")],
    )
    text = _text(page)
    assert "Inspector: Jo Winter" in text
    assert "Result: Passed" in text
    assert "Remark: No label" in text


def test_word_that_is_parted_at_a_lines_end_is_whole() -> None:
    text = _text(Page([(72, 700, "The inspec-"), (72, 686, "tion takes an hour.")]))
    assert text == "The inspection takes an hour."


@pytest.mark.parametrize(
    "title", ["untitled", "(anonymous)", "Microsoft Word - manual.doc", "report_final.indd", "PowerPoint Presentation"]
)
def test_title_that_a_program_left_is_not_taken(title: str) -> None:
    page = Page([(72, 700, "Text.")])
    assert _read(page, title=title)[0] == ""
    assert _read(page, title="Manual of the press")[0] == "Manual of the press"


def test_scan_is_told_from_an_empty_file(without_ocr: None) -> None:
    with pytest.raises(InvalidField, match="is a scan") as scan:
        _read(Page(picture=True))
    with pytest.raises(InvalidField, match="no text") as empty:
        _read(Page())
    assert scan.value.reason == empty.value.reason == "PDF_NO_TEXT"


def test_boxes_say_where_each_line_and_row_stands_on_its_page() -> None:
    rows = [("Fluid", "Grade"), ("Coolant", "Gold"), ("Oil", "5W-20")]
    cells = [(72.0 + 150 * x, 600.0 - 16 * y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row)]
    pages = Page([(72, 680, "Fill these in."), *cells], large=[(72, 500, "Spares")]), Page([(100, 500, "Second page.")])

    reading = read_pdf(_pdf(*pages), BOUNDS)

    ends = [box.start for box in reading.boxes[1:]] + [len(reading.text)]
    lines = [reading.text[box.start : end].strip() for box, end in zip(reading.boxes, ends, strict=True)]
    assert lines == [
        *("Fill these in.", "| Fluid | Grade |\n| --- | --- |", "| Coolant | Gold |", "| Oil | 5W-20 |"),
        *("# Spares", "Second page."),
    ]
    # Pages are 792 points high, and a baseline is a little above the lower edge of some letters.
    wanted = [(1, 72, 112), (1, 72, 192), (1, 72, 208), (1, 72, 224), (1, 72, 292), (2, 100, 292)]
    for box, (page, left, baseline) in zip(reading.boxes, wanted, strict=True):
        assert box.page == page
        assert abs(box.x0 - left) <= 2
        assert box.y0 < baseline - 4 < baseline - 1 <= box.y1 <= baseline + 5
        assert box.x0 < box.x1


def test_page_that_is_shown_turned_is_read_as_it_is_shown() -> None:
    # Written upwards on a page that is turned by 90 degrees: tables as wide as the paper is high are printed so.
    rows = [("Pump", "Head", "Flow"), ("Wren", "", "20.5 l/s"), ("Tarn", "3 m", "30.5 l/s")]
    words = [(100.0 + 30 * y, 72.0 + 150 * x, cell) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell]
    page = pypdf.PdfReader(io.BytesIO(_pdf(Page()))).pages[0]
    shown = "".join(f"BT /F1 12 Tf 0 1 -1 0 {x} {y} Tm ({text}) Tj ET " for x, y, text in words)
    writer = pypdf.PdfWriter()
    turned = writer.add_page(page)
    stream = DecodedStreamObject()
    stream.set_data(shown.encode())
    turned[NameObject("/Contents")] = writer._add_object(stream)
    turned.rotate(90)
    file = io.BytesIO()
    writer.write(file)

    reading = read_pdf(file.getvalue(), BOUNDS)

    assert "| Wren |  | 20.5 l/s |" in reading.text
    row = next(box for box in reading.boxes if reading.text[box.start :].startswith("| Wren"))
    assert abs(row.x0 - 72) <= 2
    assert abs(row.y1 - 130) <= 3


def test_table_over_pages_keeps_its_names_of_columns_and_rows_that_differ_in_numbers_alone() -> None:
    pages = []
    for number in range(4):
        rows = [("No", "Name", "Value")] + [
            (f"{at}", f"Item {at}", f"{at} mm") for at in range(9 * number, 9 * number + 9)
        ]
        cells = [(72.0 + 150 * x, 700.0 - 16 * y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row)]
        pages.append(Page([*cells, (72, 760, "Price list"), (400, 760, f"Page {number + 1}")]))
    text = _text(*pages)
    assert [line for line in text.splitlines() if "Item" in line] == [
        f"| {at} | Item {at} | {at} mm |" for at in range(36)
    ]
    assert text.count("| No | Name | Value |") == 4
    assert "Price list" not in text
    assert "Page" not in text


def test_lines_at_the_top_of_each_page_that_differ_in_numbers_alone_are_kept() -> None:
    text = _text(
        *[Page([(72, 760, f"The part {at} weighs {at * 3} kg."), (72, 700, "Keep it.")]) for at in (4, 9, 17, 30)]
    )
    assert "The part 9 weighs 27 kg." in text


@pytest.mark.parametrize(
    ("before", "rise", "small", "behind", "text"),
    [
        ("It holds 10", 5, "6", " litres.", "It holds 10^6 litres."),
        ("It holds 10", 5, "-12", " litres.", "It holds 10^-12 litres."),
        ("They have 25 m", 5, "2", " each.", "They have 25 m² each."),
        ("It is tested.", 5, "3", " Then", "It is tested.[^3] Then"),
        ("All of H", -3, "2", "O here.", "All of H2O here."),
    ],
    ids=["exponent", "negative", "unit", "note", "index"],
)
def test_raised_digits_do_not_run_into_the_number_before_them(
    before: str, rise: int, small: str, behind: str, text: str
) -> None:
    shown = f"BT 72 700 Td /F1 12 Tf ({before}) Tj {rise} Ts /F1 7 Tf ({small}) Tj 0 Ts /F1 12 Tf ({behind}) Tj ET"
    assert read_pdf(_with_content(shown), BOUNDS).text == text


def _with_content(shown: str) -> bytes:
    """A file of one page that is drawn so."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(_pdf(Page([(72, 700, "x")]))))
    stream = DecodedStreamObject()
    stream.set_data(shown.encode("latin-1"))
    writer.pages[0][NameObject("/Contents")] = writer._add_object(stream)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()
