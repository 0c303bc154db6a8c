"""Where the command writes: results to standard output, everything about them to standard error."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from trivium_client import Answer, Degradation, Retrieval, to_json
from trivium_client.cli.controls import escaped_controls, without_controls

HUNG_UP = 141
"""Exit status when nobody reads the output any more, as with every program that SIGPIPE ends."""

_FIRST_STAGES = ("embed", "search", "rerank", "generate")


@dataclass(slots=True)
class _Wishes:
    """What the person said of the output.

    Attributes:
        quiet: Whether standard error is for errors alone.
    """

    quiet: bool = False


_wishes = _Wishes()


def be_quiet() -> None:
    """Leaves out progress, timings and warnings from now on."""
    _wishes.quiet = True


def without_colours() -> None:
    """Prints without colours from now on, as NO_COLOR in the environment asks for."""
    os.environ["NO_COLOR"] = "1"


def as_before() -> None:
    """Forgets `be_quiet`, for the next command of the same process."""
    _wishes.quiet = False


def stdout() -> Console:
    """A console for results. Where it is no terminal it neither colours nor breaks lines."""
    return _console(stderr=False)


def stderr() -> Console:
    """A console for what is about the results: progress, warnings, timings."""
    return _console(stderr=True, quiet=_wishes.quiet)


def echo(line: str) -> None:
    """Prints a line of a result: as it is, but on a terminal without control characters."""
    if sys.stdout.isatty():
        line = without_controls(line)
    try:
        typer.echo(line)
    except BrokenPipeError:
        _hang_up()


def print_json(value: Any, *, on_one_line: bool = False) -> None:
    """Prints a result as the HTTP interface shows it, and nothing else."""
    echo(escaped_controls(json.dumps(to_json(value), ensure_ascii=False, indent=None if on_one_line else 2)))


def print_row(*cells: object) -> None:
    """Prints a row for other programs: cells between tabs, without line breaks and other controls in them."""
    echo("\t".join(without_controls(" ".join(str(cell).split())) for cell in cells))


def warn(message: str) -> None:
    """Says that something is not as it should be."""
    stderr().print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)


def fail(message: str) -> None:
    """Says what went wrong."""
    _console(stderr=True).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def print_degraded(degraded: tuple[Degradation, ...]) -> None:
    """Says plainly which stages were replaced."""
    for item in degraded:
        why = _REASONS.get(item.reason, item.reason) + (f" ({item.detail})" if item.detail else "")
        warn(f"degraded: {item.stage} was {why}, so {item.fallback} was used instead")


_REASONS = {"timeout": "too slow"}


def timings_line(result: Answer | Retrieval) -> str:
    """Milliseconds per stage, on a line."""
    timings = result.timings
    values = {stage: getattr(timings, stage) for stage in _FIRST_STAGES}
    if result.stages:  # an earlier gateway does not list them
        values = dict.fromkeys((stage.name for stage in result.stages), 0.0)
        for stage in result.stages:
            values[stage.name] += stage.duration_ms
    values["total"] = timings.total
    return " · ".join(
        f"{stage} {value:.{0 if value >= 10 else 1}f} ms" for stage, value in values.items() if value is not None
    )


def is_interactive() -> bool:
    """Whether a person sees standard output and can answer questions."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class _Console(Console):
    """Prints no control characters but its own, whatever it is given to print."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else without_controls(text), style, control)

    def on_broken_pipe(self) -> NoReturn:
        _hang_up()


def _hang_up() -> NoReturn:
    """Ends without a word. What is still in a buffer goes nowhere, or Python would complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    raise SystemExit(HUNG_UP)


def _console(*, stderr: bool, quiet: bool = False) -> Console:
    # A width of rich's own guessing would break lines in files.
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    width = 1_000_000 if piped and "COLUMNS" not in os.environ else None
    return _Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False, width=width)
