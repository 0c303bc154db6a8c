"""Where the command writes: results to standard output, everything about them to standard error."""

import json
import os
import sys
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from trivium_client import Degradation, Timings, to_json

_STAGE_ORDER = ("embed", "search", "rerank", "generate", "total")


def stdout() -> Console:
    """A console for results. Where it is no terminal it neither colours nor breaks lines."""
    return _console(stderr=False)


def stderr() -> Console:
    """A console for what is about the results: progress, warnings, errors."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """Prints a result as the HTTP interface shows it, and nothing else."""
    typer.echo(json.dumps(to_json(value), ensure_ascii=False, indent=2))


def print_row(*cells: object) -> None:
    """Prints a row for other programs: cells between tabs, line breaks within a cell as spaces."""
    typer.echo("\t".join(" ".join(str(cell).split()) for cell in cells))


def warn(message: str) -> None:
    """Says that something is not as it should be."""
    stderr().print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)


def fail(message: str) -> None:
    """Says what went wrong."""
    stderr().print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def print_degraded(degraded: tuple[Degradation, ...]) -> None:
    """Says plainly which stages were replaced."""
    for item in degraded:
        warn(
            f"degraded: {item.stage} was {_REASONS.get(item.reason, item.reason)}, so {item.fallback} was used instead"
        )


_REASONS = {"timeout": "too slow"}


def timings_line(timings: Timings) -> str:
    """Milliseconds per stage, on a line."""
    values = [(stage, getattr(timings, stage)) for stage in _STAGE_ORDER]
    return " · ".join(f"{stage} {value:.{0 if value >= 10 else 1}f} ms" for stage, value in values if value is not None)


def is_interactive() -> bool:
    """Whether a person sees standard output and can answer questions."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _console(*, stderr: bool) -> Console:
    # A width of rich's own guessing would break lines in files.
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    width = 1_000_000 if piped and "COLUMNS" not in os.environ else None
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
