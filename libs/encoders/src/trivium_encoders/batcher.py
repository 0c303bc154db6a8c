"""Gives waiting texts to workers in good batches; the one owner of the queue, on the event loop."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from trivium_encoders.crew import Crew, CrewPlan
from trivium_encoders.errors import DeadlineExpired, EncoderClosed, EncoderError, EncoderFailed, EncoderUnavailable
from trivium_encoders.metrics import EncoderMetrics
from trivium_encoders.options import Priority
from trivium_encoders.queueing import Entry, Job, WaitingQueue
from trivium_encoders.runtimes.base import Item, ItemResult, padded_length
from trivium_encoders.worker import BatchDone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Computed:
    """The results of one call."""

    results: list[ItemResult]
    """One per item, in order."""
    queue_seconds: float
    """Until the first item was being computed."""
    compute_seconds: float
    """From then until the last was done."""


class Batcher:
    """Collects the items of concurrent calls into batches and has workers compute them.

    All methods are for the event loop that `start` ran on. Nothing waits for a batch to fill: a worker that is idle
    takes what is there.

    Args:
        plan: The workers.
        budget_tokens: Most padded tokens in a batch.
        express_tokens: Most padded tokens of a call that express workers take, and in their batches.
        metrics: Where the batcher reports.
    """

    def __init__(self, plan: CrewPlan, *, budget_tokens: int, metrics: EncoderMetrics, express_tokens: int = 0) -> None:
        self._metrics = metrics
        self._queue = WaitingQueue(budget_tokens, express_tokens)
        self._crew = Crew(plan, metrics, on_idle=self._dispatch, on_done=self._hand_out, on_lost=self._fail_lost)
        self._jobs: set[Job] = set()
        self._closed = False
        self._dispatch_planned = False

    @property
    def healthy(self) -> bool:
        """Whether every worker takes batches."""
        return self._crew.healthy

    async def start(self) -> None:
        """Starts the workers and waits until each has computed something.

        Raises:
            ModelUnsupported: A worker cannot.
        """
        self._loop = asyncio.get_running_loop()
        await self._crew.start()

    async def run(self, items: Sequence[Item], *, priority: Priority, deadline: float | None) -> Computed:
        """Has items computed; when the awaiting task is cancelled, those that still wait are dropped.

        Args:
            items: At least one.
            priority: Their class.
            deadline: When they are no longer wanted, in seconds on the event loop's clock.

        Raises:
            DeadlineExpired, EncoderFailed, EncoderUnavailable, EncoderClosed: As the encoders document.
        """
        if self._closed:
            raise EncoderClosed("the encoder is closed")
        if not self._crew.can_work:
            raise EncoderUnavailable("no worker is left; another is being started, try again")
        now = self._loop.time()
        job = Job(items, priority, deadline, now, self._loop.create_future())
        self._jobs.add(job)
        self._queue.add(job)
        self._show_depth(priority)
        self._plan_dispatch()
        try:
            await job.future
        finally:
            self._settle(job)
        self._metrics.queue_seconds.labels(priority.value).observe(job.started_at - now)
        results = [result for result in job.results if result is not None]
        return Computed(results, job.started_at - now, job.finished_at - job.started_at)

    async def close(self) -> None:
        """Fails what waits, lets running batches end, and ends the threads."""
        self._closed = True
        for job in self._jobs:
            if self._queue.drop(job):
                _fail(job, EncoderClosed("the encoder was closed while the texts waited"))
        await self._crew.close()

    def _plan_dispatch(self) -> None:
        """Dispatches once the callbacks that are ready now have run, so that calls of one moment share batches."""
        if not self._dispatch_planned:
            self._dispatch_planned = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_planned = False
        if self._closed:
            return
        now = self._loop.time()
        while self._crew.idle_count and (batch := self._queue.take(now, self._crew.idle_count)):
            self._submit(batch, now)
        while self._crew.express_idle_count and (batch := self._queue.take_express(now)):
            self._submit(batch, now, express=True)

    def _submit(self, batch: Sequence[Entry], now: float, *, express: bool = False) -> None:
        for entry in batch:
            entry.job.started_at = entry.job.started_at or now
        self._crew.submit(batch, express=express)
        lengths = [entry.item.length for entry in batch]
        self._metrics.batch_texts.observe(len(batch))
        self._metrics.batch_padded_tokens.observe(padded_length(max(lengths)) * len(batch))
        self._metrics.batch_tokens.inc(sum(lengths))
        self._show_depth(batch[0].job.priority)

    def _hand_out(self, entries: Sequence[Entry], done: BatchDone) -> None:
        """Gives each job its results; a job ends with its last result, or the first error."""
        for entry, result in zip(entries, done.results, strict=True):
            job = entry.job
            if isinstance(result, Exception):
                self._metrics.failed_texts.inc()
                _fail(job, EncoderFailed(entry.index, str(result)))
                continue
            job.results[entry.index] = result
            job.unfinished -= 1
            if job.unfinished == 0 and not job.future.done():
                job.finished_at = done.finished_at
                job.future.set_result(None)

    def _fail_lost(self, entries: Sequence[Entry], cause: str) -> None:
        """Fails the jobs of a batch whose worker died, and everything if no worker is left."""
        for entry in entries:
            _fail(entry.job, EncoderUnavailable(f"the worker died ({cause}); it is being replaced, try again"))
        if not self._crew.can_work:
            for job in self._jobs:
                _fail(job, EncoderUnavailable(f"no worker is left ({cause}); another is being started, try again"))

    def _settle(self, job: Job) -> None:
        """Takes a job that is over out of the queue, and counts what was never computed."""
        dropped = self._queue.drop(job)
        self._jobs.discard(job)
        self._show_depth(job.priority)
        if job.future.cancelled():
            self._metrics.dropped_texts.labels("cancelled").inc(dropped)
        elif isinstance(job.future.exception(), DeadlineExpired):
            self._metrics.dropped_texts.labels("deadline").inc(job.unfinished)

    def _show_depth(self, priority: Priority) -> None:
        self._metrics.queue_texts.labels(priority.value).set(self._queue.text_count(priority))


def _fail(job: Job, error: EncoderError) -> None:
    if not job.future.done():
        job.future.set_exception(error)
