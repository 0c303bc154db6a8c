"""Cutting passages into sentences."""

import time

import pytest
from trivium_evidence.inline import strip_inline
from trivium_evidence.sentences import split, split_passages


def texts(passage: str) -> list[str]:
    return [sentence.text for sentence in split_passages([passage])]


@pytest.mark.parametrize(
    ("prose", "sentences"),
    [
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        ("Dr. J. K. Smith paid $3.50 vs. 4.2 in Jan. 1999. Then he left.",
         ["Dr. J. K. Smith paid $3.50 vs. 4.2 in Jan. 1999.", "Then he left."]),
        ("The U.S. Army won. He lives in the U.S. The end came.",
         ["The U.S. Army won.", "He lives in the U.S.", "The end came."]),
        ("Use e.g. this, i.e. that. See fig. 3 and No. 5.", ["Use e.g. this, i.e. that.", "See fig. 3 and No. 5."]),
        ('He said "Go." (Really.) She went.', ['He said "Go."', "(Really.)", "She went."]),
        ("Version 3.11 of example.com is out. Get it.", ["Version 3.11 of example.com is out.", "Get it."]),
        ("他说：“你好。”走了！真的？是的……好。", ["他说：“你好。”", "走了！", "真的？", "是的……", "好。"]),
        ("这是3.5版本。It is new. 很好。", ["这是3.5版本。", "It is new.", "很好。"]),
        ("no end mark", ["no end mark"]),
        ("... --- !!!", []),
    ],
)  # fmt: skip
def test_split_prose_gives_sentences(prose: str, sentences: list[str]) -> None:
    assert split(prose) == sentences


def test_sentences_of_markdown_are_clean() -> None:
    passage = """# Install #

Trivium needs **Python 3.11** or _newer_. See [the guide](http://x.y/z).[12] Then run:

```sh
make demo
```

## Ports

| service | port |
|---|---:|
| gateway | 8080 |

The model services are:

- embed: `50051`
- rerank

1. First do `a[0]` things. Then more.

![picture](p.png) <b>Bold</b> text with snake_case_name.

```
code without a lead-in
```
"""
    assert [(sentence.heading, sentence.text) for sentence in split_passages([passage])] == [
        ("Install", "Trivium needs Python 3.11 or newer."),
        ("Install", "See the guide."),
        ("Install", "Then run: `make demo`"),
        ("Ports", "service: gateway; port: 8080"),
        ("Ports", "The model services are: embed: `50051`; rerank."),
        ("Ports", "First do `a[0]` things."),
        ("Ports", "Then more."),
        ("Ports", "Bold text with snake_case_name."),
    ]


def test_sentences_of_a_long_list_keep_their_lead_in() -> None:
    items = [f"item number {number} with some more words in it" for number in range(12)]
    lead, *rest = split_passages(["Some words. It has:\n\n" + "\n".join(f"* {item}" for item in items)])[1:]
    assert lead.text == "It has:"
    assert lead.beginning.startswith(" item number 0 with some more words in it; item number 1 ")
    assert lead.beginning.endswith("in it …")
    assert [(sentence.lead_in, sentence.text) for sentence in rest] == [("It has:", item) for item in items]


