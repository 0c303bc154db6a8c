"""Tasks that run as long as their service: none of them ends without being noticed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from prometheus_client import CollectorRegistry

_logger = logging.getLogger(__name__)


class Background:
    """The background tasks of one service.

    A task that ends with an error that it does not handle itself is logged with its traceback, counted in
    `trivium_<service>_background_failures_total`, and started again after a pause that doubles from one failure to the
    next. Where going on would be a lie, because nothing can take its place, the service is to end instead.

    Args:
        service: The service's short name, for the metric.
        registry: Where it is registered.
        first_pause_seconds: The first pause.
        longest_pause_seconds: The longest; a task that ran for longer than this begins with the first one again.
    """

    def __init__(
        self,
        service: str,
        registry: CollectorRegistry,
        *,
        first_pause_seconds: float = 1.0,
        longest_pause_seconds: float = 30.0,
    ) -> None:
        self._failures = Counter(
            f"trivium_{service}_background_failures_total",
            "Background tasks that ended with an error that nobody expected.",
            ("task",),
            registry=registry,
        )
        self._first_pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = asyncio.Event()

    @property
    def broken(self) -> bool:
        """Whether a task has failed without which the service cannot go on."""
        return self._broken.is_set()

    async def wait_until_broken(self) -> None:
        """Returns once a task has failed without which the service cannot go on: end the process then."""
        await self._broken.wait()

    def declare(self, *names: str) -> None:
        """Makes the series of tasks exist before they are started, so that rates over them are right."""
        for name in names:
            self._failures.labels(name)

    def start(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, restart: bool = True
    ) -> asyncio.Task[None]:
        """Runs something until it returns, or until the task is cancelled.

        Args:
            name: What it is, for the log and the metric; one of few.
            work: Called for each start.
            restart: Whether to start it again after a failure; if not, the service ends.

        Returns:
            The task, which never raises anything but CancelledError.
        """
        self.declare(name)
        task = asyncio.create_task(self._keep(name, work, restart), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancels all tasks, and waits until they have ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]], restart: bool) -> None:
        clock = asyncio.get_running_loop().time
        pause = self._first_pause_seconds
        while True:
            began = clock()
            try:
                await work()
                return
            except (Exception, asyncio.CancelledError) as error:
                if _is_being_cancelled():
                    raise
                failure = error  # a CancelledError, too, where it was something within the work that was cancelled
            self._failures.labels(name).inc()
            if not restart:
                _logger.critical("%s has failed, and the service cannot go on without it", name, exc_info=failure)
                self._broken.set()
                return
            if clock() - began > self._longest_pause_seconds:
                pause = self._first_pause_seconds
            _logger.error("%s has failed; it starts again in %g s", name, pause, exc_info=failure)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._longest_pause_seconds)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
