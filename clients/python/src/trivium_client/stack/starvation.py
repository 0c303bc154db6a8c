"""How long a process was kept from running by a machine that has no processor for it. Only Linux says."""

import os
from collections.abc import Mapping
from contextlib import suppress

_NANOSECONDS = 1e-9


def waits_of(pid: int) -> dict[str, float]:
    """Seconds that each thread of a process has waited for a processor so far; nothing where nobody says so."""
    waits: dict[str, float] = {}
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                waits[thread] = int(file.read().split()[1]) * _NANOSECONDS
    return waits


def waited_since(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Seconds that the thread which waited longest has waited between two looks with `waits_of`."""
    return max((seconds - before.get(thread, 0.0) for thread, seconds in now.items()), default=0.0)
