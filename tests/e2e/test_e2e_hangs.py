"""Each process stopped while questions run: nobody waits for it for long, and it is used again when it goes on."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from e2e.stack import Stack

_LONGEST_SECONDS = 4.0
"""About one second is what is meant; what a stage may take by its settings is 5 s and more."""


class Callers:
    """Ask one question after another, each another one."""

    def __init__(self, stack: Stack, count: int) -> None:
        self._stack = stack
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.answers: list[tuple[float, float, int, set[str], dict[str, Any]]] = []
        """When it was asked, seconds, status, what was replaced, milliseconds per stage."""
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(count)]

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._stack.http.base_url, timeout=60) as http:
            asked = 0
            while not self._end.is_set():
                asked += 1
                begin = time.monotonic()
                response = http.post("/v1/answer", json={"question": f"How tall is heron {number} in year {asked}?"})
                body = response.json()
                degraded = {f"{one['stage']}:{one['fallback']}" for one in body.get("degraded", ())}
                seconds = time.monotonic() - begin
                with self._lock:
                    self.answers.append((begin, seconds, response.status_code, degraded, body.get("timings", {})))

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def wait(self, condition: Any, what: str) -> None:
        end = time.monotonic() + 60
        while True:
            with self._lock:
                if condition(self.answers):
                    return
            assert time.monotonic() < end, what
            time.sleep(0.05)


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


@pytest.fixture(scope="module", autouse=True)
def _documents(stack: Stack) -> None:
    stack.ingest(*({"id": f"h{n}", "text": f"Heron {n} stands {n} centimetres tall. It eats fish."} for n in range(30)))


@pytest.mark.alone
@pytest.mark.parametrize(
    ("service", "stage", "degradation"),
    [
        ("embed", "embed", "embed:sparse"),
        ("rerank", "rerank", "rerank:fused-order"),
        ("generate", "generate", "generate:passages"),
        ("qdrant_edge", "search", ""),
    ],
)
def test_process_that_hangs_under_load_holds_nobody_up(
    stack: Stack, service: str, stage: str, degradation: str
) -> None:
    with Callers(stack, 3) as callers:
        callers.wait(lambda answers: len(answers) >= 6, "answers")
        stopped = time.monotonic()
        stack.signal(service, signal.SIGSTOP)
        try:

            def replaced(answers: Any) -> bool:
                later = [one for one in answers if one[0] > stopped + 2]
                return len(later) >= 6

            callers.wait(replaced, "answers while it hangs")
        finally:
            stack.signal(service, signal.SIGCONT)
        callers.wait(lambda answers: answers and answers[-1][2] == 200 and not answers[-1][3], "answer as before")

    assert max(seconds for _, seconds, *_ in callers.answers) < _LONGEST_SECONDS
    later = [one for one in callers.answers if one[0] > stopped + 2 and (degradation in one[3] or one[2] == 503)]
    assert later
    for _, _, status, degraded, milliseconds in later:
        if degradation:
            assert status == 200
            assert degradation in degraded
            assert milliseconds[stage] < 500  # it was not even tried
        else:
            assert status == 503
    stack.wait_ready()
