"""What is measured, as rows of a table."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Results:
    """Rows for people, and numbers for programs."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """What, how much, and what is aimed at."""
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, measure: str, value: str, aim: str = "", **numbers: Any) -> None:
        """Adds a row."""
        self.rows.append((measure, value, aim))
        self.numbers |= numbers
        say(f"{measure}: {value}")

    def table(self, machine: dict[str, str]) -> str:
        """Markdown."""
        lines = [f"- {key}: {value}" for key, value in machine.items()]
        lines += ["", "| | | aim |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in self.rows)]
        return "\n".join(lines)


def say(message: str) -> None:
    """Tells how far it is."""
    print(message, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def milliseconds(seconds: Sequence[float]) -> str:
    """Median and 99th percentile, for a row."""
    return f"p50 {statistics.median(seconds) * 1000:.2f} ms, p99 {percentile(seconds, 0.99) * 1000:.2f} ms"


def spread(values: Sequence[float]) -> str:
    """Median, and least and greatest, for a row."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
