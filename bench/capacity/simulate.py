"""How a stack bears a load that it has not had yet: a simulation by what questions were measured to cost.

    .venv/bin/python bench/capacity/simulate.py --check                    against the run that was measured
    .venv/bin/python bench/capacity/simulate.py --rate 5                   five questions a second, on the same machine
    .venv/bin/python bench/capacity/simulate.py --rate 40 --gateway 4x1 --embed 2x4 --generate 2x1 --qdrant 1x4

`2x4` are two replicas with four cores each, on machines of their own. Without them all processes share one machine
with `--cores`. bench/questions/run.py --json FILE measures another run; --measured FILE takes it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from queueing import ROUTE, Replica, Seen, Simulation

MEASURED = Path(__file__).with_name("measured.json")
# What can use more than one core: the encoders run a session on each; the others run Python in one thread.
PARALLEL = ("asker", "embed", "rerank")
QUESTIONS = 4000


def on_one_machine(cores: float, cost_ms: dict[str, float], seed: int = 0) -> Simulation:
    """All processes on one machine, one of each, and who asks them as well."""
    replicas = {kind: [Replica(cores if kind in PARALLEL else 1.0, 0)] for kind in set(ROUTE)}
    return Simulation(replicas, {0: cores}, {kind: cost / 1e3 for kind, cost in cost_ms.items()}, seed=seed)


def on_machines_of_their_own(
    layout: dict[str, tuple[int, float]], cost_ms: dict[str, float], seed: int = 0
) -> Simulation:
    """Each replica on a machine of its own; those who ask are elsewhere and cost nothing.

    Args:
        layout: Replicas and the cores of each, by kind of process.
        cost_ms: Processor milliseconds of a question, by kind.
        seed: For what is random.
    """
    replicas: dict[str, list[Replica]] = {}
    machines: dict[int, float] = {}
    for kind, (count, cores) in layout.items():
        replicas[kind] = []
        for _ in range(count):
            machine = len(machines)
            machines[machine] = cores
            replicas[kind].append(Replica(cores if kind in PARALLEL or kind == "qdrant_edge" else 1.0, machine))
    route = [kind for kind in ROUTE if kind != "asker"]
    cost = {kind: cost_ms[kind] / 1e3 for kind in layout}
    return Simulation(replicas, machines, cost, seed=seed, route=route)


def check(run: dict[str, Any]) -> list[tuple[int, float, float, float, float]]:
    """For each step of a run: callers, questions a second measured and simulated, p50 in ms measured and simulated."""
    compared = []
    for step in run["steps"]:
        seen = on_one_machine(run["cores"], step["cost_ms"]).closed(step["callers"], QUESTIONS)
        compared.append((step["callers"], step["rate"], seen.rate(), step["p50_ms"], seen.percentile(0.5) * 1e3))
    return compared


def main() -> None:
    """Simulates, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="simulate the steps of the run that was measured")
    parser.add_argument("--rate", type=float, help="questions a second that come at random moments")
    parser.add_argument("--measured", type=Path, default=MEASURED, help="a run of bench/questions (default: ours)")
    parser.add_argument("--cores", type=float, help="of the one machine (default: as measured)")
    for kind in ("gateway", "embed", "rerank", "generate", "qdrant"):
        parser.add_argument(f"--{kind}", type=_layout, metavar="NxCORES", help="replicas on machines of their own")
    arguments = parser.parse_args()
    run = json.loads(arguments.measured.read_text(encoding="utf-8"))
    if arguments.check or arguments.rate is None:
        print("| callers | questions/s measured | simulated | | p50 measured, ms | simulated | |")
        print("|---|---|---|---|---|---|---|")
        for callers, rate, our_rate, p50, our_p50 in check(run):
            print(
                f"| {callers} | {rate:.1f} | {our_rate:.1f} | {our_rate / rate:.2f} "
                f"| {p50:.0f} | {our_p50:.0f} | {our_p50 / p50:.2f} |"
            )
        return
    cost = run["steps"][-1]["cost_ms"]
    chosen = {
        "gateway": arguments.gateway, "embed": arguments.embed, "rerank": arguments.rerank,
        "generate": arguments.generate, "qdrant_edge": arguments.qdrant,
    }  # fmt: skip
    if any(chosen.values()):
        simulation = on_machines_of_their_own({kind: one or (1, 1.0) for kind, one in chosen.items()}, cost)
    else:
        simulation = on_one_machine(arguments.cores or run["cores"], {**cost, "asker": 1e-6})
    print(told(simulation.open(arguments.rate, QUESTIONS), arguments.rate))


def told(seen: Seen, rate: float) -> str:
    """What a person wants to know of it."""
    percentiles = ", ".join(
        f"p{share:.0%} {seen.percentile(share) * 1e3:.0f} ms".replace("%", "") for share in (0.5, 0.95, 0.99)
    )
    keeps = "" if seen.rate() > 0.95 * rate else "; it cannot keep up: the line only grows"
    busy = ", ".join(f"{cores:.2f}" for cores in seen.busy.values())
    return f"{seen.rate():.1f} questions/s: {percentiles}; cores busy: {busy}{keeps}"


def _layout(text: str) -> tuple[int, float]:
    count, _, cores = text.partition("x")
    if not count.isdigit() or int(count) < 1 or float(cores or 1) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not replicas and cores, as 2x4")
    return int(count), float(cores or 1)


if __name__ == "__main__":
    main()
