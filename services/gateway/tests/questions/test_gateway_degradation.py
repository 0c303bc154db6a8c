"""Which errors other means may make up for, and how that is said."""

from __future__ import annotations

import time

import pytest
from trivium_gateway.domain.degradation import Degradation, Reason, Stage, degradable_reason, header_value
from trivium_gateway.request.budget import Deadline
from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    NotFound,
    Overloaded,
    TooLarge,
    TriviumError,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("down"), Reason.UNAVAILABLE),
        (Unavailable("loading", reason="LOADING"), Reason.LOADING),
        (DeadlineExceeded("late"), Reason.TIMEOUT),
        (Overloaded("busy"), Reason.OVERLOADED),
        (FailedPrecondition("other model", reason="MODEL_CHANGED"), Reason.UNAVAILABLE),
        (TriviumError("broken"), Reason.UNAVAILABLE),
    ],
)
def test_degradable_reason_of_a_failed_stage_says_why(error: TriviumError, reason: Reason) -> None:
    assert degradable_reason(error) is reason


@pytest.mark.parametrize(
    "error", [InvalidField("query", "blank"), TooLarge("long"), NotFound("gone"), AlreadyExists("there")]
)
def test_degradable_reason_of_a_callers_mistake_is_none(error: TriviumError) -> None:
    assert degradable_reason(error) is None


def test_header_value_lists_stage_reason_and_fallback() -> None:
    degraded = [
        Degradation(Stage.EMBED, Reason.UNAVAILABLE, "sparse"),
        Degradation(Stage.RERANK, Reason.TIMEOUT, "fused-order"),
    ]

    assert header_value(degraded) == "embed:unavailable:sparse, rerank:timeout:fused-order"
    assert header_value([]) == ""


def test_stage_seconds_are_the_smaller_of_limit_and_share() -> None:
    assert Deadline.after(100).stage_seconds(3.0, 0.5) == 3.0
    assert Deadline.after(1).stage_seconds(3.0, 0.5) == pytest.approx(0.5, abs=0.05)


def test_stage_seconds_after_the_deadline_are_an_error() -> None:
    deadline = Deadline(time.monotonic() - 1)

    assert deadline.remaining_seconds() == 0
    with pytest.raises(DeadlineExceeded, match="Allow it more time"):
        deadline.stage_seconds(3.0, 0.5)
