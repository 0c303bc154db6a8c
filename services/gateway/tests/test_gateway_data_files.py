"""Data files as programs write them: XML with entities, feeds with pages in them, cut lines, sheets of blank rows."""

from __future__ import annotations

import pytest
from documents.files import opendocument
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read
from trivium_serving.errors import InvalidField

BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)


def _text(format_name: str, data: str | bytes) -> str:
    return read(format_name, data.encode() if isinstance(data, str) else data, BOUNDS).text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_a_file_declares_are_what_they_stand_for(encoding: str) -> None:
    declared = '<!ENTITY product "Preß &amp; Co"><!ENTITY full "the &product; 9">'
    xml = f'<!DOCTYPE m [{declared}]><m><p name="&product;">Of &full;.</p></m>'

    assert _text("xml", xml.encode(encoding)) == "m\n\n- p: Of the Preß & Co 9. (name: Preß & Co)"


def test_entities_of_html_are_understood() -> None:
    assert _text("xml", "<m><p>9&nbsp;bar &ndash; &amp;c.</p></m>") == "m\n\n- p: 9 bar – &c."


@pytest.mark.parametrize(
    "xml",
    [
        f'<!DOCTYPE a [<!ENTITY e "{"x" * 9000}">]><a>{"&e;" * 100_000}</a>',
        f'<!DOCTYPE a [<!ENTITY e "{"<b/>" * 2000}">]><a>{"&e;" * 100_000}</a>',
        f'<!DOCTYPE a [<!ENTITY e "{"x" * 10_001}">]><a>&e;</a>',
        '<!DOCTYPE a [<!ENTITY a "&b;"><!ENTITY b "&a;">]><a>&a;</a>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a>&e;</a>',
        '<!DOCTYPE a [<!ENTITY % e "x"><!ENTITY f "y">]><a>&f;</a>',
        "<!DOCTYPE a [" + "".join(f'<!ENTITY e{at} "x">' for at in range(1001)) + "]><a>&e1;</a>",
        "<a>&unknown;</a>",
    ],
    ids=["many", "elements", "long", "loop", "file", "parameter", "thousands", "unknown"],
)
def test_entities_that_multiply_loop_or_lead_elsewhere_are_refused(xml: str) -> None:
    with pytest.raises(InvalidField) as refused:
        _text("xml", xml)
    assert refused.value.reason == "FILE_BROKEN"


def test_pages_within_a_feed_are_read_as_pages() -> None:
    page = (
        "<p>It opens at 10<sup>6</sup> Pa.</p><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>"
    )
    escaped = page.replace("<", "&lt;")
    items = [("Valve", escaped), ("Pump", "<![CDATA[Short <em>one</em><br>]]>")]
    told = "".join(f"<item><title>{title}</title><description>{page}</description></item>" for title, page in items)
    feed = f"<rss><channel>{told}</channel></rss>"

    assert _text("xml", feed) == (
        "rss\n\nchannel\n\nitem\n\n- title: Valve\n\ndescription:\n\nIt opens at 10^6 Pa.\n\n"
        "| A | B |\n| --- | --- |\n| 1 | 2 |\n\nitem\n\n- title: Pump\n- description: Short one"
    )


def test_pages_of_a_feed_that_are_elements_are_read_as_pages() -> None:
    xhtml = 'xmlns="http://www.w3.org/1999/xhtml"'
    page = f"<div {xhtml}><p>One <b>two</b>.</p><p>Three.</p></div>"
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content type="xhtml">{page}</content></entry></feed>'

    assert _text("xml", feed) == "feed\n\nentry\n\ncontent, type: xhtml\n\nOne two.\n\nThree."
    assert _text("xml", f"<html {xhtml}><body><p>One <b>two</b>.</p></body></html>") == "One two."


def test_sign_that_is_less_than_another_is_no_page() -> None:
    assert _text("xml", "<m><p>a &lt; b &gt; c, and x&lt;y&gt;z</p></m>") == "m\n\n- p: a < b > c, and x<y>z"


def test_lines_of_json_before_one_that_is_cut_off_are_kept_and_it_is_said() -> None:
    whole = '{"part": "Seal", "price": 12}\n{"part": "Pump", "price": 30}\n'
    table = "| part | price |\n| --- | --- |\n| Seal | 12 |\n| Pump | 30 |"

    assert _text("jsonl", whole) == table
    assert (
        _text("jsonl", whole + '{"part": "Va') == f"{table}\n\n(The last line of the file is cut off, and is left out.)"
    )


@pytest.mark.parametrize("data", ['{"part": "Va', '{"part": "Va\n{"part": "Seal"}\n'], ids=["alone", "not the last"])
def test_lines_of_json_that_are_damaged_elsewhere_are_refused(data: str) -> None:
    with pytest.raises(InvalidField):
        _text("jsonl", data)


def test_sheet_with_a_million_blank_rows_is_read_as_it_would_be_with_a_few() -> None:
    def row(*texts: str) -> str:
        cells = (
            f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>' for text in texts
        )
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    cells = '<table:table-cell table:number-columns-repeated="8"/>'
    blank = f'<table:table-row table:number-rows-repeated="1000000">{cells}</table:table-row>'
    first, second = row(*"ABCDEFGH"), row(*"12345678")
    sheets = "".join(
        f'<table:table table:name="S{at}">{first}{second}{blank}{second}{blank}</table:table>' for at in range(3)
    )

    text = _text("ods", opendocument("spreadsheet", sheets))

    names, rule, values = (f"| {' | '.join(cells)} |" for cells in ("ABCDEFGH", ["---"] * 8, "12345678"))
    part, lone = f"{names}\n{rule}\n{values}", f"{values}\n{rule}"
    assert text == "\n\n".join(f"## Sheet S{at}\n\n{part}\n\n{lone}" for at in range(3))
