"""Tables, notes and list numbers of other markup stand in the text as Markdown has them."""

from __future__ import annotations

import pytest
from documents.files import opendocument
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read

BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)
TABLE = "| Pump | Head | Flow |\n| --- | --- | --- |\n| P-1 |  | 12 l/s |\n| P-2 | 9 m | 14 l/s |"
GRID = """
+------+------+---------+
| Pump | Head | Flow    |
+======+======+=========+
| P-1  |      | 12 l/s  |
+------+------+---------+
| P-2  | 9 m  | 14      |
|      |      | l/s     |
+------+------+---------+
"""
SIMPLE = """
====  ====  ======
Pump  Head  Flow
====  ====  ======
P-1         12 l/s
P-2   9 m   14 l/s
====  ====  ======

"""
LISTED = """
.. list-table:: Pumps
   :header-rows: 1

   * - Pump
     - Head
     - Flow
   * - P-1
     -
     - 12 l/s
   * - P-2
     - 9 m
     - 14
       l/s
"""
CSV = '\n.. csv-table:: Pumps\n   :header: "Pump", "Head", "Flow"\n\n   "P-1", "", "12 l/s"\n   "P-2", "9 m", 14 l/s\n'
ORG = "\n| Pump | Head | Flow |\n|------+------+------|\n| P-1 | | 12 l/s |\n| P-2 | 9 m | 14 l/s |\n"
TEX = (
    "\\begin{document}\\begin{tabular}{l|r@{\\,}r}\\toprule Pump & Head & Flow \\\\[2pt] \\midrule\n"
    "P-1 & & 12 l/s \\\\ \\cmidrule(lr){1-2} P-2 & 9 m & 14 l/s \\\\ \\bottomrule\\end{tabular}\\end{document}"
)


@pytest.mark.parametrize(
    ("format_name", "written"),
    [("rst", GRID), ("rst", SIMPLE), ("rst", LISTED), ("rst", CSV), ("org", ORG), ("latex", TEX)],
    ids=["grid", "simple", "list-table", "csv-table", "org", "tabular"],
)
def test_table_of_markup_keeps_each_value_under_its_column(format_name: str, written: str) -> None:
    assert read(format_name, f"Before.\n{written}\nAfter.\n".encode(), BOUNDS).text.count(TABLE) == 1


def test_grid_with_merged_cells_says_them_in_each_cell() -> None:
    lines = ["| A  | B  |", "+====+====+", "| one     |", "+----+----+", "| x  | 1  |", "|    +----+", "|    | 2  |"]
    grid = "\n".join(["+----+----+", *lines, "+----+----+"])

    text = read("rst", grid.encode(), BOUNDS).text

    assert [line for line in text.splitlines() if line][2:] == ["| one | one |", "| x | 1 |", "| x | 2 |"]


def test_latex_table_with_merged_cells_says_them_in_each_cell() -> None:
    table = rb"\begin{tabular}{lll} A & B & C \\ \multirow{2}{*}{x} & \multicolumn{2}{c}{both} \\ & 1 & 2\end{tabular}"

    text = read("latex", table, BOUNDS).text

    assert text.splitlines()[2:] == ["| x | both | both |", "| x | 1 | 2 |"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (rb"It stands $10^{6}$ cycles.", "It stands 10^6 cycles."),
        (rb"At $60\,^\circ$C or more.", "At 60 °C or more."),
        (rb"It is $\frac{a}{b}$.", r"It is $\frac{a}{b}$."),
        (rb"It costs \$5 or \$6.", r"It costs \$5 or \$6."),
    ],
)
def test_latex_formula_of_a_few_signs_is_written_as_people_do(written: bytes, expected: str) -> None:
    assert read("latex", written, BOUNDS).text == expected


@pytest.mark.parametrize(
    ("format_name", "written"),
    [
        ("rst", b"Tested [#hot]_ once.\n\n.. [#hot] At 60 C.\n"),
        ("org", b"Tested[fn:hot] once.\n\n[fn:hot] At 60 C.\n"),
    ],
)
def test_note_of_markup_has_its_mark_in_the_text_and_before_itself(format_name: str, written: bytes) -> None:
    assert read(format_name, written, BOUNDS).text.rstrip() == "Tested[^hot] once.\n\n[^hot]: At 60 C."


def test_rich_text_list_has_its_numbers() -> None:
    steps = (
        rb"{\listtext 1.\tab}\ls1 Close.\par {\listtext\ilvl1 a)\tab}\ls1\ilvl1 Wait.\par {\pntext\'B7\tab}Drain.\par}"
    )

    text = read("rtf", rb"{\rtf1\ansi\pard " + steps, BOUNDS).text

    assert text == "1. Close.\n    a) Wait.\n    - Drain."


def test_records_in_xml_and_json_become_tables() -> None:
    elements = b"<plant><site>Graz</site><pump><id>P-1</id><flow>12</flow></pump><pump><id>P-2</id></pump></plant>"
    attributes = b'<plant><site>Graz</site><pump id="P-1" flow="12"/><pump id="P-2"/></plant>'
    named = b'{"site": "Graz", "pump": {"P-1": {"flow": 12, "head": 9}, "P-2": {"flow": 14}}}'

    for data in (elements, attributes):
        assert read("xml", data, BOUNDS).text == (
            "plant\n\n- site: Graz\n\n| id | flow |\n| --- | --- |\n| P-1 | 12 |\n| P-2 |  |"
        )
    assert read("json", named, BOUNDS).text == (
        "- site: Graz\n\n| pump | flow | head |\n| --- | --- | --- |\n| P-1 | 12 | 9 |\n| P-2 | 14 |  |"
    )


def test_cells_of_an_opendocument_sheet_are_shown_as_percentages_and_money() -> None:
    cell = '<table:table-cell office:value-type="{}" office:value="{}"{}><text:p>{}</text:p></table:table-cell>'
    text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    body = '<table:table table:name="S">' + "".join(
        f"<table:table-row{repeated}>{cells}</table:table-row>"
        for repeated, cells in (
            ("", "".join(map(text.format, ("Part", "VAT", "Share", "Price", "Debt")))),
            (
                ' table:number-rows-repeated="2"',
                text.format("Seal")
                + cell.format("percentage", "0.125", ' table:number-columns-repeated="2"', "12.5%")
                + cell.format("currency", "1250", "", "1,250.00 EUR")
                + cell.format("currency", "-5.5", "", "$-5.50"),
            ),
        )
    )

    read_text = read("ods", opendocument("spreadsheet", body + "</table:table>"), BOUNDS).text

    assert read_text.splitlines()[-2:] == ["| Seal | 12.5% | 12.5% | 1250 EUR | $-5.5 |"] * 2


def test_merged_cells_of_an_opendocument_sheet_are_said_in_each_row() -> None:
    cell = '<table:table-cell{} office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    row = "<table:table-row>{}</table:table-row>"
    body = '<table:table table:name="S">' + "".join(
        row.format(cells)
        for cells in (
            cell.format("", "Pump") + cell.format("", "Flow"),
            cell.format(' table:number-rows-spanned="2"', "P-1") + cell.format("", "12"),
            "<table:covered-table-cell/>" + cell.format("", "14"),
        )
    )

    text = read("ods", opendocument("spreadsheet", body + "</table:table>"), BOUNDS).text

    assert text.splitlines()[-2:] == ["| P-1 | 12 |", "| P-1 | 14 |"]
