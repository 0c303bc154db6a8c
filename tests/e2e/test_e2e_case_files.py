"""Files that once came out damaged, through the real processes: what is stored of each, and what is answered."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from documents.known.prints import Page, pdf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from e2e.stack import Stack

_PLACES = ("left", "right", "upper", "lower", "front", "rear", "inner", "outer")
_SHAPES = ("long", "short", "bent", "split", "blank")
_ARMS = [
    (f"Arm {place} {shape}", f"{10 + 3 * at} Nm", f"{100 * (at + 1)} h")
    for at, (place, shape) in enumerate((place, shape) for place in _PLACES for shape in _SHAPES)
]
_COLUMNS = ("Arm", "Torque", "Interval")


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(f"{','.join(row)}\n" for row in [_COLUMNS, *rows]).encode()


def _markdown(rows: Sequence[Sequence[str]]) -> bytes:
    lines = [f"| {' | '.join(row)} |" for row in [_COLUMNS, ("---",) * 3, *rows]]
    return "\n".join(["# Arms", "", *lines, ""]).encode()


def _html(rows: Sequence[Sequence[str]], columns: Sequence[str] = _COLUMNS, title: str = "Arms") -> bytes:
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h1>{title}</h1><table><tr>{head}</tr>{body}</table>".encode()


def _printed(pieces: Sequence[str]) -> bytes:
    """A page that has each piece of a sentence as a text of its own."""
    page, x = Page(), 72.0
    for piece in pieces:
        if piece.strip():
            page.words.append((11, x, 700, piece))
        x += _WIDTHS.get(piece, 5.5) * 1.1 if len(piece) == 1 else sum(_WIDTHS.get(one, 5.5) for one in piece) * 1.1 + 3
    return pdf(page)


# Of Helvetica, in tenths of the size of type.
_WIDTHS = {
    " ": 2.8,
    "T": 6.1,
    "m": 8.3,
    "f": 2.8,
    "i": 2.2,
    "l": 2.2,
    "r": 3.3,
    "s": 5,
    "t": 2.8,
    "v": 5,
    "c": 5,
    ".": 2.8,
}
_PICTURE = base64.b64encode(bytes(at * 37 % 251 for at in range(15_000))).decode()
_SENTENCES = "The relief valve opens at nine bar. The pump stops after ten seconds."
_MAIL = (
    'Subject: Ventil\nFrom: jo@example.org\nContent-Type: text/plain; charset="utf-8"\n'
    "Content-Transfer-Encoding: base64\nMIME-Version: 1.0\n\n"
)
_FORM = Page(fields=[(150, 680, "who", "Jo Winter"), (150, 656, "what", "Passed with remark 12")])

FILES: dict[str, bytes] = {
    "jekyll.md": b'---\nlayout: post\ntitle: "Replacing the seal"\ncategories: press\n---\nDrain the tank.\n',
    "tags.md": b"---\ntitle: Replacing the seal\ntags:\n  - press\n  - seal\n---\n\n# Replacing seals\n",
    "crlf.md": b"---\r\ntitle: Seal\r\nauthor: Kim\r\n---\r\n\r\n# Head\r\n\r\nText.\r\n",
    "ratings.html": _html(
        [("Kestrel", "", "5 A"), ("Merlin", "24 V", ""), ("Osprey", "48 V", "12 A")],
        ("Model", "Input voltage", "Output current"),
        "Ratings",
    ),
    "prices.html": b"<table><tr><th>Plan</th><th>Term</th><th>Price</th></tr><tr><td rowspan=2>Basic</td><td>month</td>"
    b"<td>9 EUR</td></tr><tr><td>year</td><td>90 EUR</td></tr></table>",
    "tank.html": b"<p>The tank holds 10<sup>6</sup> litres. The area is 25 m<sup>2</sup>.<sup>3</sup></p>",
    "long.md": _markdown(_ARMS),
    "long.csv": _csv(_ARMS),
    "arms.html": _html(_ARMS[:12]),
    "arms.csv": _csv(_ARMS[:12]),
    "words.pdf": _printed(_SENTENCES.split()),
    "glyphs.pdf": _printed(_SENTENCES),
    "table.pdf": pdf(Page().table([["Fluid", "Capacity"], ["Coolant", "17.6 litres"], ["Engine oil", "5.7 litres"]])),
    "manual.md": (
        "# Press manual\n\nThe relief valve opens at nine bar.\n\n"
        f"![Section of the valve](data:image/png;base64,{_PICTURE})\n\nThe pump stops after ten seconds.\n"
    ).encode(),
    "gbk.html": "<html><head><meta charset='gb2312'></head><body><p>安全阀在九巴时打开。</p></body></html>".encode(
        "gbk"
    ),
    "parts.csv": "Teil,Maß\r\nSchraube,5 mm\r\n".encode("cp1252"),
    "mail.eml": _MAIL.encode() + base64.encodebytes("Die Prüfung des Ventils dauert fünf Minuten.\n".encode()),
    "note.rtf": rb"{\rtf1\ansi{\fonttbl{\f0 Helvetica;}}\f0\fs24 The \b relief\b0  valve opens.\par Pr\'fcfung.}",
    "steps.html": b"<h1>Seal</h1><ol><li>Drain the tank.</li><li>Open the lid.<ul><li>Use the T-handle.</li></ul></li>"
    b"<li>Change the seal.</li></ol>",
    "form.pdf": pdf(_FORM.lines("Inspection sheet", "Inspector:", "Result:", y=704)),
}


def _collection(name: str) -> str:
    return name.replace(".", "-")


@pytest.fixture(scope="module")
def cases(stack: Stack) -> Stack:
    """All files, each in a collection of its own."""
    for name, data in FILES.items():
        collection = _collection(name)
        stack.http.post("/v1/collections", json={"name": collection}).raise_for_status()
        form = {"id": name, "collection": collection}
        sent = stack.http.post("/v1/documents", files={"file": (name, data)}, data=form).json()
        assert [one["status"] for one in sent["documents"]] == ["indexed"], sent
    return stack


def _stored(cases: Stack, name: str) -> dict[str, Any]:
    document: dict[str, Any] = cases.http.get(f"/v1/documents/{name}", params={"collection": _collection(name)}).json()
    return document


@pytest.mark.parametrize(
    ("name", "title"),
    [("jekyll.md", "Replacing the seal"), ("tags.md", "Replacing the seal"), ("crlf.md", "Seal")],
)
def test_title_is_that_of_the_front_matter_which_is_no_text(cases: Stack, name: str, title: str) -> None:
    document = _stored(cases, name)

    assert document["title"] == title
    assert "---" not in document["text"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ratings.html", ["| Kestrel |  | 5 A |", "| Merlin | 24 V |  |"]),
        ("prices.html", ["| Basic | year | 90 EUR |"]),
        ("tank.html", ["10^6 litres", "25 m²."]),
        ("words.pdf", [_SENTENCES]),
        ("glyphs.pdf", [_SENTENCES]),
        ("table.pdf", ["| Coolant | 17.6 litres |", "| Engine oil | 5.7 litres |"]),
        ("gbk.html", ["安全阀在九巴时打开。"]),
        ("parts.csv", ["| Teil | Maß |\n| --- | --- |\n| Schraube | 5 mm |"]),
        ("mail.eml", ["Die Prüfung des Ventils dauert fünf Minuten."]),
        ("note.rtf", ["The relief valve opens.", "Prüfung."]),
        ("steps.html", ["1. Drain the tank.\n2. Open the lid.\n   - Use the T-handle.\n3. Change the seal."]),
        ("form.pdf", ["Inspector: Jo Winter", "Result: Passed with remark 12"]),
    ],
)
def test_text_says_what_the_file_shows(cases: Stack, name: str, said: list[str]) -> None:
    text = _stored(cases, name)["text"]

    assert [one for one in said if one in text] == said


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("ratings.html", "What is the output current of the Kestrel?", "Model: Kestrel; Output current: 5 A. [1]"),
        ("prices.html", "What is the price of Basic per year?", "Plan: Basic; Term: year; Price: 90 EUR. [1]"),
        ("tank.html", "How many litres does the tank hold?", "The tank holds 10^6 litres. [1]"),
        (
            "arms.html",
            "What is the torque of the arm right bent?",
            "Arm: Arm right bent; Torque: 31 Nm; Interval: 800 h. [1]",
        ),
        (
            "arms.csv",
            "What is the torque of the arm right bent?",
            "Arm: Arm right bent; Torque: 31 Nm; Interval: 800 h. [1]",
        ),
        (
            "long.csv",
            "What is the torque of the arm outer blank?",
            "Arm: Arm outer blank; Torque: 127 Nm; Interval: 4000 h. [1]",
        ),
        ("glyphs.pdf", "When does the relief valve open?", "The relief valve opens at nine bar. [1]"),
        ("table.pdf", "What is the capacity of the engine oil?", "Fluid: Engine oil; Capacity: 5.7 litres. [1]"),
        (
            "mail.eml",
            "Wie lange dauert die Prüfung des Ventils?",
            "Die Prüfung des Ventils dauert fünf Minuten. [1]",
        ),
        ("steps.html", "What is the third step?", "Change the seal. [1]"),
        ("form.pdf", "What was the result of the inspection?", "Result: Passed with remark 12. [1]"),
    ],
)
def test_answer_is_the_row_or_the_sentence_alone(cases: Stack, name: str, question: str, answer: str) -> None:
    assert cases.answer(question, collection=_collection(name), mode="extractive")["answer"] == answer


@pytest.mark.parametrize("name", ["long.md", "long.csv"])
def test_chunks_of_a_long_table_begin_at_rows_and_are_found_by_the_names_of_its_columns(
    cases: Stack, name: str
) -> None:
    body = {"query": "torque interval", "collection": _collection(name), "top_n": 20, "collapse": False}
    passages = cases.http.post("/v1/retrieve", json=body).json()["passages"]

    assert len(passages) > 2
    rows = {f"| {' | '.join(row)} |" for row in _ARMS}
    for passage in passages:
        lines = [line for line in passage["text"].splitlines() if line.startswith("| Arm ") and "Torque" not in line]
        assert lines
        assert set(lines) <= rows
        # Rows alone say neither word: the names of the columns are indexed with them.
        assert passage["scores"]["sparse"] > 0


def test_picture_in_markdown_is_its_description(cases: Stack) -> None:
    document = _stored(cases, "manual.md")

    assert len(document["text"]) < 200
    assert "![Section of the valve]" in document["text"]
    assert _PICTURE[:64] not in document["text"]