@pytest.mark.parametrize(
    ("passage", "sentences"),
    [
        ("The constant\n\nIt is 60.\n\nNext part", [("The constant", "It is 60.")]),
        ("A title\n\nA part\n\nIt is so.", [("A part", "It is so.")]),
        ("**Limits**\n\nIt is 60.", [("Limits", "It is 60.")]),
        ("1. Limits\n\nIt is 60.", [("Limits", "It is 60.")]),
        ("1. Red\n\n2. Green\n\nAnd so on.", [("", "Red"), ("", "Green"), ("", "And so on.")]),
        ("常数\n\n它是六十。", [("常数", "它是六十。")]),
        ("一、常数\n\n它是六十。", [("常数", "它是六十。")]),
        ("Red\n\nGreen\n\nBlue\n\nAnd so on.", [("", "Red"), ("", "Green"), ("", "Blue"), ("", "And so on.")]),
        ("It is\n\nso.", [("", "It is so.")]),
        ("No end mark at all", [("", "No end mark at all")]),
    ],
)
def test_sentences_of_headings_without_marks_are_none(passage: str, sentences: list[tuple[str, str]]) -> None:
    assert [(sentence.heading, sentence.text) for sentence in split_passages([passage])] == sentences


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("| a | b | c |\n|---|:-:|--:|\n| 1 | | 3 |\n| 4 | 5 | 6 |", ["a: 1; c: 3", "a: 4; b: 5; c: 6"]),
        ("| 1 | 2 |\n| 3 | 4 |", ["1; 2", "3; 4"]),  # the head is in the passage before
        ("|---|---|\n| 3 | 4 |", ["3; 4"]),
        ("| a | b |\n|---|---|", []),
        ("| Property | Value |\n|---|---|\n| Weight | 98 kg |", ["Weight: 98 kg"]),
        ("| a | b |\n|---|---|\n| x\\|y | 2 |\n|  | 3 |", ["a: x|y; b: 2", "b: 3"]),
    ],
)
def test_sentences_of_tables_name_the_columns_that_the_passage_has(table: str, rows: list[str]) -> None:
    assert texts(table) == rows


def test_sentences_of_wrapped_items_are_joined() -> None:
    assert texts("- one that\n  goes on\n- two\n\nIt took him only\n12. Then he left.") == [
        "one that goes on",
        "two",
        "It took him only 12.",
        "Then he left.",
    ]


def test_sentences_of_wrapped_and_torn_paragraphs_are_joined() -> None:
    assert texts("A line that\ngoes on. And\n\nis torn (by\n\nPDF) here.") == [
        "A line that goes on.",
        "And is torn (by PDF) here.",
    ]
    assert texts("第一行没有\n结束。第二句。") == ["第一行没有结束。", "第二句。"]


def test_sentences_after_a_question_stand_under_it() -> None:
    sentences = split_passages(["How do I stop it? Press Ctrl-C."])
    assert sentences[1].heading == "How do I stop it?"


def test_sentences_over_the_longest_length_are_cut_where_it_hurts_least() -> None:
    cut = texts("; ".join(f"part {number} of a very long sentence" for number in range(40)) + ".")
    assert len(cut) > 1
    assert all(len(text) <= 400 for text in cut)
    assert all(text.endswith((";", ".")) for text in cut)
    assert all(len(text) <= 400 for text in texts("字" * 1000 + "a" * 1000))


@pytest.mark.parametrize("mark", ["[12]", "[1, 2]", "[3-5]", "[^1]", "【7】", "[citation needed]", "[注 3]"])
def test_strip_inline_removes_marks_of_notes(mark: str) -> None:
    assert strip_inline(f"A fact.{mark} More") == "A fact. More"


@pytest.mark.parametrize(
    "hostile",
    ["[" * 16384, "*" * 16384, "` `` " * 3000,
     "<!--" * 4000, "a. " * 5000, "# " + " " * 16000 + "x", "((" + "a\n\n" * 5000,
     "**a " * 4000, "[a](" * 4000, "| - " + " " * 16000 + "x", " " * 16000 + "x", "U.S. " * 3000, "。" * 16384,
     "> " * 8000, "<a " * 5000, "- " * 8000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_sentences_of_hostile_text_take_little_time(hostile: str) -> None:
    begin = time.process_time()
    split_passages([hostile])
    assert time.process_time() - begin < 1.0


def test_sentences_of_minutes_have_numbered_lines_as_titles_and_stand_apart_from_the_lines_of_a_form() -> None:
    minutes = (
        "Date: 12 March 2026\nPresent: Anna Keller\nAbsent: Lucia Ferrari\n\n1. Sales\nOrders rose by 8%.\n\n"
        "2. New warehouse\nThe board decided to rent the hall.\nThe rent is 14,500 EUR.\n"
    )

    found = [(one.heading, one.text) for one in split_passages([minutes])]

    assert found[:3] == [("", "Date: 12 March 2026"), ("", "Present: Anna Keller"), ("", "Absent: Lucia Ferrari")]
    assert ("Sales", "Orders rose by 8%.") in found
    assert ("New warehouse", "The rent is 14,500 EUR.") in found
