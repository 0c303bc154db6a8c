"""Files as programs write them now and then: what they show is read, and what they do not show is not."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from documents.known.office import office_file, pptx
from documents.known.word import docx
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_serving.errors import InvalidField

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STRICT = {
    "wordprocessingml": "http://purl.oclc.org/ooxml/wordprocessingml/main",
    "presentationml": "http://purl.oclc.org/ooxml/presentationml/main",
    "drawingml": "http://purl.oclc.org/ooxml/drawingml/main",
    "officeDocument": "http://purl.oclc.org/ooxml/officeDocument/relationships",
}


def text_of(data: bytes | str, name: str) -> str:
    """What comes out of a file."""
    content = data.encode() if isinstance(data, str) else data
    return read(recognise(content, name).name, content, Bounds(max_pages=100, max_characters=1_000_000)).text


def strict(data: bytes) -> bytes:
    """An Office file as "Strict Open XML" has it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            text = before.read(name).decode()
            for kind, namespace in _STRICT.items():
                last = "relationships" if kind == "officeDocument" else "main"
                text = text.replace(f"http://schemas.openxmlformats.org/{kind}/2006/{last}", namespace)
            after.writestr(name, text)
    return out.getvalue()


def _run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_office_files_in_the_strict_form_are_read_as_others_are() -> None:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="S"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody>'
        "<a:bodyPr/><a:p><a:r><a:t>The slide says 42.</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    word = docx(f"<w:p>{_run('The limit is 81 bar.')}</w:p>")
    slides = pptx(shape, "Notes say 43.")

    assert text_of(strict(word), "a.docx") == text_of(word, "a.docx")
    assert "The limit is 81 bar." in text_of(strict(word), "a.docx")
    assert text_of(strict(slides), "a.pptx") == text_of(slides, "a.pptx")
    assert "The slide says 42." in text_of(strict(slides), "a.pptx")


def test_hidden_text_of_word_is_left_out_and_signs_of_the_symbol_font_are_read() -> None:
    shown, hidden = _run("Shown "), _run("hidden ", "<w:vanish/>")
    again = _run("and this", '<w:vanish w:val="0"/>')
    sign = '<w:r><w:sym w:font="Symbol" w:char="F0B1"/></w:r>'
    degrees = _run("2 \uf0b0C, 5 \uf06dm")
    text = text_of(docx(f"<w:p>{shown}{hidden}{again}</w:p><w:p>{_run('At 40 ')}{sign}{degrees}</w:p>"), "a.docx")
    assert "Shown and this" in text
    assert "At 40 ±2 °C, 5 µm" in text


def test_deleted_and_hidden_text_of_rtf_is_left_out() -> None:
    text = text_of(r"{\rtf1\ansi The limit is {\deleted 40}{\revised 56} bar{\v hidden}.\v so\v0 ok\par}", "a.rtf")
    assert text.strip() == "The limit is 56 bar.ok"


