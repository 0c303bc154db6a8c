"""The citation parser."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trivium_generate.answer import Citation
from trivium_generate.citations import CitationParser


def parse(pieces: list[str], passage_count: int = 3) -> tuple[str, list[Citation], int]:
    """The whole answer, its citations, and how many were removed; checks each delta on the way."""
    parser = CitationParser(range(1, passage_count + 1))
    text = ""
    citations: list[Citation] = []
    for delta in [*(parser.feed(piece) for piece in pieces), parser.finish()]:
        if delta is None:
            continue
        assert delta.text
        for citation in delta.citations:
            assert len(text) <= citation.start < citation.end <= len(text) + len(delta.text)
        text += delta.text
        citations += delta.citations
    for citation in citations:
        assert text[citation.start : citation.end] == f"[{citation.index}]"
    return text, citations, parser.removed_count


@pytest.mark.parametrize(
    ("written", "read", "indexes", "removed"),
    [
        ("Plain text.", "Plain text.", [], 0),
        ("A fact [1].", "A fact [1].", [1], 0),
        ("A fact [1][2].", "A fact [1][2].", [1, 2], 0),
        ("A fact [1, 2].", "A fact [1][2].", [1, 2], 0),
        ("A fact [1;3].", "A fact [1][3].", [1, 3], 0),
        ("A fact [1-3].", "A fact [1][2][3].", [1, 2, 3], 0),
        ("A fact [ 2 ].", "A fact [2].", [2], 0),
        ("A fact [1, 1].", "A fact [1].", [1], 0),
        ("事实【1】。", "事实[1]。", [1], 0),
        ("事实［１，２］。", "事实[1][2]。", [1, 2], 0),
        ("A fact【2†report】.", "A fact[2].", [2], 0),
        ("A lie [9].", "A lie.", [], 1),
        ("A lie [0].", "A lie.", [], 1),
        ("Half a lie [1, 9].", "Half a lie [1].", [1], 1),
        ("Two lies [8][9], and on.", "Two lies, and on.", [], 2),
        ("[9] At the start.", "At the start.", [], 1),
        ("Not [a] citation, nor [1a], nor [ ].", "Not [a] citation, nor [1a], nor [ ].", [], 0),
        ("See [the [1] one].", "See [the [1] one].", [1], 0),
        ("Brackets [[2]].", "Brackets [[2]].", [2], 0),
        ("Code `a[0]` stays [1].", "Code `a[0]` stays [1].", [1], 0),
        ("```\na[9]\n```\nafter [2]", "```\na[9]\n```\nafter [2]", [2], 0),
        ("A stray ` mark\nand a fact [1].", "A stray ` mark\nand a fact [1].", [1], 0),
        ("Cut off [1", "Cut off", [], 0),
        ("Cut off [1] and [", "Cut off [1] and", [1], 0),
        ("  spaces around [1]  \n", "spaces around [1]", [1], 0),
        ("Emoji 👩‍🔬 before [1].", "Emoji 👩‍🔬 before [1].", [1], 0),
        ("[" + "1, " * 60 + "2]", "[" + "1, " * 60 + "2]", [], 0),
    ],
)
def test_citations_in_any_form_come_out_in_one(written: str, read: str, indexes: list[int], removed: int) -> None:
    text, citations, removed_count = parse([written])
    assert text == read
    assert [citation.index for citation in citations] == indexes
    assert removed_count == removed


def test_citations_between_deltas_are_never_broken() -> None:
    parser = CitationParser(range(1, 13))
    deltas = [parser.feed(piece) for piece in ("A fact", " ", "[", "1", "2", "]", " and", " more", ".")]
    assert [delta.text if delta else None for delta in deltas] == [
        "A fact", None, None, None, None, " [12]", " and", " more", "."
    ]  # fmt: skip


_ANSWERS = st.lists(
    st.sampled_from(
        [*"[]【】［］0123456789, -;`\n†、，", "[1]", " [2]", "[1, 2]", "【3】", "[9]", "word ", "字", "```\n", "👍"]
    ),
    max_size=40,
).map("".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work on the machine decides nothing
@given(st.data())
def test_citations_of_any_chunking_are_the_same(data: st.DataObject) -> None:
    answer = data.draw(_ANSWERS)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)))))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert parse(pieces) == parse([answer]) == parse(list(answer))
