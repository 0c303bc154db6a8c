"""Ports for processes that are told where to listen.

A port that the system gives is free again until the process listens, and is given to somebody else meanwhile every now
and then. These lie below those that systems give, and test processes that run side by side have ranges of their own.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _RANGE, _RANGE_COUNT = 10_000, 1_000, 10


def _own_range() -> range:
    """The range of this process: one for each worker of pytest-xdist, and one for whatever runs beside those."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    first = _FIRST + number % _RANGE_COUNT * _RANGE
    return range(first, first + _RANGE)


_ports = itertools.cycle(_own_range())


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Gives ports that nobody listens on, others each time until all were given."""
    found: list[int] = []
    for port in itertools.islice(_ports, _RANGE):
        if len(found) == count:
            break
        try:
            socket.create_server((host, port)).close()
        except OSError:
            continue
        found.append(port)
    assert len(found) == count, f"fewer than {count} ports are free from {_own_range()}"
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """Gives a port that nobody listens on."""
    return free_ports(1, host)[0]
