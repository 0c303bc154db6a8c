"""One child process: its start, its output line by line, its end."""

import asyncio
import codecs
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LONGEST_LINE = 16_384
_KEPT_LINES = 50
# A grandchild may hold the pipe open after the child is gone.
_LAST_OUTPUT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Attributes:
        name: What people call the process.
        argv: Program and arguments; the program is a path.
        environment: All its variables.
        niceness: How far it stands back behind others where processors are short, from 0 to 19.
        works_in_silence: Whether it may be unable to answer while it works.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    niceness: int = 0
    works_in_silence: bool = False


class Child:
    """A running process in this process's group, which on Linux dies with this process however that ends.

    Must be started from the main thread: the kernel takes the end of the thread that started it for the parent's.
    """

    def __init__(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
        self._process = process
        self._on_line = on_line
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Command, on_line: Callable[[str], None]) -> Self:
        """Starts a process whose output goes to `on_line`, a line at a time."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(_LAUNCHER), str(os.getpid()), str(command.niceness), *command.argv),
            env=dict(command.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process, on_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Waits for the end of the process and of its output; returns its status, negative for a signal."""
        status = await self._process.wait()
        await asyncio.wait([self._reader], timeout=_LAST_OUTPUT_SECONDS)
        self._reader.cancel()
        return status

    async def _read(self) -> None:
        assert self._process.stdout is not None
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        rest = ""
        while block := await self._process.stdout.read(65_536):
            *lines, rest = (rest + decode(block)).split("\n")
            if len(rest) > _LONGEST_LINE:
                lines.append(rest)
                rest = ""
            for line in lines:
                self._take(line.rstrip("\r"))
        if rest:
            self._take(rest)

    def _take(self, line: str) -> None:
        self.last_lines.append(line)
        self._on_line(line)
