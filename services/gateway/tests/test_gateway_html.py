"""Pages keep what their marks say: columns, numbers of items, exponents; and lose what is not shown."""

from __future__ import annotations

import pytest
from trivium_gateway.ingestion.html import html_text
from trivium_gateway.ingestion.markdown_tables import markdown_table


def _text(html: str) -> str:
    return html_text(html)[1]


def _table(*rows: str) -> str:
    return "\n".join(rows)


def test_table_with_an_empty_cell_keeps_values_under_their_column() -> None:
    page = "<table><tr><th>Model<th>Input<th>Output<tr><td>Kestrel<td><td>5 A<tr><td>Merlin<td>24 V<td></table>"
    assert _text(page) == _table(
        "| Model | Input | Output |", "| --- | --- | --- |", "| Kestrel |  | 5 A |", "| Merlin | 24 V |  |"
    )


def test_table_with_merged_cells_says_in_each_row_what_they_cover() -> None:
    page = (
        "<table><thead><tr><th rowspan=2>Plan<th colspan=2>Price<tr><th>month<th>year</thead>"
        "<tr><td rowspan=2>Basic<td>9<td>90<tr><td colspan=2>free<tr><td colspan=3>Taxes excluded</table>"
    )
    assert _text(page) == _table(
        "| Plan | Price month | Price year |",
        "| --- | --- | --- |",
        "| Basic | 9 | 90 |",
        "| Basic | free | free |",
        "| Taxes excluded |  |  |",
    )


def test_table_without_header_cells_has_its_first_row_as_header_only_if_that_names_columns() -> None:
    named = "<table><tr><td>Arm<td>Torque<td>Interval<tr><td>left<td>10 Nm<td>100 h</table>"
    facts = "<table><tr><td>Weight<td>12 kg<tr><td>Colour<td>red</table>"
    assert _text(named).startswith("| Arm | Torque | Interval |\n| --- |")
    assert _text(facts) == _table("|  |  |", "| --- | --- |", "| Weight | 12 kg |", "| Colour | red |")


def test_table_that_lays_out_a_page_comes_to_its_blocks() -> None:
    page = (
        "<table><tr><td><h2>Left</h2><p>One.<td><p>Two.<table><tr><th>A<th>B<th>C<tr><td>1<td><td>3</table></table>"
        "<table role=presentation><tr><td>Three.<td>Four.</table>"
    )
    inner = _table("| A | B | C |", "| --- | --- | --- |", "| 1 |  | 3 |")
    assert _text(page) == f"## Left\n\nOne.\n\nTwo.\n\n{inner}\n\nThree.\n\nFour."


def test_table_cell_with_lines_and_bars_stays_one_cell() -> None:
    page = "<table><caption>Limits</caption><tr><th>A<th>B<tr><td>x|y<br>z<td><ul><li>one<li>two</ul></table>"
    assert _text(page) == "Limits\n\n| A | B |\n| --- | --- |\n| x\\|y z | - one - two |"


def test_table_that_claims_endless_cells_is_read_in_bounds() -> None:
    text = _text("<table>" + "<tr><td colspan=99999 rowspan=65534>a<td>b" * 2000 + "</table>")
    assert len(text) < 2_000_000


def test_numbered_list_keeps_its_numbers_and_depth() -> None:
    page = (
        "<ol start=3><li>Drain.<li>Open.<ul><li>Use the handle.<li>Turn it.</ul><li value=9><p>Change.</p>"
        "<p>Then wait.</p></ol><p>Done.</p>"
    )
    lines = ("3. Drain.", "4. Open.", "   - Use the handle.", "   - Turn it.", "9. Change.", "   Then wait.")
    assert _text(page) == "\n".join(lines) + "\n\nDone."


@pytest.mark.parametrize(
    ("opened", "marks"),
    [("type=a", ("a.", "b.")), ("type=A start=27", ("AA.", "BB.")), ("type=i start=4", ("iv.", "v.")),
     ("type=I", ("I.", "II.")), ("type=1", ("1.", "2.")), ("type=a start=0", ("0.", "a."))],
)  # fmt: skip
def test_list_by_letters_or_roman_numerals_keeps_them(opened: str, marks: tuple[str, str]) -> None:
    assert _text(f"<ol {opened}><li>Drain.<li>Open.</ol>") == f"{marks[0]} Drain.\n{marks[1]} Open."


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("holds 10<sup>6</sup> litres", "holds 10^6 litres"),
        ("at 10<sup>-3</sup> or 2<sup>n + 1</sup>", "at 10^-3 or 2^(n + 1)"),
        ("is 25 m<sup>2</sup>.<sup>3</sup> And", "is 25 m².[^3] And"),
        ("costs 210<sup><a href='#n1'>1</a></sup> EUR", "costs 210[^1] EUR"),
        ("the valve<sup>4</sup> opens", "the valve[^4] opens"),
        ("the 1<sup>st</sup> of H<sub>2</sub>O", "the 1st of H2O"),
        ("x<sub>i</sub> and 101<sub>2</sub>", "x_i and 101_2"),
        ("<del>90</del> 80 EUR", "~~90~~ 80 EUR"),
        ("Name<sup>®</sup>", "Name®"),
    ],
)
def test_raised_and_lowered_text_does_not_run_into_what_is_before_it(html: str, text: str) -> None:
    assert _text(f"<p>{html}</p>") == text


