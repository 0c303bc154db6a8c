"""How the command shows what happens to the processes of a stack."""

import os
from collections.abc import Callable, Iterable
from typing import TextIO

from trivium_client.cli.controls import without_controls
from trivium_client.stack.readiness import Readiness
from trivium_client.stack.services import SERVICES
from trivium_client.stack.supervisor import USAGE_STATUS, Death

_COLOURS = dict(zip(("trivium", *SERVICES), (1, 34, 36, 35, 33, 32), strict=True))
_WIDTH = max(map(len, _COLOURS))
_SHOWN_LAST_LINES = 8
_PROCESS_OF_STAGE = {stage: service.name for service in SERVICES.values() for stage in service.stages}


class StackOutput:
    """Prints each line of each process behind the process's name, and Trivium's own words in between.

    Args:
        out: Where to.

    Attributes:
        on_hang_up: Called when nobody reads any more.
    """

    def __init__(self, out: TextIO) -> None:
        self.on_hang_up: Callable[[], None] = lambda: None
        self._out = out
        self._colours = out.isatty() and "NO_COLOR" not in os.environ
        self._was_ready = False
        self._down: set[str] = set()

    def say(self, line: str) -> None:
        """Prints a line of Trivium's own."""
        self.on_line("trivium", line)

    def on_line(self, name: str, line: str) -> None:
        label = f"{name:<{_WIDTH}}"
        if self._colours:
            label = f"\x1b[{_COLOURS[name]}m{label}\x1b[0m"
        try:
            self._out.write(f"{label} | {without_controls(line)}\n")
            self._out.flush()
        except BrokenPipeError:
            # A process whose output nobody takes would stand still; it is taken until the process has ended.
            self._out = open(os.devnull, "w")  # noqa: SIM115 - for as long as this object lives
            self.on_hang_up()
        except OSError:
            pass  # a full disk beneath a log must not stop what serves: the line is lost, the next one may fit

    def on_start(self, name: str, pid: int) -> None:
        self.say(f"{name} is started again (pid {pid})" if name in self._down else f"{name} is started (pid {pid})")
        self._down.discard(name)

    def on_death(self, death: Death) -> None:
        self._down.add(death.name)
        for line in death_report(death):
            self.say(line)

    def on_kill(self, name: str) -> None:
        self.say(f"{name} did not end in time and was killed")

    def on_readiness(self, now: Readiness, seconds: float) -> None:
        """Says what is missing, and when nothing is missing any more."""
        missing = describe_missing(now)
        if not now.ready:
            self.say(f"{'not ready any more' if self._was_ready else 'waiting'}: {missing}")
        elif missing:
            self.say(f"ready, but degraded: {missing}")
        elif self._was_ready:
            self.say("all stages are back")
        else:
            self.say(f"all stages are ready after {seconds:.1f} s")
        self._was_ready = self._was_ready or now.ready


def death_report(death: Death) -> Iterable[str]:
    """Says that a process died, how, its last words, and what happens now."""
    yield f"{death.name} died: {death.cause}; its last lines:"
    for line in death.last_lines[-_SHOWN_LAST_LINES:] or ("(it printed nothing)",):
        yield f"    {line}"
    if death.restart_seconds is not None:
        yield f"the others stay up; {death.name} is started again in {death.restart_seconds:g} s"
    elif death.status == USAGE_STATUS:
        yield f"the others stay up; {death.name} does not accept its settings and is not started again: correct them"
    else:
        yield f"the others stay up; {death.name} is not started again"
    missing_module = next((line for line in death.last_lines if line.startswith("ModuleNotFoundError")), None)
    if missing_module:
        yield f"a dependency is missing; {SERVICES[death.name].requirements} lists them: run `make setup`"


def describe_missing(now: Readiness) -> str:
    """Says which stages are missing and why, in a line."""
    parts = []
    for stage, detail in now.missing.items():
        process = _PROCESS_OF_STAGE.get(stage, stage)
        name = stage if process == stage else f"{stage} ({process})"
        parts.append(f"{name}: {detail}" if detail else name)
    return "; ".join(parts)
