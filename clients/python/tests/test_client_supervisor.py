"""The supervisor, with real small processes."""

import asyncio
import itertools
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trivium_client.stack import running, starvation
from trivium_client.stack.answering import Questioner
from trivium_client.stack.child import Command
from trivium_client.stack.ports import Address, free_ports
from trivium_client.stack.services import SERVICES
from trivium_client.stack.starvation import waited_since, waits_of
from trivium_client.stack.supervisor import Death, RestartPolicy, Supervisor

FOR_EVER = "print('up', flush=True); import time; time.sleep(1000)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
QUICK_RESTART = RestartPolicy(first_seconds=0.01, longest_seconds=0.02)


class Log:
    """Keeps what happens, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    def _add(self, *event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    def on_line(self, name: str, line: str) -> None:
        self._add(f"{name} line", line)

    def on_start(self, name: str, pid: int) -> None:
        self._add(f"{name} start", pid)

    def on_death(self, death: Death) -> None:
        self._add(f"{death.name} death", death)

    def on_kill(self, name: str) -> None:
        self._add(f"{name} kill", None)

    def of(self, kind: str) -> list[Any]:
        return [value for name, value in self.events if name == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def python(name: str, code: str, *arguments: str) -> Command:
    return Command(name, (sys.executable, "-c", code, *arguments), os.environ)


def supervise(log: Log, *commands: Command, restart: RestartPolicy | None = None, **options: Any) -> Supervisor:
    return Supervisor(commands, log, restart=restart, **options)


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one that nobody asked for its status yet has."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_process_that_dies_is_started_again_while_the_others_stay() -> None:
    log = Log()
    supervisor = supervise(log, python("a", FOR_EVER), python("b", FOR_EVER), restart=QUICK_RESTART)
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line") and log.of("b line")))
    first = supervisor.pids

    os.kill(first["b"], signal.SIGKILL)
    await log.until(lambda: len(log.of("b line")) == 2)

    (death,) = log.of("b death")
    assert death.cause.startswith("killed by SIGKILL")
    assert death.last_lines == ("up",)
    assert supervisor.pids["a"] == first["a"]
    assert supervisor.pids["b"] != first["b"]
    await supervisor.stop()


async def test_process_that_is_to_stand_back_is_nicer_than_the_others() -> None:
    log = Log()
    show = "import os; print(os.nice(0), flush=True); " + FOR_EVER
    nice = Command("b", (sys.executable, "-c", show), os.environ, niceness=3)
    supervisor = supervise(log, python("a", show), nice)
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line") and log.of("b line")))
    await supervisor.stop()
    assert int(log.of("b line")[0]) == min(19, int(log.of("a line")[0]) + 3)


def test_models_stand_back_behind_what_answers_everybody() -> None:
    assert {name for name, service in SERVICES.items() if service.niceness} == {"embed", "rerank", "generate"}


async def test_wait_before_a_restart_doubles_up_to_its_limit() -> None:
    log = Log()
    policy = RestartPolicy(first_seconds=0.01, longest_seconds=0.03)
    supervisor = supervise(log, python("a", "raise SystemExit(3)"), restart=policy)
    await supervisor.start()

    await log.until(lambda: len(log.of("a death")) >= 4)
    await supervisor.stop()

    assert [death.restart_seconds for death in log.of("a death")[:4]] == [0.01, 0.02, 0.03, 0.03]


SERVES = """
import asyncio, os, sys, grpc
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:" + sys.argv[1])
    await server.start()
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


COUNTS = """
import asyncio, os, sys, grpc
async def pass_on(reader, writer):
    while block := await reader.read(65536):
        writer.write(block)
    writer.close()
async def main():
    server = grpc.aio.server()
    inner = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async def accept(reader, writer):
        print("connection", flush=True)
        far = await asyncio.open_connection("127.0.0.1", inner)
        await asyncio.gather(pass_on(reader, far[1]), pass_on(far[0], writer), return_exceptions=True)
    await asyncio.start_server(accept, "127.0.0.1", int(sys.argv[1]))
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_process_that_hangs_is_killed_and_started_again_while_one_that_answers_stays() -> None:
    log = Log()
    ports = dict(zip("ab", free_ports(2), strict=True))
    policy = RestartPolicy(first_seconds=0.01, longest_seconds=0.02, silent_seconds=0.5, look_seconds=0.05)
    supervisor = supervise(
        log,
        *(python(name, SERVES, str(port)) for name, port in ports.items()),
        restart=policy,
        answers={name: Questioner(Address("127.0.0.1", port)) for name, port in ports.items()},
    )
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line") and log.of("b line")))
    first = supervisor.pids

    os.kill(first["b"], signal.SIGSTOP)
    await log.until(lambda: len(log.of("b line")) == 2)

    (death,) = log.of("b death")
    assert "did not answer" in death.cause
    assert death.restart_seconds == 0.01
    assert supervisor.pids["a"] == first["a"]
    await supervisor.stop()


async def test_process_that_gets_no_processor_is_not_taken_for_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel says is put in its place: a machine cannot be starved at will."""
    looks, looked_often = itertools.count(), asyncio.Event()
    starved = True

    def waits(pid: int, **_: bool) -> dict[str, float]:
        return {"1": 10.0 * next(looks) if starved else 0.0}

    async def never() -> bool:
        if next(looks) > 200:
            looked_often.set()
        return False

    monkeypatch.setattr(starvation, "waits_of", waits)
    log = Log()
    policy = RestartPolicy(first_seconds=0.01, longest_seconds=0.02, silent_seconds=0.2, look_seconds=0.01)
    supervisor = supervise(log, python("a", FOR_EVER), restart=policy, answers={"a": never})
    await supervisor.start()
    await asyncio.wait_for(looked_often.wait(), 60)  # it has been silent several times as long as it may be
    assert log.of("a death") == []

    starved = False
    await log.until(lambda: bool(log.of("a death")))
    await supervisor.stop()


