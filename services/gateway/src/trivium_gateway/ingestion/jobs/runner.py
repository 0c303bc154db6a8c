"""Takes the documents of jobs through ingestion, behind everything else, and goes on where a crash broke off."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from trivium_serving.errors import DeadlineExceeded, Overloaded, StorageFull, TriviumError, Unavailable
from trivium_serving.request_context import set_tenant

from trivium_gateway.access.private_files import open_private
from trivium_gateway.ingestion.jobs.job import Failure, Outcome
from trivium_gateway.request.principal import Principal, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from trivium_gateway.ingestion.jobs.metrics import JobMetrics
    from trivium_gateway.ingestion.jobs.queue import Batch, JobQueue
    from trivium_gateway.ingestion.jobs.spool import Spool
    from trivium_gateway.library.documents import DocumentResult, NewDocument

__all__ = ["Ingest", "JobRunner"]

_Result = TypeVar("_Result")

_logger = logging.getLogger(__name__)

_WORKERS = 2
"""While one's documents are written, the other's are parsed and embedded."""
_IDLE_SECONDS = 1.0
"""How often to look for jobs that another process on the same folder took, and whether it has died."""
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.5, 30.0
_TIDY_SECONDS = 60.0

_WAITS = (Unavailable, Overloaded, StorageFull, DeadlineExceeded)
"""What says nothing about the document: it is tried again until it is in, or somebody cancels the job."""


class Ingest(Protocol):
    """Writes documents; see Library.ingest_unbounded."""

    def __call__(
        self, principal: Principal, collection: str, documents: AsyncIterator[NewDocument], *, max_documents: int
    ) -> Coroutine[Any, Any, list[DocumentResult]]: ...


class JobRunner:
    """Runs jobs, those of all tenants in turn. Of several processes on one folder, one does; the next if that dies.

    Args:
        queue: The jobs.
        spool: The bytes of their documents.
        lock: A file that the process which runs jobs holds locked.
        ingest: Does the work.
        metrics: Where it is counted.
        keep_seconds: How long ended jobs are kept.
    """

    def __init__(
        self, queue: JobQueue, spool: Spool, lock: Path, ingest: Ingest, metrics: JobMetrics, keep_seconds: float
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._lock = lock
        self._ingest = ingest
        self._metrics = metrics
        self._keep_seconds = keep_seconds
        self._news = asyncio.Event()
        self._working: dict[str, set[asyncio.Task[list[Outcome]]]] = {}  # by job
        self._rests: dict[str, tuple[float, float]] = {}  # by job: its last rest in seconds, and when it is over

    def wake(self) -> None:
        """Says that there is something new to do."""
        self._rests.clear()
        self._news.set()

    def stop(self, job: str) -> None:
        """Breaks off what is done for a job. A document that is not in then is as it was."""
        for task in self._working.get(job, ()):
            task.cancel()

    async def run(self) -> None:
        """Runs jobs until it is cancelled."""
        while not self._queue.exists:  # a gateway without jobs has no files for them
            await self._idle()
        lock = open_private(self._lock, os.O_RDWR | os.O_CREAT)
        try:
            while not _is_locked_by_us(lock):
                await self._idle()
            await self._run_alone()
        finally:
            os.close(lock)

    async def _run_alone(self) -> None:
        await self._persistently(self._queue.recover)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tidy())
                for _ in range(_WORKERS):
                    tasks.create_task(self._work())
        except asyncio.CancelledError:
            # At once, and not in a thread that nobody would wait for: the gateway is ending.
            with suppress(TriviumError):
                self._queue.put_back()
            raise

    async def _work(self) -> None:
        while True:
            self._news.clear()
            now = time.monotonic()
            resting = {job for job, (_, end) in self._rests.items() if end > now}
            batch = await self._persistently(self._queue.take, resting)
            if batch is None:
                await self._idle()
                continue
            outcomes = await self._until_cancelled(batch)
            for one in outcomes:
                self._metrics.count("waits" if one.waits else "failed" if one.failures else "done")
            gone = await self._persistently(self._queue.settle, batch.job, outcomes)
            await asyncio.to_thread(self._spool.remove, *gone)
            self._rest(batch.job, all(one.waits for one in outcomes))
            self._news.set()  # what came behind one of these documents may begin

    async def _until_cancelled(self, batch: Batch) -> list[Outcome]:
        """Works on documents, at most until their job is cancelled."""
        task = asyncio.create_task(self._outcomes_of(batch))
        working = self._working.setdefault(batch.job, set())
        working.add(task)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            working.discard(task)
            if not working:
                self._working.pop(batch.job, None)
        if not task.cancelled():
            return task.result()
        failure = Failure("", "CANCELLED", "The job was cancelled.")
        return [Outcome(number, (failure,), waits=True) for number, _, _ in batch.documents]

    async def _outcomes_of(self, batch: Batch) -> list[Outcome]:
        async def documents() -> AsyncIterator[NewDocument]:
            for _, name, kept in batch.documents:
                yield await asyncio.to_thread(self._spool.read, name, kept)

        who = Principal.of(batch.reader, frozenset({Scope.INGEST}), batch.key_id)
        set_tenant(who.tenant)
        numbers = [number for number, _, _ in batch.documents]
        try:
            results = await self._ingest(who, batch.collection, documents(), max_documents=len(numbers))
        except TriviumError as error:
            failures = [(Failure(kept.id, error.reason, error.message),) for _, _, kept in batch.documents]
            waits = isinstance(error, _WAITS)
            return [Outcome(number, one, waits) for number, one in zip(numbers, failures, strict=True)]
        return [_outcome(number, result) for number, result in zip(numbers, results, strict=True)]

    async def _persistently(self, change: Callable[..., _Result], *arguments: object) -> _Result:
        """Changes what is kept, and waits if that is not possible, as on a full disk."""
        pause = _FIRST_REST_SECONDS
        while True:
            try:
                return await asyncio.to_thread(change, *arguments)
            except TriviumError as error:
                _logger.error("jobs wait %g s: %s (%s)", pause, error.message, error.cause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_REST_SECONDS)

    def _rest(self, job: str, waits: bool) -> None:
        """Has a job rest whose documents had to wait, longer each time."""
        if not waits:
            self._rests.pop(job, None)
            return
        before, _ = self._rests.get(job, (_FIRST_REST_SECONDS / 2, 0.0))
        seconds = min(2 * before, _LONGEST_REST_SECONDS)
        self._rests[job] = (seconds, time.monotonic() + seconds)

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _IDLE_SECONDS)

    async def _tidy(self) -> None:
        tidied = 0.0
        while True:
            load = await self._persistently(self._queue.load)
            self._metrics.set_load(load)
            if time.monotonic() - tidied > _TIDY_SECONDS:
                gone, known = await self._persistently(self._queue.tidy, self._keep_seconds)
                await asyncio.to_thread(self._spool.remove, *gone)
                await asyncio.to_thread(self._spool.remove_orphans, known)
                tidied = time.monotonic()
            await asyncio.sleep(_IDLE_SECONDS)


def _outcome(number: int, result: DocumentResult) -> Outcome:
    failed = [one for one in _with_parts(result) if one.error is not None]
    failures = [Failure(one.id, one.error.reason, one.error.message) for one in failed if one.error is not None]
    return Outcome(number, failures, any(isinstance(one.error, _WAITS) for one in failed))


def _with_parts(result: DocumentResult) -> Sequence[DocumentResult]:
    return [result, *(inner for part in result.parts for inner in _with_parts(part))]


def _is_locked_by_us(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