def test_headings_and_code_are_marked_as_such() -> None:
    page = "<h1>Valve</h1><h2>Limits\n of it</h2><pre><code># no heading\nrun()</code></pre>"
    assert _text(page) == "# Valve\n\n## Limits of it\n\n```\n# no heading\nrun()\n```"


@pytest.mark.parametrize(
    "unseen",
    [
        "<p style='color:red; display: none'>no</p>",
        "<div aria-hidden=true>no</div>",
        "<div role=dialog>no</div>",
        "<div role=navigation>no</div>",
        "<span style='visibility:hidden'>no</span>",
    ],
)
def test_what_is_not_shown_or_stands_around_the_content_is_left_out(unseen: str) -> None:
    assert _text(f"<p>The text.</p>{unseen}") == "The text."


def test_markdown_table_of_rows_of_different_length_has_equal_columns() -> None:
    assert markdown_table([["a", "b"], ["c"], [], ["d", "", "f"]]) == _table(
        "| a | b |  |", "| --- | --- | --- |", "| c |  |  |", "| d |  | f |"
    )
    assert markdown_table([["", " "]]) == ""


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<mn>10</mn><mo>\u2062</mo><msup><mi>x</mi><mn>6</mn></msup>", "It is 10x^6 here."),
        ("<msup><mn>10</mn><mrow><mo>-</mo><mn>12</mn></mrow></msup>", "It is 10^(-12) here."),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>", "It is (a + b)/2 here."),
        (
            "<semantics><msub><mi>v</mi><mi>max</mi></msub><annotation encoding='x-tex'>v_{max}</annotation>"
            "</semantics><mo>=</mo><msqrt><mn>2</mn></msqrt>",
            "It is v_max = √2 here.",
        ),
        ("<munderover><mo>∑</mo><mn>1</mn><mi>n</mi></munderover><mi>k</mi>", "It is ∑_1^nk here."),
    ],
)
def test_formula_of_a_page_keeps_its_exponents_and_fractions(formula: str, text: str) -> None:
    assert html_text(f"<p>It is <math>{formula}</math> here.</p>")[1] == text


def test_formula_that_is_nested_without_end_is_read_in_bounds() -> None:
    assert "x" in html_text(f"<math>{'<mrow>' * 50_000}<mi>x</mi></math>")[1]


_HEAD = "<tr><th>Head</th><th>Flow</th></tr>"
_INNER = f"<table>{_HEAD}<tr><td>3 m</td><td>20 l/s</td></tr><tr><td></td><td>30</td></tr></table>"


def test_table_within_a_table_of_data_stays_in_its_cell() -> None:
    html = (
        "<table><tr><th>Pump</th><th>Limits</th><th>Maker</th></tr>"
        f"<tr><td>Wren</td><td>At most {_INNER} if cold</td><td>Acme</td></tr>"
        "<tr><td>Tarn</td><td></td><td>Bolt</td></tr></table>"
    )
    assert html_text(html)[1] == (
        "| Pump | Limits | Maker |\n| --- | --- | --- |\n"
        "| Wren | At most Head: 3 m, Flow: 20 l/s; Flow: 30 if cold | Acme |\n| Tarn |  | Bolt |"
    )


def test_long_table_within_a_table_of_data_follows_it_and_nothing_is_lost() -> None:
    rows = "".join(f"<tr><td>{at} m</td><td>{at} l/s at most, if it is cold</td></tr>" for at in range(12))
    inner = f"<table><tr><th>Head</th><th>Flow</th></tr>{rows}</table>"
    head = "<tr><th>Pump</th><th>Limits</th></tr>"
    deep = f"<table>{head}<tr><td>Moor</td><td>{inner}</td></tr></table>"
    text = html_text(f"<table>{head}<tr><td>Wren</td><td>{deep}</td></tr><tr><td>Tarn</td><td>none</td></tr></table>")[
        1
    ]

    assert text.startswith("| Pump | Limits |\n| --- | --- |\n| Wren |  |\n| Tarn | none |\n\n| Pump | Limits |")
    assert text.endswith("| 11 m | 11 l/s at most, if it is cold |")


def test_table_within_one_that_lays_out_a_page_is_a_table_of_its_own() -> None:
    assert html_text(f"<table><tr><td>Menu</td><td>{_INNER}</td></tr></table>")[1] == (
        "Menu\n\n| Head | Flow |\n| --- | --- |\n| 3 m | 20 l/s |\n|  | 30 |"
    )
