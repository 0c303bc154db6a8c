"""A thread that computes batches, one at a time."""

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import NoReturn

from trivium_encoders.runtimes.base import Item, ItemResult, Session

_log = logging.getLogger(__name__)

_NICE = 5
"""A third of the processor time that others get who want it, too."""

Result = ItemResult | Exception

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class SessionBroken(Exception):
    """A session cannot even compute what it computed when it was new."""


@dataclass(frozen=True, slots=True)
class BatchDone:
    """The outcome of one batch."""

    results: list[Result]
    """One per item, in order: what was computed, or why not."""
    started_at: float
    """When the worker began, in seconds on the event loop's clock."""
    finished_at: float
    """When it ended."""


class Worker:
    """Owns one session and the thread that uses it.

    Args:
        name: The thread's name.
        open_session: Opens the session, in the worker's thread.
        probe: An item that every good session computes; computed once before the first batch, and again after a
            failure to tell a bad text from a broken session.
        on_ready: Called in the worker's thread when it takes batches.
        on_done: Called in the worker's thread after each batch.
        on_death: Called in the worker's thread when it ends without having been asked to; the batch it had is lost.
        urgent: Whether its batches are short and waited for, and so compete with event loops for processors.
    """

    def __init__(
        self,
        name: str,
        open_session: Callable[[], Session],
        probe: Item,
        *,
        on_ready: Callable[["Worker"], None],
        on_done: Callable[["Worker", BatchDone], None],
        on_death: Callable[["Worker", BaseException], None],
        urgent: bool = False,
    ) -> None:
        self._open_session = open_session
        self._probe = probe
        self._on_ready = on_ready
        self._on_done = on_done
        self._on_death = on_death
        self._urgent = urgent
        self._inbox: SimpleQueue[Sequence[Item] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()
        _threads.add(self._thread)

    def submit(self, items: Sequence[Item]) -> None:
        """Gives the worker a batch; it must have none."""
        self._inbox.put(items)

    def stop(self) -> None:
        """Asks the thread to end after the batch it has."""
        self._inbox.put(None)

    def join(self, timeout_seconds: float) -> bool:
        """Waits for the thread's end; whether it came in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if not self._urgent:
                _step_back()
            session = self._open_session()
            session.run([self._probe])
            self._on_ready(self)
            while (items := self._inbox.get()) is not None:
                started_at = time.monotonic()
                results = compute(session, items, self._probe)
                self._on_done(self, BatchDone(results, started_at, time.monotonic()))
        except BaseException as error:  # the thread's edge: whatever ends it must be known
            self._on_death(self, error)


def _step_back() -> None:
    """Lets event loops, this process's and others', go before this thread and those that its session starts.

    A batch takes long whether it waits a moment or not; what the loops do, to admit, to refuse and to tell that a
    service lives, is short, and others wait for it.
    """
    with suppress(OSError, AttributeError):  # where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


def end_process(status: int) -> NoReturn:
    """Ends the process with a status, also while a worker computes that was given up.

    The interpreter ends a thread that comes back from native code in its last moments by unwinding it, and C++ answers
    with an abort. So it is not waited for: what was registered for the end is done, and the process leaves.
    """
    if not any(thread.is_alive() for thread in _threads):
        sys.exit(status)
    _log.warning("the process ends while a worker computes")
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def compute(session: Session, items: Sequence[Item], probe: Item) -> list[Result]:
    """Computes a batch; one that fails is halved until the items that fail stand alone.

    Raises:
        SessionBroken: The session fails on the probe too, so that no item is to blame.
    """
    try:
        return list(session.run(items))
    except Exception as error:  # runtimes raise what they like
        if len(items) > 1:
            middle = len(items) // 2
            return [*compute(session, items[:middle], probe), *compute(session, items[middle:], probe)]
        _log.warning("a text of %d tokens could not be computed: %s", items[0].length, error)
        try:
            session.run([probe])
        except Exception as broken:
            raise SessionBroken(str(broken)) from broken
        return [error]
