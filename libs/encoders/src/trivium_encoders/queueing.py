"""Which texts wait, and which are computed next.

Plain data without a clock or a lock: the batcher owns it, on its event loop. The rules:

- The oldest waiting item of the class that goes first begins every batch, so nothing starves.
- The batch is filled with the items closest to it in length, from the longest down, until the padded-token budget is
  reached; an item over the budget is a batch of its own.
- Interactive items go before bulk ones, but a bulk item that has waited for the patience goes before any interactive
  item that came after that. The classes do not share batches: bulk would make an interactive batch slower.
- Short calls (interactive, all their items together within the express budget) may also be taken by express workers,
  which take nothing else, so that a question does not wait for the batches that run.
- Items of a job that is done (cancelled, failed) or late are dropped when they would be taken, before any work.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trivium_encoders.errors import DeadlineExpired
from trivium_encoders.options import Priority
from trivium_encoders.runtimes.base import Item, ItemResult, padded_length

BULK_PATIENCE_SECONDS = 2.0
"""How long bulk work lets newer interactive work go first."""
_SHORTEST_SHARE = 0.5
"""Items shorter than this share of the batch's length are left for a batch that fits them better."""
_LEAST_SPLIT_TOKENS = 64
"""Work is not split over idle workers into batches smaller than this."""


@dataclass(slots=True, eq=False)
class Job:
    """The items of one call. It ends when all are computed, or with the first that fails."""

    items: Sequence[Item]
    """What is to be computed."""
    priority: Priority
    """Its class."""
    deadline: float | None
    """When it is no longer wanted, in seconds on the event loop's clock."""
    enqueued_at: float
    """When it came, on that clock."""
    future: asyncio.Future[None]
    """Done when the job is; cancelled by a caller that has left."""
    results: list[ItemResult | None] = field(default_factory=list)
    """One per item."""
    unfinished: int = 0
    """Items without a result."""
    entries: "list[Entry]" = field(default_factory=list)
    """Its items in the queue."""
    short: bool = False
    """Whether express workers take it."""
    started_at: float = 0.0
    """When the first of its items was given to a worker; 0 before."""
    finished_at: float = 0.0
    """When the last of its items was done."""

    def __post_init__(self) -> None:
        self.results = [None] * len(self.items)
        self.unfinished = len(self.items)


@dataclass(slots=True, eq=False)
class Entry:
    """One item in the queue."""

    job: Job
    index: int
    length: int
    """Padded length in tokens."""
    waiting: bool = True
    """Whether it is still to be taken."""

    @property
    def item(self) -> Item:
        """The item."""
        return self.job.items[self.index]


class _Lane:
    """Waiting items: in order of arrival, and by padded length."""

    def __init__(self) -> None:
        self.texts = 0
        self.tokens = 0
        self._arrivals: deque[Entry] = deque()
        self._by_length: dict[int, deque[Entry]] = {}

    def add(self, entry: Entry) -> None:
        self.texts += 1
        self.tokens += entry.length
        self._arrivals.append(entry)
        self._by_length.setdefault(entry.length, deque()).append(entry)

    def leave(self, entry: Entry) -> None:
        """Counts an item out that waits no more; both orders forget it when they come to it."""
        self.texts -= 1
        self.tokens -= entry.length

    def oldest(self) -> Entry | None:
        """The oldest waiting item."""
        while self._arrivals:
            entry = self._arrivals[0]
            if entry.waiting:
                return entry
            self._arrivals.popleft()
            self._first(entry.length)
        return None

    def fitting(self, length: int) -> Iterator[Entry]:
        """The waiting items that fit a batch of a padded length, longest first, oldest first among equals.

        Each must have stopped waiting before the next is asked for.
        """
        fitting = (known for known in self._by_length if length * _SHORTEST_SHARE <= known <= length)
        for known in sorted(fitting, reverse=True):
            while entry := self._first(known):
                yield entry

    def _first(self, length: int) -> Entry | None:
        """The oldest waiting item of a padded length."""
        bucket = self._by_length.get(length)
        while bucket and not bucket[0].waiting:
            bucket.popleft()
        if bucket:
            return bucket[0]
        self._by_length.pop(length, None)
        return None


