"""How surely sentences rest on texts: true ones, and the same with a number, a name or a denial changed."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

import pytest
from quality.changed import changed
from trivium_evidence.pieces import pieces
from trivium_evidence.statements import numbers_in, says_opposite
from trivium_evidence.support import Evidence, Verdict, supported_by

_CORPUS = Path(__file__).parents[3] / "examples" / "corpus"

WARRANTY = Evidence(
    "# Warranty\n\nThe warranty of the KX-200 lasts 36 months from delivery. It does not cover lamps.\n\n"
    "| Model | Dealer price |\n|---|---|\n| KX-200 | 1,250 EUR |\n| KX-300 | 1,900 EUR |\n",
    ("Conditions of sale",),
)


def _sentences() -> list[tuple[str, Evidence]]:
    found = []
    for path in sorted(_CORPUS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        for start in range(0, len(text), 1200):  # about as long as passages are
            passage = text[start : start + 1200]
            found += [(one.text, Evidence(passage)) for one in pieces(passage)[1:-1] if len(one.text) > 40]
    return found


@pytest.fixture(scope="module")
def sentences() -> list[tuple[str, Evidence]]:
    """True sentences, each with the passage that it is from."""
    found = _sentences()
    assert len(found) > 200
    return found


@pytest.mark.parametrize("kind", ["number", "name", "denial"])
def test_support_of_changed_sentences_is_flagged(sentences: list[tuple[str, Evidence]], kind: str) -> None:
    choice = random.Random(1)
    verdicts = [
        evidence.support(other).verdict
        for sentence, evidence in sentences
        if (other := changed(sentence, kind, choice)) is not None
    ]

    assert len(verdicts) >= 15
    flagged = sum(verdict is not Verdict.SUPPORTED for verdict in verdicts)
    assert flagged >= 0.9 * len(verdicts), f"{flagged} of {len(verdicts)}"


def test_support_of_untouched_sentences_is_not_flagged(sentences: list[tuple[str, Evidence]]) -> None:
    flagged = [
        sentence for sentence, evidence in sentences if evidence.support(sentence).verdict is not Verdict.SUPPORTED
    ]

    assert len(flagged) <= 0.05 * len(sentences), flagged


def test_support_takes_little_time(sentences: list[tuple[str, Evidence]]) -> None:
    took = []
    for sentence, evidence in sentences[:100]:
        begin = time.process_time()
        evidence.support(sentence)
        took.append(time.process_time() - begin)

    assert statistics.median(took) < 0.005  # processor time: other processes do not count


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("The KX-200 has a warranty of 36 months.", Verdict.SUPPORTED),
        ("The KX-200 has a warranty of thirty-six months.", Verdict.SUPPORTED),
        ("The KX-200 has a warranty of 24 months.", Verdict.UNSUPPORTED),
        ("The warranty covers lamps.", Verdict.UNSUPPORTED),
        ("The warranty does not cover lamps.", Verdict.SUPPORTED),
        ("The KX-200 costs dealers 1250 EUR.", Verdict.SUPPORTED),
        ("The KX-300 costs dealers 1,250 EUR.", Verdict.UNSUPPORTED),
        ("Bananas grow in Ecuador.", Verdict.UNSUPPORTED),
        ("[1]", Verdict.UNSUPPORTED),
        ("", Verdict.UNSUPPORTED),
    ],
)
def test_support_of_claims_in_other_words_holds_numbers_and_denials(claim: str, verdict: Verdict) -> None:
    support = WARRANTY.support(claim)

    assert support.verdict is verdict, support


def test_support_points_at_the_row_that_says_so() -> None:
    support = WARRANTY.support("The dealer price of the KX-300 is 1,900 EUR.")

    assert support.piece is not None
    assert support.piece.text.startswith("| KX-300")


def test_supported_by_several_texts_names_the_one_that_says_so() -> None:
    others = [Evidence("Otters sleep in rivers."), WARRANTY, Evidence("")]

    found = supported_by("The warranty lasts 36 months from delivery.", others)

    assert found is not None
    assert found[0] == 1
    assert supported_by("水獭睡在河里。", others) is None


def test_support_in_chinese_holds_numbers_and_denials() -> None:
    evidence = Evidence("保修期自交货之日起36个月。保修不包括灯泡。")

    assert evidence.support("保修期为36个月。").verdict is Verdict.SUPPORTED
    assert evidence.support("保修期为24个月。").verdict is Verdict.UNSUPPORTED
    assert evidence.support("保修包括灯泡。").verdict is not Verdict.SUPPORTED


def test_estimate_of_a_model_makes_its_share_and_excuses_no_wrong_number() -> None:
    said_otherwise = WARRANTY.support("The guarantee that is given to all who buy takes 36 months.")
    wrong = WARRANTY.support("The warranty lasts 24 months from delivery.")

    assert said_otherwise.weighed(1.0, 0.6).score == pytest.approx(0.4 * said_otherwise.score + 0.6)
    assert said_otherwise.weighed(0.0, 0.6).score < said_otherwise.score
    assert wrong.weighed(1.0, 0.6).verdict is Verdict.UNSUPPORTED


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("保固期為三十六個月。", Verdict.SUPPORTED),
        ("产品自交货日起提供36个月保固。", Verdict.SUPPORTED),
        ("保固期為二十四個月。", Verdict.UNSUPPORTED),
        ("垫圈不在保固范围内。", Verdict.SUPPORTED),
        ("墊圈在保固範圍內。", Verdict.UNSUPPORTED),
        ("未在保固範圍內的是墊圈。", Verdict.SUPPORTED),
    ],
)
def test_support_in_traditional_characters_and_chinese_numbers_is_as_in_others(claim: str, verdict: Verdict) -> None:
    evidence = Evidence("本公司產品自交貨日起提供三十六個月保固。耗材如墊圈與葉輪不在保固範圍內。")

    assert evidence.support(claim).verdict is verdict, evidence.support(claim)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("三十六个月", {"36"}),
        ("一百零五人", {"105"}),
        ("十年", {"10"}),
        ("十分好", set()),
        ("一千三百二十一", {"1321"}),
    ],
)
def test_numbers_in_chinese_are_those_in_digits(text: str, numbers: set[str]) -> None:
    assert set(numbers_in(text)) == numbers


def test_support_of_a_list_in_one_sentence_is_that_of_its_items() -> None:
    evidence = Evidence(
        "New employees get:\n\n- a notebook with a docking station\n- a phone, if they are on call\n"
        "- safety shoes, if they work in production\n- a badge that opens the doors until 22:00\n"
    )
    said = (
        "New employees get: a notebook with a docking station; a phone, if they are on call; safety shoes{}; a badge."
    )

    assert evidence.support(said.format("")).verdict is Verdict.SUPPORTED
    assert evidence.support(said.format("; a company car with leather seats")).verdict is not Verdict.SUPPORTED


def test_support_is_not_denied_by_a_bold_question_before_the_sentence() -> None:
    evidence = Evidence("**What do I do if the pump does not start?**\nCheck the fuse and the dry-run protection.")

    assert evidence.support("Check the fuse and the dry-run protection.").verdict is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("word", "others", "opposite"),
    [
        ("north", {"the", "south"}, True),
        ("legal", {"illegal"}, True),
        ("unpopular", {"popular"}, True),
        ("popular", {"population"}, False),
        ("under", {"der"}, False),
        ("cheapest", {"cheap"}, False),
    ],
)
def test_opposites_are_those_of_a_list_and_those_with_a_denying_beginning(
    word: str, others: set[str], opposite: bool
) -> None:
    assert says_opposite(word, others) is opposite
