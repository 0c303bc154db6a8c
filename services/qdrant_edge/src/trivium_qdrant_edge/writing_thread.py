"""The thread of a collection on which its writes run one after the other, in order of arrival."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from trivium_serving.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")


class WritingThread:
    """Runs what changes one collection.

    Args:
        collection: The collection's name.
        thread_name: What the thread is called.
    """

    def __init__(self, collection: str, thread_name: str) -> None:
        self._collection = collection
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)
        self._abandoned = False

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Runs some work after all that waits.

        Raises:
            Unavailable: The collection is being closed or deleted.
        """

        def run_if_kept() -> _Result:
            if self._abandoned:
                raise self.closing()
            return work()

        try:
            future = self._executor.submit(run_if_kept)
        except RuntimeError as error:  # the executor was shut down
            raise self.closing() from error
        return await asyncio.wrap_future(future)

    def run_some_time(self, work: Callable[[], object]) -> None:
        """Runs some work after all that waits, and waits for none of it; not at all if it is closed meanwhile."""
        with suppress(RuntimeError):
            self._executor.submit(work)

    def close(self) -> None:
        """Takes no more work; what waits is still done."""
        self._executor.shutdown(wait=False)

    def abandon(self) -> None:
        """Takes no more work, and refuses what waits."""
        self._abandoned = True
        self._executor.shutdown(wait=False)

    def closing(self) -> Unavailable:
        """The error for who comes too late."""
        return Unavailable(f"Collection `{self._collection}` is being closed or deleted.", reason="CLOSING")
