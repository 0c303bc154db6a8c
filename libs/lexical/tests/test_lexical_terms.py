"""Which writings find each other: what a query and a passage have in common."""

import functools
import itertools

import pytest
from trivium_lexical import document_vector, query_vector


@functools.cache
def weights_in(passage: str) -> dict[int, float]:
    vector = document_vector(passage)
    return dict(zip(vector.indices, vector.values, strict=True))


def score(query: str, passage: str) -> float:
    """The scalar product of both, as the search has it, without the rarity of terms."""
    of_term = weights_in(passage)
    asked = query_vector(query)
    return sum(weight * of_term.get(term, 0.0) for term, weight in zip(asked.indices, asked.values, strict=True))


@pytest.mark.parametrize(
    ("query", "passage"),
    [
        # Numbers are words.
        ("9087", "Change request PPR-9087."),
        ("2024", "In 2024 it rained."),
        ("ISO 9001", "certified by 9001"),
        ("3.5", "It grew by 3.5%."),
        ("1249", "The price is 1,249.00 euros."),
        ("1,249", "The price is 1249 euros."),
        ("1.249,00", "The price is 1,249.00 euros."),
        ("1249", "Le prix est 1\u202f249 euros."),
        ("2,5", "2.5 litres"),
        ("8080", "port:8080"),
        ("٢٠٢٤", "in 2024"),
        ("0.5", "a gap of .5 mm"),
        ("2024", "in the year 2024¹"),
        ("10", "a count of 10²"),
        ("1 1/2", "1½ inches"),
        ("1/2", "a ½ inch tube"),
        # With what is measured right behind them, or after a space.
        ("kHz", "at 10kHz"),
        ("10 mV", "10mV"),
        # Telephone and account numbers in other groups.
        ("+4930123456", "call +49 30 123456"),
        ("(555) 123-4567", "call 5551234567"),
        ("5551234567", "call (555) 123-4567."),
        ("0301234567", "Tel.: 030/1234567"),
        ("DE89370400440532013000", "IBAN DE89 3704 0044 0532 0130 00"),
        # Identifiers, whole and in parts, with and without what joins them.
        ("PPR9087", "PPR-9087"),
        ("ppr 9087", "PPR-9087"),
        ("PPR-9087", "PPR9087"),
        ("PPR–9087", "PPR-9087"),
        ("email", "e-mail"),
        ("snakeCase", "snake_case"),
        ("camel", "camelCaseName"),
        ("server", "the HTTPServer class"),
        ("PDF", "all PDFs"),
        ("2.3.1", "in v2.3.1 it was mended"),
        ("2.3", "in v2.3.1 it was mended"),
        ("20240315", "2024-03-15"),
        ("2024", "2024-03-15"),
        ("10.0.0.1", "host 10.0.0.1:8080"),
        ("app.py", "see src/main/app.py"),
        ("main/app.py", r"C:\main\app.py"),
        ("jane.doe@example.com", "write to Jane.Doe@Example.com."),
        ("example.com", "write to jane.doe@example.com"),
        ("c++", "written in C++."),
        ("C#", "written in C#, mostly"),
        ("C++", "C++17"),
        ("C++", "C/C++ code"),
        ("C", "C/C++ code"),
        ("C#", "Java/C# code"),
        ("tcpip", "over TCP/IP"),
        ("I/O", "an IO error"),
        (".NET", "ASP.NET"),
        (".NET", "runs on .NET 8"),
        ("USA", "the U.S.A. in July"),
        ("AT&T", "at AT&T"),
        ("nodejs", "runs on Node.js"),
        ("942", "invoice INV-00942"),
        ("942", "part 00942"),
        # Characters that are the same to everybody.
        ("file office", "The ﬁle ofﬁce"),
        ("ABC 123", "ＡＢＣ　１２３"),
        ("resume", "The résumé"),
        ("HAUPTSTRASSE", "die Hauptstraße"),
        ("Zoe Bronte", "Zoë Brontë"),
        ("Lodz", "Łódź"),
        ("Kobenhavn", "København"),
        ("Istanbul", "ISTANBUL'da, ıstanbul"),
        ("encyclopaedia", "encyclopædia"),
        ("Hawaii", "Hawaiʻi"),
        ("Mueller", "Frau Müller"),
        ("Müller", "Frau Mueller"),
        ("Goerlitz", "Görlitz"),
        ("company", "the company’s"),
        ("soft", "so\u00adft"),
        ("ёлка", "елка"),
        # Forms of a word, in the language of what stands around.
        ("pumps", "The pump runs."),
        ("running", "it runs"),
        ("die Häuser der Stadt", "Das Haus ist nicht groß, und die Häuser sind es auch nicht."),
        ("les chevaux sont dans la cour", "un cheval dans la rue des chevaux"),
        ("машины", "Это машина"),
        # Scripts without spaces.
        ("长江大桥", "南京市长江大桥建成于1968年"),
        ("1968年", "南京市长江大桥建成于1968年"),
        ("台灣", "台湾的首都"),
        ("资讯安全", "資訊安全的標準"),
        ("長江大橋", "南京市长江大桥建成于1968年"),
        ("株価指数", "東証株価指数は昨日から下がりました。"),
        ("時価総額", "エヌビディアの時価総額は三兆ドルです。"),
        ("發行", "この本の發行は明治です。"),  # Japanese keeps its own characters
        ("猫", "黒い猫がいます"),
        ("데이터", "데이터베이스를 만듭니다"),
        ("โรงเรียน", "นักเรียนไปโรงเรียนทุกวัน"),
        ("हिन्दी", "वह हिन्दी बोलता है"),
        ("كتاب", "قرأ كِتَاب جديد"),
        # A keyword of one character, within longer words.
        ("泵", "水泵的"),
        ("稅", "交税的"),
        ("물", "물을 마신다"),
        ("งู", "กลัวงูมาก"),
        # Function words, where there is nothing else, and where they are none.
        ("to be or not to be", "To be, or not to be, that is the question."),
        ("What does the WHO say", "The WHO advises rest."),
    ],
)
def test_query_finds_what_is_the_same_in_another_writing(query: str, passage: str) -> None:
    assert score(query, passage) > 0


