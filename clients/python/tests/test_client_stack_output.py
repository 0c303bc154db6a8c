"""What `trivium up` says of the processes."""

from __future__ import annotations

import asyncio
import errno
import io
import itertools
import os
import signal
import sys
from typing import TYPE_CHECKING

from trivium_client.cli import up
from trivium_client.cli.stack_output import StackOutput, death_report, describe_missing
from trivium_client.stack.child import Child, Command
from trivium_client.stack.readiness import Readiness
from trivium_client.stack.running import RunningStack, StackOptions
from trivium_client.stack.services import layout_on_free_ports
from trivium_client.stack.supervisor import Death, Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from trivium_client.stack.ports import Address


def said(readinesses: list[Readiness]) -> list[str]:
    out = io.StringIO()
    output = StackOutput(out)
    for readiness in readinesses:
        output.on_readiness(readiness, 2.0)
    return [line.removeprefix("trivium  | ") for line in out.getvalue().splitlines()]


def test_readiness_is_told_from_the_start_to_a_loss_and_back() -> None:
    assert said(
        [
            Readiness(False, {"gateway": "Connection refused"}),
            Readiness(False, {"embed": "loading", "search": ""}),
            Readiness(True, {}),
            Readiness(True, {"rerank": "gone"}),
            Readiness(False, {"search": "gone"}),
            Readiness(True, {}),
        ]
    ) == [
        "waiting: gateway: Connection refused",
        "waiting: embed: loading; search (qdrant)",
        "all stages are ready after 2.0 s",
        "ready, but degraded: rerank: gone",
        "not ready any more: search (qdrant): gone",
        "all stages are back",
    ]


def test_missing_stage_is_named_with_its_process() -> None:
    assert describe_missing(Readiness(True, {"search": "no answer"})) == "search (qdrant): no answer"


def test_death_of_a_process_is_told_with_cause_last_lines_and_what_happens_now() -> None:
    lines = list(death_report(Death("embed", -signal.SIGKILL, ("one", "two"), 4.0)))

    assert lines == [
        "embed died: killed by SIGKILL (by hand, or for want of memory); its last lines:",
        "    one",
        "    two",
        "the others stay up; embed is started again in 4 s",
    ]


def test_death_for_wrong_settings_says_that_it_is_final() -> None:
    lines = list(death_report(Death("embed", 2, (), None)))

    assert lines[:2] == ["embed died: exit status 2; its last lines:", "    (it printed nothing)"]
    assert "does not accept its settings" in lines[2]


def test_death_for_want_of_a_package_says_what_to_install() -> None:
    death = Death("rerank", 1, ("Traceback", "ModuleNotFoundError: No module named 'openvino'"), 1.0)

    assert list(death_report(death))[-1] == (
        "a dependency is missing; requirements/rerank.txt lists them: run `make setup`"
    )


def test_process_that_returns_is_said_to_be_started_again() -> None:
    out = io.StringIO()
    output = StackOutput(out)

    output.on_start("embed", 1)
    output.on_death(Death("embed", 1, (), 1.0))
    output.on_start("embed", 2)

    assert out.getvalue().splitlines()[0] == "trivium  | embed is started (pid 1)"
    assert out.getvalue().splitlines()[-1] == "trivium  | embed is started again (pid 2)"


def test_output_that_nobody_reads_any_more_is_told_once_and_then_dropped() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    hung_up: list[None] = []
    output = StackOutput(os.fdopen(write_end, "w", buffering=1))
    output.on_hang_up = lambda: hung_up.append(None)

    for _ in range(3):
        output.on_line("embed", "line")

    assert hung_up == [None]


async def test_output_into_a_full_disk_goes_on_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """`trivium up > log`: a process whose output nobody takes would stand still."""
    out = io.StringIO()
    full = True
    write = out.write

    def limited(text: str) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(text)

    monkeypatch.setattr(out, "write", limited)
    output = StackOutput(out)
    show = "for number in range(20000): print('line', number, flush=True)\nprint('end', flush=True)\ninput()"
    child = await Child.start(
        Command("embed", (sys.executable, "-c", show), os.environ), lambda line: output.on_line("embed", line)
    )
    status = await asyncio.wait_for(child.wait(), 60)  # more than a pipe holds; input() ends it
    assert status == 1
    assert "end" in "".join(child.last_lines)

    full = False
    output.say("well again")
    assert "well again" in out.getvalue()


async def test_look_at_the_stack_that_breaks_is_told_and_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = itertools.count()

    def look(gateway: Address, *, tls: bool = False) -> Readiness:
        if next(looks) == 0:
            raise RuntimeError("no more descriptors")
        return Readiness(True, {})

    monkeypatch.setattr("trivium_client.stack.running.probe", look)
    monkeypatch.setattr(up, "_LOOK_AGAIN_SECONDS", 0.01)
    layout = layout_on_free_ports(["gateway"])
    stack = RunningStack(StackOptions(layout, tmp_path), Supervisor((), StackOutput(io.StringIO()), restart=None))
    out = io.StringIO()
    watching = asyncio.create_task(up._watch(stack, layout, StackOutput(out)))
    async with asyncio.timeout(20):
        while "next: trivium ingest" not in out.getvalue():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    watching.cancel()
    assert "no more descriptors" in out.getvalue()
