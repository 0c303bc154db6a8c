"""Keeps a set of processes running: restarts what dies or hangs, and stops all of them in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trivium_client.stack.child import Child, Command
from trivium_client.stack.starvation import Silence

USAGE_STATUS = 2
"""A process that ends with this status cannot run with the settings it was given: starting it again changes nothing."""

_FEWEST_MISSES = 3


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process that was not asked to end.

    Attributes:
        name: The process.
        status: Its exit status; negative for the number of the signal that killed it.
        last_lines: The end of its output.
        restart_seconds: When it is started again; None if it is not.
        silent_seconds: How long it had not answered, if it was killed for that; else 0.
    """

    name: str
    status: int
    last_lines: tuple[str, ...]
    restart_seconds: float | None
    silent_seconds: float = 0.0

    @property
    def cause(self) -> str:
        if self.silent_seconds:
            return f"it did not answer for {self.silent_seconds:.0f} s and was killed"
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
    """When a process that died or hangs is started again: after a wait that doubles from one death to the next.

    Attributes:
        first_seconds: The first wait.
        longest_seconds: The longest.
        healthy_seconds: A process that ran for so long begins with the first wait again.
        silent_seconds: A process that has not answered for so long hangs, and is killed. Time in which it
            had no processor does not count; nor, for one that works in silence, that in which it works.
        working_seconds: For so long it may say nothing, whatever it does.
        look_seconds: Pause between two looks whether it answers.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    healthy_seconds: float = 60.0
    silent_seconds: float = 15.0
    working_seconds: float = 120.0
    look_seconds: float = 1.0

    def is_hang(self, silence: Silence) -> bool:
        """Whether a process that was silent for so long hangs, and starting it again costs less than to wait."""
        # More than one miss: this process itself may have stood still.
        return silence.misses >= _FEWEST_MISSES and (
            silence.idle_seconds >= self.silent_seconds or silence.seconds >= self.working_seconds
        )


class Supervisor:
    """Runs processes until told to stop.

    Args:
        commands: The processes, in the order in which they are started.
        observer: Is told what happens to them.
        restart: How to start again what died; None to leave it.
        stop_order: Names in groups: each group is told to end when the one before it has ended.
        group_seconds: How long a group may take to end before it is killed.
        stop_seconds: How long all may take.
        answers: By the name of a process, whether it says anything now; of the others it is not known.
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
        answers: Mapping[str, Callable[[], Awaitable[bool]]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._observer = observer
        self._restart = restart
        self._stop_order = stop_order
        self._group_seconds = group_seconds
        self._stop_seconds = stop_seconds
        self._answers = answers or {}
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
            keeper = asyncio.create_task(self._keep(command, started))
            self._keepers.append(keeper)
            starting = asyncio.create_task(started.wait())
            await asyncio.wait((starting, keeper), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():  # it could not even be started
                starting.cancel()
                await keeper

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
            looking = asyncio.create_task(self._kill_if_it_hangs(command, child))
            status = await child.wait()
            silent_seconds = looking.result() if looking.done() else 0.0
            looking.cancel()
            if self._stopping.is_set():
                return
            policy = self._restart
            if policy is not None and self._clock() - began >= policy.healthy_seconds:
                deaths = 0
            pause = None
            if policy is not None and status != USAGE_STATUS:
                pause = min(policy.first_seconds * 2**deaths, policy.longest_seconds)
            deaths += 1
            self._observer.on_death(Death(command.name, status, tuple(child.last_lines), pause, silent_seconds))
            if pause is None:
                return
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                continue

    async def _kill_if_it_hangs(self, command: Command, child: Child) -> float:
        """Kills a process that has not answered for too long, and returns how long; 0 where nobody is to look."""
        policy, look = self._restart, self._answers.get(command.name)
        if policy is None or look is None:
            return 0.0
        heard = self._clock()
        silence = Silence(child.pid, works_in_silence=command.works_in_silence, clock=self._clock)
        while not policy.is_hang(silence):
            silence.begin_look()
            await asyncio.sleep(policy.look_seconds)
            try:
                answered = await look()
            except Exception as error:  # of a task that nobody waits for: whether it answers, is not known then
                self._observer.on_line(command.name, f"cannot be asked whether it answers: {error!r}")
                answered = True
            if answered:
                heard = self._clock()
                silence.end()
            else:
                silence.miss()
        child.signal(signal.SIGKILL)
        return self._clock() - heard