@pytest.mark.parametrize(
    ("query", "passage"),
    [
        ("C", "written in C++ and C#"),
        ("C++", "written in C and C#"),
        ("C#", "written in C and C++"),
        ("9087", "PPR-9088"),
        ("2.3", "23"),
        ("what is the pump", "What is the valve?"),
        ("がき", "かき"),
        ("C", "Java/C++"),
        ("C++", "C/C#"),
        ("20241", "in the year 2024¹"),
        ("102", "a count of 10²"),
        ("11", "1½ inches"),
        ("101", "10 1 of 2 3"),
        ("北极的熊", "北方"),  # one character is none of a longer query
        ("물이 차다", "물가"),
    ],
)
def test_query_does_not_find_what_only_looks_alike(query: str, passage: str) -> None:
    assert score(query, passage) == 0


@pytest.mark.parametrize(
    "ids",
    [
        ["PPR-9087", "PPR-9088", "PPR-908", "PPR-90871"],
        ["PPR9087", "PPR9088", "PPR19087"],
        ["2.3.1", "2.31", "23.1", "2.3.10", "1.3.2"],
        ["v1.1", "v1.10", "v11"],
        ["2024-03-15", "2024-03-16", "2015-03-24", "2024-15"],
        ["10.0.0.1", "10.0.0.10", "10.0.1", "1.0.0.10"],
        ["ISO 9001", "ISO 9011", "ISO 27001"],
        ["src/a/main.py", "src/main.py", "src/main.pyc"],
    ],
)
def test_identifier_scores_highest_where_it_stands(ids: list[str]) -> None:
    passages = {one: f"It changes {one} again." for one in ids}

    for wanted, other in itertools.permutations(ids, 2):
        assert score(wanted, passages[wanted]) > score(wanted, passages[other])
    assert len({document_vector(passage) for passage in passages.values()}) == len(ids)


@pytest.mark.parametrize(
    ("query", "right", "wrong"),
    [
        ("24 V", "a 24V supply", "a 24 A supply"),
        ("24V", "a 24 V supply", "a 24 W supply"),
        ("3.5 kV", "has 3.5kV", "has 3.7kV"),
        ("10kΩ", "has 10 kΩ", "has 10 kHz"),
        ("1200U/min", "is 1200 U/min", "is 1200 l/min"),
        ("5kg", "weighs 5 kg", "weighs 6 kg"),
    ],
)
def test_measure_scores_highest_with_its_number_and_its_unit(query: str, right: str, wrong: str) -> None:
    assert score(query, right) > score(query, wrong)


def test_identifier_of_hundreds_alike_is_the_one_with_the_most_in_common() -> None:
    passages = {f"PPR-{number}": f"Change PPR-{number}: The cover becomes grey." for number in range(1000, 1400)}

    for wanted in list(passages)[::39]:
        for query in (wanted, wanted.replace("-", ""), wanted.replace("-", " "), f"What does {wanted} change?"):
            assert max(passages, key=lambda one: score(query, passages[one])) == wanted


@pytest.mark.parametrize(
    ("query", "passage", "language"),
    [("Rechnungen", "Die Rechnung ist gekommen.", "de"), ("journaux", "| journal | 12 |", "fr")],
)
def test_keyword_finds_its_word_in_the_language_that_is_said(query: str, passage: str, language: str) -> None:
    def common(language: str) -> set[int]:
        return set(query_vector(query, language=language).indices) & set(document_vector(passage, language).indices)

    assert common(language) > common("") == set()


def test_chinese_characters_alone_are_of_the_language_that_is_said() -> None:
    japanese = set(document_vector("東京都庁のこと").indices)
    assert set(document_vector("東京都庁", "ja").indices) <= japanese
    assert not set(document_vector("東京都庁", "zh").indices) <= japanese
    assert query_vector("東京都庁", language="zh") != query_vector("東京都庁")


def test_text_that_tells_its_language_is_of_that() -> None:
    told = "The invoices were sent with the delivery."
    assert document_vector(told, "de") == document_vector(told)