class WaitingQueue:
    """The items that wait for a worker.

    Args:
        budget_tokens: Most padded tokens in a batch.
        express_tokens: Most padded tokens of a short call, and in a batch of short calls; 0 for no short calls.
    """

    def __init__(self, budget_tokens: int, express_tokens: int = 0) -> None:
        self._budget_tokens = budget_tokens
        self._express_tokens = express_tokens
        self._lanes = {priority: _Lane() for priority in Priority}
        self._short = _Lane()

    def add(self, job: Job) -> None:
        """Queues all items of a job."""
        job.entries = [Entry(job, index, padded_length(item.length)) for index, item in enumerate(job.items)]
        job.short = (
            job.priority is Priority.INTERACTIVE and sum(entry.length for entry in job.entries) <= self._express_tokens
        )
        for lane in self._lanes_of(job):
            for entry in job.entries:
                lane.add(entry)

    def drop(self, job: Job) -> int:
        """Takes out what still waits of a job; returns how many items that were."""
        waiting = [entry for entry in job.entries if entry.waiting]
        for entry in waiting:
            self._remove(entry)
        return len(waiting)

    def text_count(self, priority: Priority) -> int:
        """Items of a class that wait."""
        return self._lanes[priority].texts

    def take(self, now: float, idle_workers: int) -> list[Entry]:
        """The next batch; empty when nothing waits. Jobs that are late fail here, before any work.

        Args:
            now: The time on the event loop's clock.
            idle_workers: Workers that could start now, at least 1; little work is split among them.
        """
        while seed := self._seed():
            lane = self._lanes[seed.job.priority]
            share = -(-lane.tokens // idle_workers)
            budget = min(self._budget_tokens, max(share, _LEAST_SPLIT_TOKENS))
            if batch := self._filled(lane, seed, budget, now):
                return batch
        return []

    def take_express(self, now: float) -> list[Entry]:
        """The next batch of short calls; empty when none waits. Jobs that are late fail here, as in `take`."""
        while seed := self._short.oldest():
            if batch := self._filled(self._short, seed, self._express_tokens, now):
                return batch
        return []

    def _filled(self, lane: _Lane, seed: Entry, budget: int, now: float) -> list[Entry]:
        """Takes a batch around an item out of a lane; empty when nobody wants what was taken."""
        room = max(1, budget // seed.length)
        batch: list[Entry] = []
        for entry in lane.fitting(seed.length):
            self._remove(entry)
            if _wanted(entry.job, now):
                batch.append(entry)
            if len(batch) == room:
                break
        return batch

    def _remove(self, entry: Entry) -> None:
        entry.waiting = False
        for lane in self._lanes_of(entry.job):
            lane.leave(entry)

    def _lanes_of(self, job: Job) -> tuple[_Lane, ...]:
        lane = self._lanes[job.priority]
        return (lane, self._short) if job.short else (lane,)

    def _seed(self) -> Entry | None:
        """The item that goes first."""
        interactive = self._lanes[Priority.INTERACTIVE].oldest()
        bulk = self._lanes[Priority.BULK].oldest()
        if interactive is None or bulk is None:
            return interactive or bulk
        overdue = bulk.job.enqueued_at + BULK_PATIENCE_SECONDS < interactive.job.enqueued_at
        return bulk if overdue else interactive


def _wanted(job: Job, now: float) -> bool:
    """Whether somebody still waits for a job; a job past its deadline fails."""
    if job.future.done():
        return False
    if job.deadline is not None and job.deadline <= now:
        job.future.set_exception(DeadlineExpired("the deadline passed while the texts waited; nothing was computed"))
        return False
    return True
