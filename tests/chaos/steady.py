"""Questions at a steady rate, whether or not the answers come."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack


@dataclass(frozen=True, slots=True)
class Answer:
    """How a question ended.

    Attributes:
        asked_at: When, by the clock that only goes forward.
        seconds: How long it took.
        status: HTTP's; 0 if the connection broke.
        degraded: The stages that were replaced.
    """

    asked_at: float
    seconds: float
    status: int
    degraded: frozenset[str]

    @property
    def ended_at(self) -> float:
        """When it was there."""
        return self.asked_at + self.seconds

    @property
    def is_whole(self) -> bool:
        """Whether nothing was missing."""
        return self.status == 200 and not self.degraded


class Questions:
    """Asks at a steady rate.

    Args:
        stack: Whom.
        per_second: How often.
    """

    def __init__(self, stack: Stack, per_second: float) -> None:
        self._stack = stack
        self._pause = 1 / per_second
        self._threads: list[threading.Thread] = []
        self._end = threading.Event()
        self.asked = 0
        self.answers: list[Answer] = []

    def ask_for(self, seconds: float) -> None:
        """Asks for that long; the answers may come later."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._end.is_set():
            thread = threading.Thread(target=self._ask, args=(len(self._threads),))
            thread.start()
            self._threads.append(thread)
            self.asked += 1
            time.sleep(self._pause)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Asks while the block runs, and waits for the answers."""
        thread = threading.Thread(target=self.ask_for, args=(math.inf,))
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()
            self.wait()

    def wait(self) -> None:
        """Waits until all answers are there."""
        for thread in self._threads:
            thread.join(120)

    def _ask(self, number: int) -> None:
        started = time.monotonic()
        body = {"question": f"How heavy is the ferry with the number {number} of {started}?"}  # new to every cache
        try:
            response = self._stack.http.post("/v1/answer", json=body)
        except httpx.TransportError:
            self.answers.append(Answer(started, time.monotonic() - started, 0, frozenset()))
            return
        degraded = {one["stage"] for one in response.json().get("degraded", [])}
        self.answers.append(Answer(started, time.monotonic() - started, response.status_code, frozenset(degraded)))