def test_percentages_and_units_of_excel_are_read_as_they_are_shown() -> None:
    forms = {
        164: "0.0%",
        165: "0&quot;%&quot;",
        166: "#,##0.00\\ &quot;EUR&quot;;[Red]-#,##0.00",
        167: "0&quot; bar&quot;",
        168: "[$€-407] #,##0",
        169: "_-* #,##0.00\\ [$kr-41D]_-",
        170: "0.0,,&quot;M&quot;",
        171: "# ?/?",
        172: "(###) ###-####",
    }
    numbers = (0, 164, 9, *range(165, 173))
    written = "".join(f'<numFmt numFmtId="{number}" formatCode="{code}"/>' for number, code in forms.items())
    styles = (
        f"<numFmts>{written}</numFmts><fonts><font/></fonts><fills><fill/></fills><borders><border/></borders>"
        "<cellStyleXfs><xf/></cellStyleXfs>"
        f"<cellXfs>{''.join(f'<xf numFmtId={chr(34)}{number}{chr(34)}/>' for number in numbers)}</cellXfs>"
    )
    rows = [("Share", 1, 0.125), ("Half", 2, 0.5), ("Plain", 0, 0.125), ("Quoted", 3, 12.5), ("Third", 1, 0.333333)]
    rows += [
        ("Price", 4, 1234.5),
        ("Limit", 5, 9),
        ("Fee", 6, 20),
        ("Toll", 7, 30),
        ("Sales", 8, 1.2e6),
        ("Part", 9, 0.25),
    ]
    rows += [("Phone", 10, 5551234567), ("Long", 0, 12345678901234568)]
    cells = "".join(
        f'<row r="{at}"><c r="A{at}" t="inlineStr"><is><t>{name}</t></is></c>'
        f'<c r="B{at}" s="{style}"><v>{value}</v></c></row>'
        for at, (name, style, value) in enumerate(rows, 1)
    )
    sheets = '<sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets>'
    book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}">{sheets}</workbook>'
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>'
    data = office_file(
        "xl/workbook.xml",
        {
            "xl/workbook.xml": ("spreadsheetml.sheet.main", book),
            "xl/worksheets/sheet1.xml": ("spreadsheetml.worksheet", sheet),
            "xl/styles.xml": ("spreadsheetml.styles", f'<styleSheet xmlns="{_MAIN}">{styles}</styleSheet>'),
        },
        {"xl/workbook.xml": {"worksheets/sheet1.xml": "worksheet", "styles.xml": "styles"}},
    )
    lines = text_of(data, "a.xlsx").splitlines()
    wanted = ["| Share | 12.5% |", "| Half | 50% |", "| Plain | 0.125 |", "| Quoted | 12.5 |", "| Third | 33.3333% |"]
    wanted += [
        "| Price | 1234.5 EUR |",
        "| Limit | 9 bar |",
        "| Fee | € 20 |",
        "| Toll | 30 kr |",
        "| Sales | 1200000 |",
    ]
    wanted += ["| Part | 0.25 |", "| Phone | 5551234567 |", "| Long | 12345678901234568 |"]
    assert [line for line in wanted if line in lines] == wanted


def test_raised_digits_of_excel_do_not_run_into_the_number_before_them() -> None:
    run = '<r><rPr><vertAlign val="superscript"/></rPr><t>{}</t></r>'
    texts = [
        f"<si><r><t>10</t></r>{run.format(6)}<r><t xml:space='preserve'> litres</t></r></si>",
        "<si><t>106</t></si>",
    ]
    cells = "".join(f'<row r="{at}"><c r="A{at}" t="s"><v>{at - 1}</v></c></row>' for at in (1, 2))
    sheets = '<sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets>'
    data = office_file(
        "xl/workbook.xml",
        {
            "xl/workbook.xml": (
                "spreadsheetml.sheet.main",
                f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}">{sheets}</workbook>',
            ),
            "xl/worksheets/sheet1.xml": (
                "spreadsheetml.worksheet",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>',
            ),
            "xl/sharedStrings.xml": ("spreadsheetml.sharedStrings", f'<sst xmlns="{_MAIN}">{"".join(texts)}</sst>'),
        },
        {"xl/workbook.xml": {"worksheets/sheet1.xml": "worksheet", "sharedStrings.xml": "sharedStrings"}},
    )
    assert text_of(data, "a.xlsx").split("\n\n")[1:] == ["10^6 litres", "106"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("sep=;\r\nName;Price\r\nNut;0,80\r\n", "| Name | Price |\n| --- | --- |\n| Nut | 0,80 |"),
        (
            "Report of sales\nMade in January\n\nRegion,Sales\nNorth,310\n",
            "Report of sales\n\nMade in January\n\n| Region | Sales |\n| --- | --- |\n| North | 310 |",
        ),
        ("Word\nkite\nheron\n", "| Word |\n| --- |\n| kite |\n| heron |"),
        ("Name^Price\nNut^0,80\nCog^1,10\n", "| Name | Price |\n| --- | --- |\n| Nut | 0,80 |\n| Cog | 1,10 |"),
        ("Name:Price\nNut:80\nCog:110\n", "| Name | Price |\n| --- | --- |\n| Nut | 80 |\n| Cog | 110 |"),
        ("Time\n10:30\n11:45\n", "| Time |\n| --- |\n| 10:30 |\n| 11:45 |"),
        ("Host: a\nhttp://b\n", "| Host: a |\n| --- |\n| http://b |"),
        (
            '"Doe, John";"Paris, France"\n"Roe, Jane";"Rome, Italy"\n',
            "| Doe, John | Paris, France |\n| --- | --- |\n| Roe, Jane | Rome, Italy |",
        ),
        (
            'Part,Size\nNut,"5\nCog,"6, or 7"\nPin,8\n',
            '| Part | Size |\n| --- | --- |\n| Nut | "5 |\n| Cog | 6, or 7 |\n| Pin | 8 |',
        ),
    ],
    ids=["declared", "title", "one column", "carets", "colons", "times", "no table", "commas in quotes", "stray quote"],
)
def test_table_as_text_begins_with_its_header(data: str, expected: str) -> None:
    assert text_of(data, "a.csv").strip() == expected


