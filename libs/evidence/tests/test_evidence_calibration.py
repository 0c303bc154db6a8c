"""What calibrations make of signs."""

from __future__ import annotations

import math

import pytest
from trivium_evidence.calibration import (
    WORDS,
    WORDS_CHINESE,
    Odds,
    by_words,
    calibration_for,
    descending,
    search_only,
)
from trivium_evidence.signs import Nearness, Read, coverages, signs_of, signs_of_passage, signs_of_vectors

MINILM = "1257289f160a12cdd322cdfc438e50289b6cbab299f6011c3fe9c576c98b4fc5"
NEAR = Nearness(dense=0.6, maxsim=0.62, weighted_maxsim=0.6)
FAR = Nearness(dense=0.15, maxsim=0.3, weighted_maxsim=0.25)
TERMS = Read("The warranty of the KX-200 lasts 36 months from delivery. Lamps are not covered.", "Terms of sale")
BIRDS = Read("Herons eat fish and frogs. They nest in colonies.", "Birds")


@pytest.mark.parametrize("fingerprint", [MINILM, search_only(MINILM), WORDS, WORDS_CHINESE])
def test_calibration_of_a_passage_rises_with_each_sign(fingerprint: str) -> None:
    calibration = calibration_for(fingerprint)

    assert calibration is not None
    assert calibration.passage.weights
    assert min(calibration.passage.weights.values()) >= 0
    low = calibration.passage.probability(signs_of_passage(FAR, 0.1))
    high = calibration.passage.probability(signs_of_passage(NEAR, 0.9))
    assert low < 0.1
    assert high > 0.5


@pytest.mark.parametrize(("question", "key"), [("秘鲁的首都是哪里？", WORDS_CHINESE), ("Какой город столица?", WORDS)])
def test_calibration_by_words_has_an_operating_point_for_chinese(question: str, key: str) -> None:
    assert by_words(question) == key


def test_calibration_of_an_unknown_model_is_none() -> None:
    assert calibration_for("0123") is None


@pytest.mark.parametrize("fingerprint", [MINILM, WORDS, WORDS_CHINESE])
def test_topic_of_a_question_about_something_else_is_under_the_operating_point(fingerprint: str) -> None:
    calibration = calibration_for(fingerprint)
    assert calibration is not None

    about = signs_of("How long does the warranty last?", [TERMS, BIRDS]) | signs_of_vectors([NEAR, FAR])
    elsewhere = signs_of("What is the capital of Peru?", [BIRDS, TERMS]) | signs_of_vectors([FAR, FAR])

    assert calibration.topic.probability(about) > 0.5
    assert calibration.topic.probability(elsewhere) < calibration.refuse_below


def test_passage_that_is_alone_covers_about_what_it_does_beside_others() -> None:
    question, short = "How long does the warranty last?", Read("The warranty lasts 24 months.")
    others = [Read(f"Herons of colony {number} eat fish.") for number in range(4)]

    alone, beside = coverages(question, [short]), coverages(question, [short, *others])
    assert alone[0] > 0.5
    assert abs(alone[0] - beside[0]) < 0.2
    assert coverages(question, [short, *others, *others])[0] == beside[0]


def test_odds_of_extreme_signs_stay_probabilities() -> None:
    odds = Odds(0.0, {"a": 1.0})

    assert odds.probability({"a": 1e9}) == pytest.approx(1.0)
    assert odds.probability({"a": -1e9}) == pytest.approx(0.0)
    assert odds.probability({}) == 0.5


def test_descending_of_scores_that_rise_shares_their_mean() -> None:
    assert descending([0.5, 0.9, 0.1]) == pytest.approx([0.7, 0.7, 0.1])
    assert descending([]) == []
    assert descending([0.3, 0.2]) == [0.3, 0.2]


def test_coverages_count_telling_words_of_title_and_text() -> None:
    first, second = coverages("How long does the warranty last?", [TERMS, BIRDS])

    assert first > 0.4 > 0.2 > second


def test_signs_of_passages_without_sentences_are_none() -> None:
    assert signs_of("How long?", [Read("---")]) == {}


def test_signs_tell_missing_numbers_types_and_denials() -> None:
    signs = signs_of("When did the KX-900 not sell 12 units?", [BIRDS])

    missing = ("type_missing_date", "type_missing", "number_missing", "denial_asked_only")
    assert {name: signs[name] for name in missing} == dict.fromkeys(missing, 1)
    assert signs["name_missing"] == 2  # both parts of KX-900
    assert all(map(math.isfinite, signs.values()))
