"""Reports of `trivium eval` as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from trivium_client.cli.output import print_row
from trivium_client.evaluation.significance import Difference

_CHANCE = 0.05


def show_report(report: Mapping[str, Any], console: Console) -> None:
    """Prints a report."""
    legs: Mapping[str, Mapping[str, float]] = report["retrieval"]
    if legs:
        names = list(next(iter(legs.values())))
        _show(
            console,
            ["retrieval", *names],
            [[leg, *(f"{one[name]:.3f}" for name in names)] for leg, one in legs.items()],
        )
    answers: Mapping[str, Any] | None = report["answers"]
    if answers:
        rows = [[name, _number(value)] for name, value in answers.items() if name != "models"]
        _show(console, ["answers", "value"], rows)
    refusal: Mapping[str, Any] | None = report["refusal"]
    if refusal:
        rows = [[name, _number(value)] for name, value in refusal.items() if name != "risk_coverage"]
        _show(console, ["refusal", "value"], rows)
    stages: Mapping[str, Mapping[str, float]] = report["latency_ms"]
    rows = [[stage, f"{one['p50']:.1f}", f"{one['p95']:.1f}"] for stage, one in stages.items()]
    _show(console, ["milliseconds", "p50", "p95"], rows)


def show_comparison(found: Mapping[str, Difference], console: Console) -> None:
    """Prints what is different between two runs; what chance rarely makes has a star."""
    rows = []
    for name, one in found.items():
        digits = 1 if name.startswith("latency_ms") else 4
        star = "*" if one.chance < _CHANCE else ""
        numbers = (f"{number:.{digits}f}" for number in (one.before, one.after))
        signed = [f"{number:+.{digits}f}" for number in (one.value, one.low, one.high)]
        rows.append(
            [name, *numbers, signed[0], f"{signed[1]} to {signed[2]}", f"{one.chance:.3f}", star, str(one.count)]
        )
    _show(console, ["measure", "A", "B", "difference", "95%", "p", "", "questions"], rows)


def _show(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    if not console.is_terminal:
        for row in rows:
            print_row(head[0], *row)
        return
    table = Table(*head, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