def test_records_within_records_are_rows_with_all_that_belongs_to_them() -> None:
    pumps = [{"id": f"P{at}", "limits": {"max": at + 70, "unit": "bar"}, "tags": ["a", "b"]} for at in (1, 2)]
    text = text_of(json.dumps({"site": {"name": "Oslo", "pumps": pumps}}), "a.json")
    assert "site.name: Oslo" in text
    assert "site.pumps:\n\n| id | limits.max | limits.unit | tags |" in text
    assert "| P2 | 72 | bar | a, b |" in text
    lines = "\n".join(json.dumps(pump) for pump in pumps)
    assert "| P1 | 71 | bar | a, b |" in text_of(lines, "a.jsonl")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", '{"a":1,"b":null}\n\nnull\n{"a":null,"b":"x"}\n[1,2]\n', "| 1 |  |\n|  | x |\n\n- 1, 2"),
        ("a.json", '// how\n{"a": 1, /* x */ "b": "y // z, ]",}\n', "- a: 1\n- b: y // z, ]"),
        ("a.json", '{"a":1,"b":2}\n{"a":3,"b":4}\n', "| 1 | 2 |\n| 3 | 4 |"),
        (
            "a.json",
            json.dumps({"net": {"inner": {"hosts": [{"name": "a", "ip": "1"}, {"name": "b", "ip": "2"}]}}}),
            "net.inner.hosts:\n\n| name | ip |\n| --- | --- |\n| a | 1 |",
        ),
        ("a.json", json.dumps([{"id": at, "text": "word " * 50} for at in (1, 2)]), "word\n\n- id: 2"),
    ],
    ids=["nulls", "comments", "values in a row", "deep table", "long records"],
)
def test_records_stay_apart_and_tables_are_found(name: str, data: str, said: str) -> None:
    assert said in text_of(data, name)


def test_notebook_says_with_which_error_a_cell_ended() -> None:
    output = {"output_type": "error", "ename": "ValueError", "evalue": "bad 55", "traceback": ["\x1b[0;31mValueError"]}
    cell = {"cell_type": "code", "source": "x", "outputs": [output]}
    text = text_of(json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}), "a.ipynb")
    assert "ValueError: bad 55" in text
    assert "\x1b" not in text


def test_entities_of_subtitles_are_characters() -> None:
    text = text_of("WEBVTT\n\n00:00:04.000 --> 00:00:05.000\nClose &amp; go &lt;now&gt;.\n", "a.vtt")
    assert "Close & go <now>." in text


