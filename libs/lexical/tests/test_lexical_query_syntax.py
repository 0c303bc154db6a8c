"""Quotes and exclusions in queries."""

import time

import pytest
from trivium_lexical import ParsedQuery, occurs, parse_query
from trivium_lexical.query_syntax import MAX_DEMANDS


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("When does the pump stop?", ParsedQuery("When does the pump stop?")),
        ('"relief valve" pressure', ParsedQuery("relief valve pressure", ("relief valve",))),
        ("“relief valve” pressure", ParsedQuery("relief valve pressure", ("relief valve",))),
        ('Who wrote "The Raven?"', ParsedQuery("Who wrote The Raven?", ("The Raven",))),
        ('"a b" "c d"', ParsedQuery("a b c d", ("a b", "c d"))),
        ("pump -seal", ParsedQuery("pump", (), ("seal",))),
        ("-seal pump -C++", ParsedQuery("pump", (), ("seal", "C++"))),
        ('pump -"lid screw"', ParsedQuery("pump", (), ("lid screw",))),
        ('pump -"20"', ParsedQuery("pump", (), ("20",))),
        ("-seal", ParsedQuery("", (), ("seal",))),
        # Quotes of other languages, and scripts without spaces, where a character may be a word.
        ("Das „Ventil“ klemmt", ParsedQuery("Das Ventil klemmt", ("Ventil",))),
        ("Das »Ventil« klemmt", ParsedQuery("Das Ventil klemmt", ("Ventil",))),
        ("La « soupape de sûreté » ouvre", ParsedQuery("La soupape de sûreté ouvre", ("soupape de sûreté",))),
        ("请问“安全阀”何时打开？", ParsedQuery("请问安全阀何时打开？", ("安全阀",))),
        ('请问"安全阀"何时打开？', ParsedQuery("请问安全阀何时打开？", ("安全阀",))),
        ("「安全弁」はいつ開く", ParsedQuery("安全弁はいつ開く", ("安全弁",))),
        ('ระบบ"วาล์ว"เปิด', ParsedQuery("ระบบวาล์วเปิด", ("วาล์ว",))),
        ("＂relief valve＂", ParsedQuery("relief valve", ("relief valve",))),
        ("安全阀 -泵", ParsedQuery("安全阀", (), ("泵",))),
        ("安全阀 －泵", ParsedQuery("安全阀", (), ("泵",))),
        ('屏幕5"和6"', ParsedQuery('屏幕5"和6"')),
        ("泵 -阀门", ParsedQuery("泵", (), ("阀门",))),
        # A hyphen inside a word, a dash, a number, an option; inches; what is not closed.
        ("PPR-9087 is state-of-the-art", ParsedQuery("PPR-9087 is state-of-the-art")),
        ("the pump - is it new?", ParsedQuery("the pump - is it new?")),
        ("at -20 degrees", ParsedQuery("at -20 degrees")),
        ("rm -v --verbose", ParsedQuery("rm -v --verbose")),
        ('5" and 6" tubes', ParsedQuery('5" and 6" tubes')),
        ('a "b c', ParsedQuery('a "b c')),
        ('"" "." x', ParsedQuery('"" "." x')),
    ],
)
def test_query_demands_what_it_says(query: str, expected: ParsedQuery) -> None:
    assert parse_query(query) == expected


@pytest.mark.parametrize(
    ("phrase", "passage", "expected"),
    [
        ("relief valve", "The Relief\n  Valve opens.", True),
        ("relief valve", "The relief valves open.", False),
        ("relief valve", "The valve of relief.", False),
        ("PPR-90", "PPR-9087", False),
        ("PPR-9087", "(PPR-9087)", True),
        ("C++", "in C++, mostly", True),
        ("file office", "The ﬁle ofﬁce", True),
        ("resume", "The résumé", True),
        ("株価指数", "東証株価指数は", True),
        ("데이터", "데이터베이스", True),
    ],
)
def test_phrase_occurs_as_whole_words_in_any_writing(phrase: str, passage: str, expected: bool) -> None:
    assert occurs(phrase, passage) is expected


def test_query_allows_what_has_all_phrases_and_no_exclusion() -> None:
    query = parse_query('"relief valve" opens -pump')

    assert query.allows("The relief valve opens.")
    assert not query.allows("The valve opens.")
    assert not query.allows("The pump has a relief valve.")


def test_query_of_many_quotes_is_read_in_linear_time() -> None:
    assert parse_query('"a ' * 20_000).exclusions == ()
    assert parse_query("-" * 20_000).text


@pytest.mark.parametrize("one", ['"a1 b{}"', '-"a1 b{}"', "-pump{}"])
def test_query_with_more_demands_than_anybody_makes_is_text(one: str) -> None:
    most = " ".join(one.format(number) for number in range(MAX_DEMANDS))
    parsed = parse_query("a1 " + most)
    assert len(parsed.phrases) + len(parsed.exclusions) == MAX_DEMANDS

    more = f"a1 {most} {one.format('x')}"
    assert parse_query(more) == ParsedQuery(more)


def test_query_of_8000_characters_judges_a_thousand_passages_in_little_time() -> None:
    passage = "a1 " * 900
    for count in (MAX_DEMANDS, 700):
        query = parse_query("a1 " + " ".join(f'-"a1 b{number}"' for number in range(count)))

        begin = time.thread_time()
        assert all(query.allows(passage) for _ in range(1000))
        assert time.thread_time() - begin < 5  # 700 exclusions took more than 400
