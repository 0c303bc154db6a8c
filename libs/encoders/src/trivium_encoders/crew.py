"""The workers of an encoder: started together, watched, and replaced when they die."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from trivium_encoders.errors import ModelUnsupported
from trivium_encoders.metrics import EncoderMetrics
from trivium_encoders.queueing import Entry
from trivium_encoders.runtimes.base import Item, Session
from trivium_encoders.worker import BatchDone, Worker

_log = logging.getLogger(__name__)

_RESTART_PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_CLOSE_SECONDS = 30.0
_LATE_SECONDS = 5.0
"""If a timer comes later than this, the whole process stood still, and a batch is not to blame."""


@dataclass(frozen=True, slots=True)
class CrewPlan:
    """Whom to employ."""

    open_session: Callable[[], Session]
    """Opens a session; called in each worker's thread."""
    worker_count: int
    """Workers, each with a session."""
    probe: Item
    """An item that every good session computes."""
    name: str
    """What threads are named after."""
    stall_seconds: float = 300.0
    """A batch that takes longer counts as the worker's death."""
    open_express: Callable[[], Session] | None = None
    """Opens the session of one more worker, for short calls alone; None for no such worker."""


@dataclass(slots=True, eq=False)
class _Running:
    """A batch that a worker has."""

    entries: Sequence[Entry]
    stall: asyncio.TimerHandle


