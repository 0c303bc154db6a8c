"""The simulation of queues against theory and against a run that was measured, and the table of sizes in the docs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPACITY = ROOT / "bench" / "capacity"
sys.path.insert(0, str(CAPACITY))

from queueing import Replica, Simulation  # type: ignore[import-not-found]  # noqa: E402
from simulate import MEASURED, check, on_machines_of_their_own  # type: ignore[import-not-found]  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


def one_server(cores: float = 1.0, count: int = 1) -> Simulation:
    """Processes of one kind on a machine for each, whose visits take a second on average."""
    machines = dict.fromkeys(range(count), cores)
    replicas = {"server": [Replica(cores, machine) for machine in machines]}
    return Simulation(replicas, machines, {"server": 1.0}, route=["server"], spread=1.0, seed=3)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_server_takes_as_long_as_theory_says(load: float) -> None:
    seen = one_server().open(load, 20_000)

    assert sum(seen.seconds) / len(seen.seconds) == pytest.approx(1 / (1 - load), rel=0.1)  # M/M/1, processor sharing
    assert seen.busy[0] == pytest.approx(load, rel=0.05)


@pytest.mark.parametrize(
    ("server", "callers", "rate"),
    [
        (lambda: one_server(), 1, 1.0),
        (lambda: one_server(), 5, 1.0),  # more callers than it can serve only wait
        (lambda: one_server(cores=4.0), 3, 3.0),
        (lambda: one_server(cores=4.0), 8, 4.0),
        (lambda: one_server(count=3), 30, 3.0),
    ],
)
def test_callers_are_answered_as_fast_as_the_cores_allow(
    server: Callable[[], Simulation], callers: int, rate: float
) -> None:
    seen = server().closed(callers, 5000)

    assert seen.rate() == pytest.approx(rate, rel=0.05)
    assert sum(seen.seconds) / len(seen.seconds) == pytest.approx(callers / seen.rate(), rel=0.05)  # Little's law


def test_measured_run_is_reproduced_within_a_fifth() -> None:
    compared = check(json.loads(MEASURED.read_text(encoding="utf-8")))

    assert [callers for callers, *_ in compared] == [1, 2, 4, 8, 16]
    for _, rate, our_rate, p50, our_p50 in compared:
        assert our_rate == pytest.approx(rate, rel=0.2)
        assert our_p50 == pytest.approx(p50, rel=0.2)


def test_replica_more_of_what_is_short_shortens_the_wait() -> None:
    cost = json.loads(MEASURED.read_text(encoding="utf-8"))["steps"][-1]["cost_ms"]
    layout = {"embed": (1, 2.0), "rerank": (1, 2.0), "generate": (1, 1.0), "qdrant_edge": (1, 2.0)}
    one = on_machines_of_their_own({**layout, "gateway": (1, 1.0)}, cost).open(38, 4000)
    two = on_machines_of_their_own({**layout, "gateway": (2, 1.0)}, cost).open(38, 4000)

    assert two.percentile(0.95) < one.percentile(0.95)


@pytest.mark.parametrize("script", ["simulate.py", "size.py"])
def test_scripts_print_what_the_docs_show(script: str) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    ran = subprocess.run([sys.executable, str(CAPACITY / script)], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() in page


def test_layout_that_cannot_be_read_is_refused() -> None:
    command = [sys.executable, str(CAPACITY / "simulate.py"), "--rate", "5", "--embed", "many"]
    ran = subprocess.run(command, capture_output=True, text=True)

    assert ran.returncode == 2
    assert "many is not replicas and cores, as 2x4" in ran.stderr


def test_simulation_repeats_itself_by_its_seed() -> None:
    assert one_server().open(0.5, 100) == one_server().open(0.5, 100)
