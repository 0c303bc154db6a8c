"""Callers with little time, before real models: they get less, in time, and are told so; or they are told at once."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx
    from e2e.stack import Stack

_MEASURED = 12
_TEXT = "The ferry with the number {n} sails from the northern quay at seven, carries cars, and weighs {n} tons. "


def _ask(stack: Stack, number: int, seconds: float | None = None) -> httpx.Response:
    body = {"question": f"How heavy is the ferry with the number {number}?", "top_n": 3}
    return stack.http.post(
        "/v1/answer", json=body, headers={} if seconds is None else {"x-request-timeout": f"{seconds:.3f}"}
    )


def test_callers_with_little_time_get_less_or_hear_it_at_once(stack: Stack) -> None:
    stack.ingest(*({"id": f"d{n}", "text": (_TEXT * 4).format(n=n)} for n in range(60)))
    taken = []
    for number in range(_MEASURED):
        whole = _ask(stack, number)
        assert whole.json()["degraded"] == []
        taken.append(whole.json()["timings"]["total"] / 1000)

    refused = _ask(stack, 20, 0.001)
    assert refused.status_code == 504
    assert refused.json()["error"]["reason"] == "DEADLINE_TOO_SHORT"

    usual = statistics.median(taken)
    shorter = [_ask(stack, 21 + n, usual * part) for n, part in enumerate((0.8, 0.7, 0.6, 0.5, 0.4, 0.3))]
    assert {one.status_code for one in shorter} <= {200, 504}
    answers = [one.json() for one in shorter if one.status_code == 200]
    # Some machine is twice as fast at one question as at those before, and answers it whole: then it was in time.
    assert all(one["degraded"] or one["timings"]["total"] / 1000 < usual for one in answers)
    assert all(entry["reason"] == "timeout" for one in answers for entry in one["degraded"])
    assert _ask(stack, 40).json()["degraded"] == []