def test_names_that_the_author_of_latex_gave_to_words_are_those_words() -> None:
    source = (
        r"\newcommand{\unit}{bar}\newcommand{\two}[1]{#1#1}\begin{document}At 12~\unit{} or 5\,\% \units "
        r"\begin{tabular}{l|r}Part & Price \\ Cog \& Co & \$14 \\\end{tabular}\end{document}"
    )
    text = text_of(source, "a.tex")
    assert r"At 12 bar or 5 % \units" in text
    assert r"| Cog & Co | \$14 |" in text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (r"At \SI{5}{\bar} and \qty[round]{2}{\kilo\metre\per\second\squared}.", "At 5 bar and 2 kilometre/second²."),
        (
            r"It is \num{3e8} \unit{\metre\per\second}, or \SI{20}{\degreeCelsius}.",
            "It is 3×10^8 metre/second, or 20 °C.",
        ),
        (r"\begin{itemize}\item one 44 \item two 45\end{itemize}", "- one 44\n- two 45"),
    ],
    ids=["quantities", "number and unit", "items in a line"],
)
def test_latex_is_read_as_it_is_printed(source: str, said: str) -> None:
    assert said in text_of(rf"\begin{{document}}{source}\end{{document}}", "a.tex")


def test_table_within_a_cell_of_rich_text_is_told_apart() -> None:
    inner = r"\itap2 in1\nestcell in2\nestcell{\*\nesttableprops\trowd\nestrow}"
    text = text_of(rf"{{\rtf1\ansi\trowd\intbl out\cell {inner}\intbl end\cell\row\pard x\par}}", "a.rtf")
    assert "in1, in2" in text
    assert "in1in2" not in text


_HEAD = "Subject: Valve\nFrom: a@b.c\nMIME-Version: 1.0\nContent-Type: "
_TWO = "\n\n--B\nContent-Type: {}\n\n{}\n--B\nContent-Type: {}\n\n{}\n--B--\n"


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        ("Subject: Valve\nFrom: a@b.c\n\nGröße 32 mm\n", ["Größe 32 mm"]),
        (
            f"{_HEAD}multipart/alternative; boundary=B" + _TWO.format("text/plain", " ", "text/html", "<p>Page 35</p>"),
            ["Page 35"],
        ),
        (
            f"{_HEAD}multipart/mixed; boundary=B" + _TWO.format("text/plain", "First 38", "text/plain", "Second 39"),
            ["First 38", "Second 39"],
        ),
        (f"{_HEAD}multipart/mixed; boundary=X\n\n--B\nContent-Type: text/plain\n\nBody 45\n", ["Body 45"]),
        (f"\ufeff{_HEAD}text/plain\n\nBody 46\n", ["Subject: Valve", "Body 46"]),
        (
            f"{_HEAD}multipart/report; boundary=B"
            + _TWO.format("text/plain", "Not delivered.", "message/delivery-status", "Action: a\n\nStatus: 5.1.1"),
            ["Not delivered.", "Status: 5.1.1"],
        ),
        (
            f"{_HEAD}multipart/related; boundary=B"
            + _TWO.format("text/html", "<p>Page 47 <img src='cid:x'></p>", "image/png\nContent-ID: <x>", "x"),
            ["Page 47"],
        ),
        (f"{_HEAD}text/calendar\n\nBEGIN:VCALENDAR\nSUMMARY:Review 41\nEND:VCALENDAR\n", ["SUMMARY:Review 41"]),
    ],
    ids=[
        *("no charset", "blank plain text", "two texts", "wrong boundary", "mark", "not delivered", "picture shown"),
        "invitation",
    ],
)
def test_mail_says_what_is_written_in_it(mail: str, said: list[str]) -> None:
    text = text_of(mail, "a.eml")
    assert [one for one in said if one in text] == said
    assert "Attachment" not in text


