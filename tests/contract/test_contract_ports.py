"""Ports of test processes: those that run at once never get the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ports

TESTS = Path(ports.__file__).parent
PROGRAM = "import ports; print(*ports.free_ports(20), flush=True); input()"


def test_processes_at_once_get_different_ports_below_those_of_the_system() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    given = ports.free_ports(20)
    for process in running:
        assert process.stdout is not None
        given += map(int, process.stdout.readline().split())
    for process in running:
        process.communicate("\n")

    assert len(set(given)) == 80
    assert max(given) < 32_768
