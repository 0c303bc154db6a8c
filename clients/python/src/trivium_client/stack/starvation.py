"""How long a process has said nothing though it could have. Only Linux says what it did meanwhile."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

_NANOSECONDS = 1e-9


def waits_of(pid: int, *, or_works: bool = False) -> dict[str, float]:
    """Seconds that each thread of a process has waited for a processor so far; nothing where nobody says so.

    Args:
        pid: The process.
        or_works: Whether to add those in which it had one.
    """
    waits: dict[str, float] = {}
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                worked, waited = map(int, file.read().split()[:2])
                waits[thread] = (waited + worked * or_works) * _NANOSECONDS
    return waits


def waited_since(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Seconds that the thread which waited longest has waited between two looks with `waits_of`."""
    return max((seconds - before.get(thread, 0.0) for thread, seconds in now.items()), default=0.0)


def waits_for_a_disk(pid: int) -> bool:
    """Whether a thread of a process waits for a disk at this moment; False where nobody says so."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "D":
                    return True
    return False


class Silence:
    """How long a process has said nothing. For lack of a processor it cannot, so that such time does not count.

    Attributes:
        misses: How often it was asked since it said anything.
        seconds: For how long it has said nothing.
        idle_seconds: The same, without the time in which it did what keeps it from answering.

    Args:
        pid: The process.
        works_in_silence: Whether it may be unable to answer while it works.
        clock: Seconds, monotonic.
    """

    def __init__(self, pid: int, *, works_in_silence: bool, clock: Callable[[], float]) -> None:
        self._pid = pid
        self._works_in_silence = works_in_silence
        self._clock = clock
        self.end()

    def end(self) -> None:
        """Notes that it has said something."""
        self.misses, self.seconds, self.idle_seconds = 0, 0.0, 0.0

    def begin_look(self) -> None:
        """Notes that it is asked within some time from now."""
        self._begin = self._clock()
        self._waits, self._works = waits_of(self._pid), waits_of(self._pid, or_works=True)

    def miss(self) -> None:
        """Notes that it has said nothing since `begin_look`."""
        self.misses += 1
        seconds = self._clock() - self._begin
        self.seconds += max(0.0, seconds - waited_since(self._waits, waits_of(self._pid)))
        if not self._works_in_silence:
            self.idle_seconds = self.seconds
        elif not waits_for_a_disk(self._pid):
            self.idle_seconds += max(0.0, seconds - waited_since(self._works, waits_of(self._pid, or_works=True)))
