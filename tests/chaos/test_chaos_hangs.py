"""A process that stops without ending, under steady questions: nobody waits for it long.

The short form of this is tests/e2e/test_e2e_hangs.py.
"""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from chaos.calls import percentile
from chaos.steady import Questions
from e2e.stack import wait_until
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chaos.conftest import Scale
    from e2e.stack import Stack

_PER_SECOND = 3
_BEFORE_SECONDS = 6.0
_HANG_SECONDS = 20.0
_DETECTED_SECONDS = 1.0
_TIMES = 2.0
"""An answer takes so many times the p99 before, and the time until the hang is known, at most."""
_KEY = "tv_first_" + "0" * 32


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("service", "stage"),
    [("embed", "embed"), ("rerank", "rerank"), ("generate", "generate"), ("qdrant_edge", "search")],
)
def test_hang_of_one_process_costs_no_answer_its_timeout(
    make_stack: Callable[[], Stack], scale: Scale, seen: Callable[[str], None], service: str, stage: str
) -> None:
    if not scale.long:
        pytest.skip("a part of make chaos")
    stack = make_stack()
    stack.start()
    stack.wait_ready()
    stack.ingest(*({"id": f"d{n}", "text": f"The ferry with the number {n} weighs {n} tons."} for n in range(50)))
    stack.answer("How heavy is the ferry?")
    questions = Questions(stack, _PER_SECOND)

    questions.ask_for(_BEFORE_SECONDS)
    stopped_at = time.monotonic()
    stack.signal(service, signal.SIGSTOP)
    try:
        questions.ask_for(_HANG_SECONDS)
    finally:
        stack.signal(service, signal.SIGCONT)
    resumed_at = time.monotonic()
    stack.wait_stage(stage, ready=True)
    questions.ask_for(2.0)
    questions.wait()

    before = [one.seconds for one in questions.answers if one.ended_at < stopped_at]
    during = [one for one in questions.answers if stopped_at <= one.asked_at < resumed_at]
    # What began and ended while the process stood still cannot have had anything from it.
    silent = [one for one in during if one.status == 200 and one.ended_at < resumed_at and stage not in one.degraded]
    usual, meanwhile = percentile(before, 0.99), percentile([one.seconds for one in during], 0.99)
    seen(
        f"{service} stopped: {len(during)} answers, {questions.asked - len(questions.answers)} lost, {len(silent)} "
        f"unflagged, p50 {statistics.median(one.seconds for one in during):.2f} s, p99 {meanwhile:.2f} s; before, of "
        f"{len(before)}, p50 {statistics.median(before):.2f} s, p99 {usual:.2f} s"
    )
    assert len(questions.answers) == questions.asked
    assert {one.status for one in during} <= ({200, 503} if service == "qdrant_edge" else {200})
    assert not silent
    assert meanwhile <= _TIMES * usual + _DETECTED_SECONDS
    wait_until(lambda: not stack.answer("How heavy is the ferry?")["degraded"], "whole answer")


@pytest.mark.timeout(600)
def test_hang_of_redis_costs_no_answer_its_timeout(
    make_stack: Callable[..., Stack], scale: Scale, seen: Callable[[str], None], tmp_path: Path
) -> None:
    if not scale.long or shutil.which("redis-server") is None:
        pytest.skip("a part of make chaos; needs redis-server")
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        stack = make_stack(
            TRIVIUM_GATEWAY_AUTH="keys", TRIVIUM_GATEWAY_ADMIN_KEY=_KEY, TRIVIUM_GATEWAY_REDIS_URL=url,
            TRIVIUM_GATEWAY_CACHE="on", TRIVIUM_GATEWAY_CACHE_REDIS_URL=url,
        )  # fmt: skip
        stack.http.headers["authorization"] = f"Bearer {_KEY}"
        stack.start()
        stack.wait_ready()
        stack.ingest(*({"id": f"d{n}", "text": f"The ferry with the number {n} weighs {n} tons."} for n in range(50)))
        stack.answer("How heavy is the ferry?")
        questions = Questions(stack, _PER_SECOND)

        questions.ask_for(_BEFORE_SECONDS)
        stopped_at = time.monotonic()
        redis.send_signal(signal.SIGSTOP)
        questions.ask_for(_HANG_SECONDS)
        redis.send_signal(signal.SIGCONT)
        questions.wait()
    finally:
        redis.kill()
        redis.wait()

    usual = percentile([one.seconds for one in questions.answers if one.asked_at < stopped_at], 0.99)
    during = [one for one in questions.answers if one.asked_at >= stopped_at]
    meanwhile = percentile([one.seconds for one in during], 0.99)
    seen(f"redis stopped: {len(during)} answers, p99 {meanwhile:.2f} s; before {usual:.2f} s")
    assert len(questions.answers) == questions.asked
    assert {one.status for one in questions.answers} == {200}
    assert not any(one.degraded for one in questions.answers)
    assert meanwhile <= _TIMES * usual + _DETECTED_SECONDS
