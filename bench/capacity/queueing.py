"""Questions that go from process to process, as a simulation: arrivals, stages, replicas, cores.

Each process shares its cores evenly among what it is doing (processor sharing), and a machine its own among its
processes; a question visits the processes one after the other, and waits nowhere else. That is what an asynchronous
server does: it begins everything at once, and everything becomes slower together.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROUTE = (
    "asker", "gateway", "embed", "gateway", "qdrant_edge", "gateway", "rerank", "gateway", "generate", "embed",
    "generate", "gateway", "asker",
)  # fmt: skip
"""Whom a question visits: its vector, the search, the reranking, an answer whose sentences are compared by vectors."""
_SPREAD = 0.5
"""Standard deviation of a visit's processor time, in parts of its mean."""


@dataclass(slots=True)
class Replica:
    """One process.

    Attributes:
        cores: How many it can use; one for what runs in a single thread.
        machine: Whose cores these are.
        jobs: The remaining processor seconds of each question that it works on.
    """

    cores: float
    machine: int
    jobs: dict[int, float] = field(default_factory=dict)

    def wanted(self) -> float:
        """Cores that it would use if it had its machine for itself."""
        return min(self.cores, float(len(self.jobs)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the questions.

    Attributes:
        seconds: How long each took, in the order of their ends.
        lasted: From the first arrival to the last end.
        busy: Cores in use on average, by machine.
    """

    seconds: tuple[float, ...]
    lasted: float
    busy: Mapping[int, float]

    def rate(self) -> float:
        """Questions a second."""
        return len(self.seconds) / self.lasted

    def percentile(self, share: float) -> float:
        """Seconds that this share of the questions did not exceed."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


class Simulation:
    """A stack.

    Args:
        replicas: The processes of each kind that the route names.
        machines: How many cores each machine has.
        cost: Mean processor seconds of a question in each kind of process, over all its visits there.
        seed: For what is random.
        route: Whom a question visits, one after the other.
        spread: Standard deviation of a visit, in parts of its mean; 1 is exponential.
    """

    def __init__(
        self,
        replicas: Mapping[str, Sequence[Replica]],
        machines: Mapping[int, float],
        cost: Mapping[str, float],
        *,
        seed: int = 0,
        route: Sequence[str] = ROUTE,
        spread: float = _SPREAD,
    ) -> None:
        self._replicas, self._machines, self._route = replicas, machines, route
        self._mean = {kind: cost[kind] / route.count(kind) for kind in set(route)}
        self._chance = random.Random(seed)
        self._shape = 1 / spread**2
        self._now = 0.0
        self._busy = dict.fromkeys(machines, 0.0)
        self._at: dict[int, Iterator[str]] = {}
        self._all = [replica for kind in sorted(replicas) for replica in replicas[kind]]

    def closed(self, callers: int, questions: int) -> Seen:
        """So many callers, each of whom asks again as soon as the last answer has come."""
        return self._run([0.0] * callers, questions, again=True)

    def open(self, rate: float, questions: int) -> Seen:
        """Questions that come at random moments, so many a second on average (a Poisson process)."""
        arrivals, now = [], 0.0
        for _ in range(questions):
            now += self._chance.expovariate(rate)
            arrivals.append(now)
        return self._run(arrivals, questions, again=False)

    def _run(self, arrivals: list[float], questions: int, *, again: bool) -> Seen:
        heapq.heapify(arrivals)
        begun: dict[int, float] = {}
        seconds: list[float] = []
        while len(seconds) < questions:
            speeds = self._speeds()
            ends = [
                (self._now + work / speed, number, replica)
                for replica, speed in zip(self._all, speeds, strict=True)
                for number, work in replica.jobs.items()
            ]
            first = min(ends, key=lambda end: end[:2], default=None)
            if arrivals and (first is None or arrivals[0] <= first[0]):
                self._pass(heapq.heappop(arrivals), speeds)
                number = len(begun)
                begun[number] = self._now
                self._at[number] = iter(self._route)
                self._next(number)
                continue
            assert first is not None
            moment, number, replica = first
            self._pass(moment, speeds)
            del replica.jobs[number]
            if not self._next(number):
                seconds.append(self._now - begun[number])
                if again:
                    heapq.heappush(arrivals, self._now)
        busy = {machine: used / self._now for machine, used in self._busy.items()}
        return Seen(tuple(seconds), self._now, busy)

    def _next(self, number: int) -> bool:
        """Sends a question on; false if it has its answer."""
        kind = next(self._at[number], None)
        if kind is None:
            del self._at[number]
            return False
        replica = min(self._replicas[kind], key=lambda one: len(one.jobs) / one.cores)
        replica.jobs[number] = self._chance.gammavariate(self._shape, self._mean[kind] / self._shape)
        return True

    def _speeds(self) -> list[float]:
        """Cores that one question has in each replica."""
        wanted = dict.fromkeys(self._machines, 0.0)
        for replica in self._all:
            wanted[replica.machine] += replica.wanted()
        given = {machine: min(1.0, cores / (wanted[machine] or 1.0)) for machine, cores in self._machines.items()}
        return [
            replica.wanted() * given[replica.machine] / len(replica.jobs) if replica.jobs else 0.0
            for replica in self._all
        ]

    def _pass(self, until: float, speeds: list[float]) -> None:
        """Lets time go by."""
        elapsed = until - self._now
        for replica, speed in zip(self._all, speeds, strict=True):
            for number in replica.jobs:
                replica.jobs[number] -= elapsed * speed
            self._busy[replica.machine] += elapsed * speed * len(replica.jobs)
        self._now = until