def test_table_with_line_ends_of_old_macs_has_rows() -> None:
    assert "| Nut | 8 |\n| Cog | 9 |" in text_of("Part,Price\rNut,8\rCog,9\r", "a.csv")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}}\f1 \'cf\'f0\'e8\f0 \'e4}", "Приä"),
        (r"{\rtf1\mac Pr\'9ffung}", "Prüfung"),
        (r"{\rtf1\pc Pr\'81fung}", "Prüfung"),
        (r"{\rtf1\ansi{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt In a box.\par}}}After\par}", "In a box."),
        ("{\\rtf1\\ansi Before {\\pict\\bin5 \\}{}x}after\\par}", "Before after"),
    ],
    ids=["font", "mac", "pc", "text box", "picture"],
)
def test_rich_text_is_read_in_the_encoding_of_its_fonts_with_its_boxes_and_without_pictures(
    source: str, said: str
) -> None:
    assert said in text_of(source, "a.rtf")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            {"data": {"text/html": ["<table><tr><th>a</th><th>b</th></tr><tr><td>81</td><td>82</td></tr></table>"]}},
            "| 81 | 82 |",
        ),
        (
            {"data": {"text/plain": ["<IPython.core.display.HTML object>"], "text/html": "<p>It is 83.</p>"}},
            "It is 83.",
        ),
        ({"data": {"text/markdown": ["**84**"]}}, "**84**"),
        ({"text": "\x1b[31mred 85\x1b[0m\n"}, "\nred 85\n"),
    ],
    ids=["page", "page beside an object", "markdown", "colours"],
)
def test_output_of_a_notebook_is_what_it_shows(output: dict[str, object], said: str) -> None:
    cell = {"cell_type": "code", "source": "x", "outputs": [{"output_type": "display_data", **output}]}
    assert said in text_of(json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}), "a.ipynb")


def test_pictures_of_a_page_are_described_but_for_links_and_names() -> None:
    text = text_of(
        '<html><body><p>See <img src="x.png" alt="Valve at 9 bar">.<img alt="IMG_2034"></p>'
        '<a href="/"><img alt="Our logo"></a></body></html>',
        "a.html",
    )
    assert text.strip() == "See [Valve at 9 bar]."


def test_notes_of_an_e_book_stand_beside_their_text_with_marks_that_are_no_numbers() -> None:
    chapter = (
        '<html xmlns:epub="http://www.idpf.org/2007/ops"><body>'
        '<p>It takes 100<a epub:type="noteref" href="#f">1</a> s.</p>'
        '<aside epub:type="footnote" id="f">When warm.</aside><aside>Buy more.</aside></body></html>'
    )
    text = text_of(chapter, "a.xhtml")
    assert "It takes 100[^1] s." in text
    assert "When warm." in text
    assert "Buy more." not in text


def test_lists_of_latex_keep_their_numbers_also_within_others() -> None:
    source = r"""\begin{document}
\begin{enumerate}
  \item Open the valve.
  \begin{itemize} \item slowly \item [hot] wear gloves
  \end{itemize}
  \item Drain it.
\end{enumerate}
\begin{enumerate}[label=(\alph*), start=4]\item Close it.\end{enumerate}
\end{document}"""
    lines = [line for line in text_of(source, "a.tex").splitlines() if line.strip()]
    assert lines == ["1. Open the valve.", "   - slowly", "   - hot: wear gloves", "2. Drain it.", "4. Close it."]


@pytest.mark.parametrize("media_type", ["application/pkcs7-mime; name=smime.p7m", "multipart/encrypted; boundary=B"])
def test_mail_that_is_encrypted_is_refused_and_among_others_said(media_type: str) -> None:
    mail = f"Subject: Valve\nFrom: a@b.c\nContent-Type: {media_type}\nContent-Transfer-Encoding: base64\n\nMIIB\n"
    with pytest.raises(InvalidField) as refused:
        text_of(mail, "a.eml")
    assert refused.value.reason == "FILE_ENCRYPTED"
    text = text_of(f"From a@b.c Mon\n{mail}\nFrom a@b.c Mon\nSubject: Pump\n\nText.\n", "a.mbox")
    assert "(encrypted)" in text
    assert "Text." in text