class Crew:
    """All methods and callbacks are of the event loop that `start` ran on.

    Args:
        plan: Whom to employ.
        metrics: Where deaths and the living are counted.
        on_idle: Called when a worker has become idle.
        on_done: Called with a batch and its outcome.
        on_lost: Called with a batch whose worker died, and why.
    """

    def __init__(
        self,
        plan: CrewPlan,
        metrics: EncoderMetrics,
        *,
        on_idle: Callable[[], None],
        on_done: Callable[[Sequence[Entry], BatchDone], None],
        on_lost: Callable[[Sequence[Entry], str], None],
    ) -> None:
        self._plan = plan
        self._metrics = metrics
        self._on_idle = on_idle
        self._on_done = on_done
        self._on_lost = on_lost
        self._starting: set[Worker] = set()
        self._idle: list[Worker] = []
        self._express: Worker | None = None
        self._running: dict[Worker, _Running] = {}
        self._given_up: list[Worker] = []
        self._restarts: set[asyncio.TimerHandle] = set()
        self._hired = 0
        self._deaths_in_a_row = 0
        self._closed = False
        self._warm: asyncio.Future[None] | None = None

    @property
    def healthy(self) -> bool:
        """Whether every worker takes batches."""
        wanted = self._plan.worker_count + (self._plan.open_express is not None)
        return not self._closed and self._alive == wanted

    @property
    def idle_count(self) -> int:
        """Workers that could start any batch now."""
        return len(self._idle) - self.express_idle_count

    @property
    def express_idle_count(self) -> int:
        """Workers that could start a batch of short calls now, beside those that could start any."""
        return int(self._express in self._idle)

    @property
    def can_work(self) -> bool:
        """Whether any worker takes every batch or is about to."""
        known = (self._idle, self._running, self._starting)
        return any(worker is not self._express for workers in known for worker in workers)

    @property
    def _alive(self) -> int:
        return len(self._idle) + len(self._running)

    async def start(self) -> None:
        """Starts the workers and waits until each has computed the probe.

        Raises:
            ModelUnsupported: A worker cannot.
        """
        self._loop = asyncio.get_running_loop()
        self._warm = self._loop.create_future()
        for _ in range(self._plan.worker_count):
            self._hire()
        if self._plan.open_express:
            self._hire(express=True)
        try:
            await self._warm
        except BaseException:
            await self.close()
            raise
        finally:
            self._warm = None

    def submit(self, entries: Sequence[Entry], *, express: bool = False) -> None:
        """Gives a batch to an idle worker; there must be one."""
        worker = next(worker for worker in reversed(self._idle) if (worker is self._express) == express)
        self._idle.remove(worker)
        stall = self._loop.call_later(self._plan.stall_seconds, self._stalled, worker)
        self._running[worker] = _Running(entries, stall)
        worker.submit([entry.item for entry in entries])

    async def close(self) -> None:
        """Lets running batches end, for a while, and ends the threads."""
        self._closed = True
        for handle in self._restarts:
            handle.cancel()
        workers = [*self._idle, *self._running, *self._starting, *self._given_up]
        for worker in workers:
            worker.stop()
        ended = await asyncio.gather(*(asyncio.to_thread(worker.join, _CLOSE_SECONDS) for worker in workers))
        # What the threads posted on their way is handled before the rest is given up.
        await asyncio.sleep(0)
        if not all(ended):
            _log.warning("%d workers still compute; they are left to end on their own", ended.count(False))
        for worker in list(self._running):
            self._on_lost(self._finish(worker), "the encoder was closed")
        self._idle.clear()
        self._starting.clear()
        self._metrics.workers_alive.set(0)

    def _hire(self, *, express: bool = False) -> None:
        self._hired += 1
        worker = Worker(
            f"{self._plan.name}-{self._hired}",
            self._plan.open_express if express and self._plan.open_express else self._plan.open_session,
            self._plan.probe,
            on_ready=lambda worker: self._post(self._ready, worker),
            on_done=lambda worker, done: self._post(self._done, worker, done),
            on_death=lambda worker, error: self._post(self._died, worker, error),
            urgent=express,
        )
        self._starting.add(worker)
        if express:
            self._express = worker
        worker.start()

    def _post(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Runs a callback on the event loop; from a worker's thread, which may outlive the loop."""
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            _log.warning("the event loop is gone; a worker's report is lost")

    def _ready(self, worker: Worker) -> None:
        self._starting.discard(worker)
        self._idle.append(worker)
        self._metrics.workers_alive.set(self._alive)
        if self._warm and not self._warm.done() and self.healthy:
            self._warm.set_result(None)
        self._on_idle()

    def _done(self, worker: Worker, done: BatchDone) -> None:
        if worker not in self._running:  # it had been given up
            return
        entries = self._finish(worker)
        self._deaths_in_a_row = 0
        self._idle.append(worker)
        self._metrics.batch_compute_seconds.observe(done.finished_at - done.started_at)
        self._on_idle()  # first of all give the worker its next batch
        self._on_done(entries, done)

    def _died(self, worker: Worker, error: BaseException) -> None:
        if not {worker} & (self._starting | self._running.keys() | set(self._idle)):  # it had been given up
            return
        _log.error("an encoder's worker died: %s: %s", type(error).__name__, error)
        self._bury(worker, f"{type(error).__name__}: {error}")

    def _stalled(self, worker: Worker) -> None:
        running = self._running.get(worker)
        if running is None:
            return
        late_seconds = self._loop.time() - running.stall.when()
        if late_seconds > _LATE_SECONDS:
            _log.warning("this process stood still for %.0f s; a batch that runs gets its time again", late_seconds)
            running.stall = self._loop.call_later(self._plan.stall_seconds, self._stalled, worker)
            return
        _log.error("a batch has run for %.0f s; its worker is given up", self._plan.stall_seconds)
        worker.stop()
        self._given_up = [known for known in self._given_up if not known.join(0)] + [worker]
        self._bury(worker, f"a batch ran for more than {self._plan.stall_seconds:.0f} s")

    def _bury(self, worker: Worker, cause: str) -> None:
        """Fails what a dead worker had, and plans its replacement."""
        lost = self._finish(worker)
        self._starting.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._metrics.worker_deaths.inc()
        self._metrics.workers_alive.set(self._alive)
        if self._warm:
            if not self._warm.done():
                self._warm.set_exception(ModelUnsupported(f"the model loads but does not run: {cause}"))
            return
        if not self._closed:
            pause = _RESTART_PAUSES_SECONDS[min(self._deaths_in_a_row, len(_RESTART_PAUSES_SECONDS) - 1)]
            self._deaths_in_a_row += 1
            self._restarts = {handle for handle in self._restarts if handle.when() > self._loop.time()}
            hire = partial(self._hire, express=worker is self._express)
            if pause:
                self._restarts.add(self._loop.call_later(pause, hire))
            else:
                hire()
        self._on_lost(lost, cause)

    def _finish(self, worker: Worker) -> Sequence[Entry]:
        """Takes away the batch that a worker has."""
        running = self._running.pop(worker, None)
        if running is None:
            return ()
        running.stall.cancel()
        return running.entries