BUSY = """
import os, signal
def idle(*_):
    print("idle", flush=True)
    signal.pause()
signal.signal(signal.SIGUSR1, idle)
print("up", flush=True)
while True: pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process does")
async def test_process_that_works_in_silence_is_killed_once_it_does_nothing() -> None:
    log, looks = Log(), itertools.count()
    looked_often = asyncio.Event()

    async def never() -> bool:
        if next(looks) > 20:
            looked_often.set()
        return False

    policy = RestartPolicy(first_seconds=0.01, longest_seconds=0.02, silent_seconds=1.0, look_seconds=0.2)
    busy = Command("a", (sys.executable, "-c", BUSY), os.environ, works_in_silence=True)
    supervisor = supervise(log, busy, restart=policy, answers={"a": never})
    await supervisor.start()
    await asyncio.wait_for(looked_often.wait(), 60)  # it has been silent several times as long as it may be
    assert log.of("a death") == []

    os.kill(supervisor.pids["a"], signal.SIGUSR1)
    await log.until(lambda: bool(log.of("a death")))
    await supervisor.stop()
    assert "idle" in log.of("a line")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process does")
@pytest.mark.parametrize(("works_in_silence", "working_seconds"), [(True, 1.0), (False, 1000.0)])
async def test_process_that_works_without_end_is_killed(works_in_silence: bool, working_seconds: float) -> None:
    log = Log()

    async def never() -> bool:
        return False

    policy = RestartPolicy(silent_seconds=0.5, working_seconds=working_seconds, look_seconds=0.1)
    busy = Command("a", (sys.executable, "-c", BUSY), os.environ, works_in_silence=works_in_silence)
    supervisor = supervise(log, busy, restart=policy, answers={"a": never})
    await supervisor.start()
    await log.until(lambda: bool(log.of("a death")))
    await supervisor.stop()
    assert "did not answer" in log.of("a death")[0].cause


async def _until_it_answers(ask: Questioner) -> None:
    async with asyncio.timeout(60):
        while not await ask():  # each time for two seconds
            pass


async def test_process_is_asked_over_one_connection_until_that_fails() -> None:
    (port,) = free_ports(1)
    log, ask = Log(), Questioner(Address("127.0.0.1", port))
    assert await ask()  # nobody there is an answer
    supervisor = supervise(log, python("a", COUNTS, str(port)), restart=QUICK_RESTART)
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line")))
    for _ in range(5):
        await _until_it_answers(ask)
    assert log.of("a line") == ["up", "connection"]

    os.kill(supervisor.pids["a"], signal.SIGKILL)
    await log.until(lambda: log.of("a line").count("up") == 2)
    await _until_it_answers(ask)  # that the one before is gone, or the new one
    await _until_it_answers(ask)
    await log.until(lambda: log.of("a line").count("connection") == 2)
    os.kill(supervisor.pids["a"], signal.SIGSTOP)
    assert not await ask()
    assert not await ask()
    await ask.close()
    await supervisor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long a thread waited")
async def test_time_that_a_process_waits_for_a_processor_is_told() -> None:
    log = Log()
    busy = (
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nprint('up', flush=True)\nwhile True: pass"
    )
    supervisor = supervise(log, python("a", busy), python("b", busy))
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line") and log.of("b line")))
    pid = supervisor.pids["a"]
    before = waits_of(pid)
    async with asyncio.timeout(60):
        # Of two that want one processor, each waits half the time.
        while waited_since(before, waits_of(pid)) < 0.2:  # noqa: ASYNC110 - the kernel has no event
            await asyncio.sleep(0.05)
    await supervisor.stop()
    assert waits_of(pid) == {}


async def test_look_that_breaks_neither_kills_the_process_nor_ends_what_keeps_it() -> None:
    log = Log()

    async def broken() -> bool:
        raise RuntimeError("no more descriptors")

    policy = RestartPolicy(first_seconds=0.01, longest_seconds=0.02, silent_seconds=0.05, look_seconds=0.01)
    supervisor = supervise(log, python("a", FOR_EVER), restart=policy, answers={"a": broken})
    await supervisor.start()
    await log.until(lambda: len([line for line in log.of("a line") if "no more descriptors" in line]) > 5)
    assert log.of("a death") == []
    os.kill(supervisor.pids["a"], signal.SIGKILL)
    await log.until(lambda: bool(log.of("a death")))
    await supervisor.stop()


@pytest.mark.parametrize(("status", "restart"), [(2, QUICK_RESTART), (1, None)])
async def test_process_with_wrong_settings_or_without_restart_stays_dead(
    status: int, restart: RestartPolicy | None
) -> None:
    log = Log()
    supervisor = supervise(log, python("a", f"print('no'); raise SystemExit({status})"), restart=restart)
    await supervisor.start()

    await asyncio.wait_for(supervisor.wait(), 20)

    (death,) = log.of("a death")
    assert (death.status, death.restart_seconds, death.last_lines) == (status, None, ("no",))


async def test_stop_ends_group_after_group() -> None:
    log = Log()
    says_so = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("bye", flush=True)))
print("up", flush=True)
time.sleep(1000)
"""
    names = ("a", "b", "c")
    supervisor = supervise(log, *(python(name, says_so) for name in names), stop_order=[["b"], ["c"]])
    await supervisor.start()
    await log.until(lambda: all(log.of(f"{name} line") == ["up"] for name in names))

    await supervisor.stop()

    assert [name for name, value in log.events if value == "bye"] == ["b line", "c line", "a line"]
    assert supervisor.pids == {}


