"""Which of several replicas gets a call: not one that is slower than the others, or that says nothing."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_TIMES = 16
_FEWEST_TIMES = 6
_SLOW = 3.0
"""So many times as long as the others takes one that is ejected."""
_WELL = 2.0
"""So many times as long may one take on trial to be used again."""
_LEAST_SECONDS = 0.05
"""By less than that no replica is slower than another: such differences are noise."""
_SILENT_SECONDS = 0.5
"""That a call takes at least before it is taken for one that hangs, and is made elsewhere, too."""
_HANGS = 5.0
"""So many times as long as the others'."""
_UNKNOWN_SECONDS = 5.0
"""The same where nobody knows how long the others take."""
_FIRST_EJECTION_SECONDS = 5.0
_LONGEST_EJECTION_SECONDS = 60.0

_Channel = TypeVar("_Channel")


@dataclass(slots=True)
class Replica(Generic[_Channel]):
    """One of several processes that do the same.

    Attributes:
        address: Where it is.
        channel: The connection to it.
        times: Seconds of its last calls, by method and size.
        running: The calls that it has: which method, and when it began.
        ejected_until: Until when it gets none; 0 if it is used.
        ejections: How often in a row it was ejected.
        on_trial: Whether it has a call by which it is seen whether it is well again.
    """

    address: str
    channel: _Channel
    times: dict[str, deque[float]] = field(default_factory=dict)
    running: dict[object, tuple[str, float]] = field(default_factory=dict)
    ejected_until: float = 0.0
    ejections: int = 0
    on_trial: bool = False


class Replicas(Generic[_Channel]):
    """Gives each replica its turn, but for those that are ejected, and notes how long each takes.

    One is ejected whose calls take three times as long as the others', or one of whose calls hangs; for five seconds,
    and for twice as long each time. Then it gets one call on trial, beside which the call is made elsewhere if it takes
    long. More than half of them are never ejected: then it is not they who are slow.

    Args:
        on_eject: Called with the address of one that is ejected.
        clock: Seconds that only grow.
    """

    def __init__(
        self, on_eject: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_eject = on_eject
        self._clock = clock
        self._replicas: list[Replica[_Channel]] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._replicas)

    def set(self, channels: Mapping[str, _Channel]) -> list[_Channel]:
        """Says which there are, by address; those that are known stay as they are.

        Returns:
            The channels of those that are gone.
        """
        known = {one.address: one for one in self._replicas}
        self._replicas = [known.get(address) or Replica(address, channel) for address, channel in channels.items()]
        return [one.channel for address, one in known.items() if address not in channels]

    def next(
        self, usable: Callable[[_Channel], bool], without: Iterable[Replica[_Channel]] = ()
    ) -> Replica[_Channel] | None:
        """Whose turn it is; None if none can be used.

        Args:
            usable: Whether a channel can be used now.
            without: Those that have the call already.
        """
        now, left_out = self._clock(), set(map(id, without))
        for one in self._replicas:
            if not one.ejected_until and any(
                now - since > self.patience(one, method) for method, since in one.running.values()
            ):
                self._eject(one)
        some = [one for one in self._replicas if id(one) not in left_out and usable(one.channel)]
        for one in some:
            if one.ejected_until and one.ejected_until <= now and not one.on_trial and not left_out:
                one.on_trial = True
                return one
        well = [one for one in some if not one.ejected_until]
        if not (chosen := well or some):
            return None
        self._turn += 1
        return chosen[self._turn % len(chosen)]

    def begin(self, replica: Replica[_Channel], method: str) -> object:
        """Notes that a replica has got a call; what is returned names it."""
        call = object()
        replica.running[call] = method, self._clock()
        return call

    def patience(self, replica: Replica[_Channel], method: str) -> float:
        """How many seconds a call may take before it is made elsewhere, too."""
        usual = self._others(replica, method)
        return _UNKNOWN_SECONDS if usual is None else max(_SILENT_SECONDS, _HANGS * usual)

    def hangs(self, replica: Replica[_Channel]) -> None:
        """Notes that a call has taken longer than that."""
        self._eject(replica)

    def end(self, replica: Replica[_Channel], call: object, *, done: bool) -> None:
        """Notes that a call has ended.

        Args:
            replica: Whose.
            call: What `begin` gave.
            done: Whether it did what it should; one that was cancelled or refused says nothing of how long it takes.
        """
        method, since = replica.running.pop(call)
        seconds = self._clock() - since
        usual = self._others(replica, method)
        if replica.ejected_until:
            if replica.on_trial:
                replica.on_trial = False
                if done and (usual is None or seconds <= max(_WELL * usual, usual + _LEAST_SECONDS)):
                    replica.ejected_until, replica.ejections, replica.times = 0.0, 0, {}
                else:
                    self._eject(replica)
            return
        if not done:
            return
        replica.times.setdefault(method, deque(maxlen=_MOST_TIMES)).append(seconds)
        times = replica.times[method]
        if usual is None or len(times) < _FEWEST_TIMES:
            return
        if median(times) > max(_SLOW * usual, usual + _LEAST_SECONDS):
            self._eject(replica)

    @property
    def ejected(self) -> list[str]:
        """The addresses of those that are ejected."""
        return [one.address for one in self._replicas if one.ejected_until]

    def _others(self, replica: Replica[_Channel], method: str) -> float | None:
        """What the others take for a method; None if that was not measured."""
        others = [one for one in self._replicas if one is not replica and not one.ejected_until]
        times = [seconds for one in others for seconds in one.times.get(method, ())]
        return median(times) if len(times) >= _FEWEST_TIMES else None

    def _eject(self, replica: Replica[_Channel]) -> None:
        out = sum(bool(one.ejected_until) for one in self._replicas)
        if not replica.ejected_until and out + 1 > len(self._replicas) // 2:
            return
        first = not replica.ejected_until
        seconds = min(_LONGEST_EJECTION_SECONDS, _FIRST_EJECTION_SECONDS * 2.0 ** min(replica.ejections, 10))
        replica.ejected_until, replica.on_trial = self._clock() + seconds, False
        replica.ejections += 1
        if first:
            self._on_eject(replica.address)
