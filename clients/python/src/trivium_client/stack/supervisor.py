"""Keeps a set of processes running: restarts what dies, and stops all of them in order."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trivium_client.stack.child import Child, Command

USAGE_STATUS = 2
"""A process that ends with this status cannot run with the settings it was given: starting it again changes nothing."""


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process that was not asked to end.

    Attributes:
        name: The process.
        status: Its exit status; negative for the number of the signal that killed it.
        last_lines: The end of its output.
        restart_seconds: When it is started again; None if it is not.
    """

    name: str
    status: int
    last_lines: tuple[str, ...]
    restart_seconds: float | None

    @property
    def cause(self) -> str:
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            name = signal.Signals(-self.status).name
        except ValueError:
            name = f"signal {-self.status}"
        return f"killed by {name}" + (" (by hand, or for want of memory)" if name == "SIGKILL" else "")


class Observer(Protocol):
    """Is told what happens to the processes."""

    def on_line(self, name: str, line: str) -> None: ...

    def on_start(self, name: str, pid: int) -> None: ...

    def on_death(self, death: Death) -> None: ...

    def on_kill(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a process that died is started again: after a wait that doubles from one death to the next.

    Attributes:
        first_seconds: The first wait.
        longest_seconds: The longest.
        healthy_seconds: A process that ran for so long begins with the first wait again.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    healthy_seconds: float = 60.0


class Supervisor:
    """Runs processes until told to stop.

    Args:
        commands: The processes, in the order in which they are started.
        observer: Is told what happens to them.
        restart: How to start again what died; None to leave it.
        stop_order: Names in groups: each group is told to end when the one before it has ended.
        group_seconds: How long a group may take to end before it is killed.
        stop_seconds: How long all may take.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        observer: Observer,
        *,
        restart: RestartPolicy | None,
        stop_order: Sequence[Sequence[str]] = (),
        group_seconds: float = 12.0,
        stop_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._observer = observer
        self._restart = restart
        self._stop_order = stop_order
        self._group_seconds = group_seconds
        self._stop_seconds = stop_seconds
        self._clock = clock
        self._children: dict[str, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of what runs now, by name."""
        return {name: child.pid for name, child in self._children.items() if child.running}

    async def start(self) -> None:
        """Starts all processes, from the main thread."""
        started = asyncio.Event()
        for command in self._commands:
            started.clear()
            self._keepers.append(asyncio.create_task(self._keep(command, started)))
            await started.wait()

    async def wait(self) -> None:
        """Waits until every process has ended for good: stopped, or died without being started again."""
        if self._keepers:
            await asyncio.gather(*self._keepers)

    async def stop(self) -> None:
        """Ends all processes, group after group. Those that do not end in time are killed."""
        self._stopping.set()
        deadline = self._clock() + self._stop_seconds
        listed = {name for group in self._stop_order for name in group}
        rest = [command.name for command in self._commands if command.name not in listed]
        for group in (*self._stop_order, rest):
            children = {name: self._children[name] for name in group if name in self._children}
            for child in children.values():
                child.signal(signal.SIGTERM)
            ends = [asyncio.ensure_future(child.wait()) for child in children.values()]
            if ends:
                await asyncio.wait(ends, timeout=max(0.0, min(self._group_seconds, deadline - self._clock())))
            for name, child in children.items():
                if child.running:
                    child.signal(signal.SIGKILL)
                    self._observer.on_kill(name)
            await asyncio.gather(*ends)
        await self.wait()

    def kill(self) -> None:
        """Kills all processes at once; `stop` then ends without delay."""
        self._stopping.set()
        for child in self._children.values():
            child.signal(signal.SIGKILL)

    async def _keep(self, command: Command, started: asyncio.Event) -> None:
        """Runs one process, again and again if it dies."""
        deaths = 0
        while not self._stopping.is_set():
            began = self._clock()
            child = await Child.start(command, lambda line: self._observer.on_line(command.name, line))
            self._children[command.name] = child
            self._observer.on_start(command.name, child.pid)
            started.set()
            if self._stopping.is_set():  # stop() did not see it
                child.signal(signal.SIGKILL)
            status = await child.wait()
            if self._stopping.is_set():
                return
            policy = self._restart
            if policy is not None and self._clock() - began >= policy.healthy_seconds:
                deaths = 0
            pause = None
            if policy is not None and status != USAGE_STATUS:
                pause = min(policy.first_seconds * 2**deaths, policy.longest_seconds)
            deaths += 1
            self._observer.on_death(Death(command.name, status, tuple(child.last_lines), pause))
            if pause is None:
                return
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                continue
