"""What is said in the log when stages are replaced: each cause, but not thousands of times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from trivium_serving.degradation_log import DegradationLog, lasting_reason
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, TriviumError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("replaced")


def _log(clock: Callable[[], float]) -> DegradationLog:
    return DegradationLog(_logger, clock)


def test_replaced_stage_is_a_warning_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    error = Unavailable("It is down.", reason="UPSTREAM_UNAVAILABLE").because("connection refused")

    _log(lambda: 0.0).note("rerank", "unavailable", "fused-order", error)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "rerank: unavailable, replaced by fused-order: UPSTREAM_UNAVAILABLE: connection refused"
    )


def test_replaced_stages_under_load_are_some_lines_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = _log(lambda: now)

    for _ in range(1000):
        log.note("rerank", "unavailable", "fused-order", "down")
    log.note("embed", "timeout", "sparse", "late")  # another one is not held back by it
    lines_of_the_first_window = len(caplog.records)
    now = 60.0
    log.note("rerank", "unavailable", "fused-order", "down")

    assert lines_of_the_first_window <= 30
    assert "embed: timeout" in caplog.text
    assert f"{1000 - (lines_of_the_first_window - 1)} more requests" in caplog.text
    assert caplog.records[-1].getMessage().startswith("rerank: unavailable, replaced")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FailedPrecondition("other model", reason="MODEL_CHANGED"), "MODEL_CHANGED"),
        (Unavailable("wrong settings", reason="MODEL_MISCONFIGURED"), "MODEL_MISCONFIGURED"),
        (Unavailable("down"), ""),
        (DeadlineExceeded("late"), ""),
    ],
)
def test_reason_lasts_where_somebody_has_to_act(error: TriviumError, expected: str) -> None:
    assert lasting_reason(error) == expected