async def test_stop_kills_what_does_not_end_in_time() -> None:
    log = Log()
    supervisor = supervise(log, python("a", STUBBORN), group_seconds=0.1)
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line")))

    await supervisor.stop()

    assert log.of("a kill") == [None]
    assert log.of("a death") == []


async def test_kill_ends_a_stop_that_waits() -> None:
    log = Log()
    supervisor = supervise(log, python("a", STUBBORN), group_seconds=100)
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line")))
    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.sleep(0)

    supervisor.kill()

    await asyncio.wait_for(stopping, 20)
    assert log.of("a kill") == []


async def test_output_without_line_ends_and_with_bytes_that_are_no_text_arrives() -> None:
    log = Log()
    code = r"import sys; sys.stdout.buffer.write(b'\xff\n' + b'x' * 100_000 + b'\r\n' + '茶'.encode() + b'\nlast')"
    supervisor = supervise(log, python("a", code))
    await supervisor.start()
    await supervisor.wait()

    lines = log.of("a line")

    assert lines[0] == "\N{REPLACEMENT CHARACTER}"
    assert "".join(lines[1:-2]) == "x" * 100_000
    assert lines[-2:] == ["茶", "last"]


async def test_program_that_does_not_exist_is_a_death_that_says_so() -> None:
    log = Log()
    supervisor = supervise(log, Command("a", ("/nowhere/python",), os.environ))
    await supervisor.start()
    await supervisor.wait()

    (death,) = log.of("a death")
    assert death.status == 1
    assert death.last_lines == ("launcher: cannot run /nowhere/python: No such file or directory",)


async def test_child_ignores_ctrl_c_and_is_in_the_group_of_its_parent() -> None:
    log = Log()
    supervisor = supervise(log, python("a", FOR_EVER))
    await supervisor.start()
    await log.until(lambda: bool(log.of("a line")))
    pid = supervisor.pids["a"]

    os.kill(pid, signal.SIGINT)

    assert os.getpgid(pid) == os.getpgrp()
    await supervisor.stop()
    assert log.of("a death") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_children_die_with_a_parent_that_is_killed() -> None:
    parent_code = f"""
import asyncio, os, sys
from trivium_client.stack.child import Command
from trivium_client.stack.supervisor import Supervisor
class Observer:
    def on_line(self, name, line): print(line, flush=True)
    def on_start(self, name, pid): print(pid, flush=True)
    def on_death(self, death): pass
async def main():
    command = Command("a", (sys.executable, "-c", {STUBBORN!r}), os.environ)
    supervisor = Supervisor([command], Observer(), restart=None)
    await supervisor.start()
    await supervisor.wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "up\n"

        parent.kill()
        parent.wait()
        # The child holds the pipe: its end is when nobody does any more.
        assert parent.stdout.read() == ""

    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_data_folder_that_is_made_is_its_makers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "package_problems", lambda *_: [])
    monkeypatch.setattr(running, "port_problems", lambda *_: [])
    nothing: Any = SimpleNamespace(
        layout=SimpleNamespace(addresses={}),
        interpreters=dict,
        commands=list,
        restart=False,
        data_dir=tmp_path / "data",
    )

    async with running.running_stack(nothing, Log()):
        pass

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
