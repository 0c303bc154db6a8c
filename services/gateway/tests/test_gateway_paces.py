"""How long stages take, and how a caller's time is divided by that, on a clock that the tests turn."""

from __future__ import annotations

import math

import pytest
from trivium_gateway.answering.fitting import candidates_in_time
from trivium_gateway.request.budget import Budget
from trivium_gateway.request.outcomes import Outcomes
from trivium_gateway.request.paces import Paces
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.request.record import Record
from trivium_serving.errors import DeadlineExceeded


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def measured(clock: Clock | None = None, count: int = 20, **seconds: float) -> Paces:
    """Paces of stages that have always taken the same."""
    paces = Paces(clock or Clock())
    for stage, taken in seconds.items():
        for _ in range(count):
            paces.note(stage, taken)
    return paces


def test_pace_is_unknown_until_some_were_measured() -> None:
    assert measured(search=0.1, count=7).usual("search") is None
    assert measured(search=0.1, count=8).usual("search") == 0.1


def test_pace_has_quantiles() -> None:
    paces = Paces(Clock())
    for number in range(50):
        paces.note("search", number / 100)

    assert (paces.quickest("search"), paces.typical("search"), paces.usual("search")) == (0.05, 0.25, 0.45)


def test_pace_follows_the_last_and_forgets_the_old() -> None:
    clock = Clock()
    paces = measured(clock, search=0.1, count=64)
    for _ in range(60):
        paces.note("search", 0.3)
    assert paces.typical("search") == 0.3

    clock.seconds += 61
    assert paces.usual("search") is None


def test_stage_that_nobody_has_measured_lately_is_tried() -> None:
    clock = Clock()
    paces = measured(clock, search=0.1)
    assert paces.quickest("search") == 0.1

    clock.seconds += 6
    assert paces.quickest("search") is None
    assert paces.usual("search") == 0.1


def test_fitting_size_is_in_proportion_to_what_was_measured() -> None:
    paces = Paces(Clock())
    assert paces.fitting("rerank", 50, 0.001) == 50  # nobody knows
    for _ in range(20):
        paces.note("rerank", 0.5, 50)

    assert paces.fitting("rerank", 50, 1.0) == 50
    assert paces.fitting("rerank", 50, 0.4) == 40
    assert paces.fitting("rerank", 50, 0.1) == 10
    assert paces.fitting("rerank", 50, 0.001) == 0


def test_fitting_size_learns_that_less_has_a_cost_of_its_own() -> None:
    paces = Paces(Clock())
    for _ in range(20):
        paces.note("rerank", 0.5, 50)
    assert paces.fitting("rerank", 50, 0.1) == 10
    for _ in range(8):
        paces.note("rerank", 0.2, 10)  # and not a fifth of what 50 take

    assert paces.fitting("rerank", 50, 0.1) == 5
    assert paces.fitting("rerank", 50, 0.2) == 20  # of the next larger size each costs less


def test_stage_gets_what_those_behind_it_leave() -> None:
    budget = Budget(1.0, measured(search=0.7, embed=0.1))

    assert budget.allot("embed", 5.0, 0.4, later=("search",)) == pytest.approx(0.3, abs=0.01)
    assert Budget(10.0, budget.paces).allot("embed", 5.0, 0.4, later=("search",)) == pytest.approx(4.0, abs=0.01)


def test_slow_stage_gets_more_than_its_share_where_that_is_free() -> None:
    assert Budget(1.0, measured(rerank=0.4)).allot("rerank", 5.0, 0.5) == pytest.approx(0.8, abs=0.01)
    assert Budget(1.0, measured(rerank=0.1)).allot("rerank", 5.0, 0.5) == pytest.approx(0.5, abs=0.01)
    assert Budget(1.0, measured(rerank=0.4)).allot("rerank", 0.3, 0.5) == 0.3


def test_stage_that_cannot_be_in_time_is_not_begun() -> None:
    budget = Budget(0.5, measured(search=0.3, embed=0.4))

    with pytest.raises(DeadlineExceeded) as too_short:
        budget.allot("embed", 5.0, 0.4, later=("search",))

    assert too_short.value.reason == "DEADLINE_TOO_SHORT"
    assert "400 ms" in too_short.value.message
    assert budget.decided == {("embed", "left_out"): 1}
    assert budget.allot("search", 5.0, 0.8) == pytest.approx(0.5, abs=0.01)


def test_stage_that_is_too_late_anyway_keeps_no_time_from_those_before_it() -> None:
    paces = measured(generate=5.0)

    assert Budget(10.0, paces).room(("generate",)) == pytest.approx(5.0, abs=0.01)
    assert Budget(1.0, paces).room(("generate",)) == pytest.approx(1.0, abs=0.01)


def test_candidates_are_as_many_as_there_is_time_for() -> None:
    outcomes = Outcomes()
    for _ in range(20):
        outcomes.paces.note("rerank", 1.0, 100)
        outcomes.paces.note("extract", 0.5, 1000)

    def count(seconds: float, *later: str) -> int:
        record = Record("answer", EVERYBODY, seconds, {}, outcomes)
        record.budget.later = later
        return candidates_in_time(100, 5, record)

    assert count(60) == 100
    assert 40 <= count(0.5) <= 45
    assert 40 <= count(1.0, "extract") <= 45
    assert count(0.01) == 5  # those that are shown, or none: Budget.allot says so


def test_stage_that_was_given_up_counts_as_slow_and_one_that_was_not_begun_not_at_all() -> None:
    outcomes = Outcomes()
    outcomes.paces = measured(embed=0.0, count=8)
    record = Record("answer", EVERYBODY, 60, {}, outcomes)

    def end_with(reason: str) -> None:
        """A run that ends so."""
        with record.stage("embed") as stage:
            stage.size = 1
            raise DeadlineExceeded("late", reason=reason)

    with pytest.raises(DeadlineExceeded):
        end_with("DEADLINE_TOO_SHORT")
    assert outcomes.paces.usual("embed") == 0
    with pytest.raises(DeadlineExceeded):
        end_with("DEADLINE_EXCEEDED")
    slow = outcomes.paces.usual("embed")
    assert slow is not None
    assert slow > 0


def test_time_that_is_over_is_an_error_of_its_own() -> None:
    with pytest.raises(DeadlineExceeded) as over:
        Budget(0.0, Paces()).allot("search", math.inf, 1.0)
    assert over.value.reason == "DEADLINE_EXCEEDED"
