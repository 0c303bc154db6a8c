"""Ports for processes that are told where to listen.

A port that the system gives is free again until the process listens, and is given to somebody else meanwhile every now
and then. These lie below those that systems give, and each test process on the machine has a range of its own.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

_FIRST, _RANGE, _RANGE_COUNT = 10_000, 250, 40


@cache
def _ports() -> itertools.cycle[int]:
    """The ports of this process, around and around: a file that is locked until it ends says whose a range is."""
    for first in range(_FIRST, _FIRST + _RANGE * _RANGE_COUNT, _RANGE):
        try:
            lock = os.open(Path(tempfile.gettempdir()) / f"trivium-test-ports-{first}", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return itertools.cycle(range(first, first + _RANGE))
    raise RuntimeError(f"{_RANGE_COUNT} test processes have taken all ports that are meant for tests")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Gives ports that nobody listens on, others each time until all were given."""
    found: list[int] = []
    for port in itertools.islice(_ports(), _RANGE):
        try:
            socket.create_server((host, port)).close()
        except OSError:
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} ports of this process are free")


def free_port(host: str = "127.0.0.1") -> int:
    """Gives a port that nobody listens on."""
    return free_ports(1, host)[0]
