"""One child process that extracts the text of files, and what its parent knows of it."""

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from enum import Enum
from typing import Any

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.extraction_worker import REQUEST_HEADER, RESPONSE_HEADER

__all__ = ["ExtractionProcess", "ProcessEnded", "Task"]

_logger = logging.getLogger(__name__)

# Secrets are in the gateway's environment, and what reads files of strangers needs none.
_PASSED_ON = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
)
_LOGGED_BYTES = 4096
_NAME_BYTES = 1000
_LARGE_ANSWER_BYTES = 200_000
_START_SECONDS = 30.0
_ENDING_SECONDS = 1.0
_WALL_SECONDS_PER_CPU_SECOND = 4.0
"""A process that has not had its processor time after so much longer hangs, or the machine is hopelessly busy."""


class Task(Enum):
    """What to do with a file."""

    READ = b"r"
    UNPACK = b"u"
    RECOGNISE = b"o"
    """Read it, pages that are pictures, too."""
    PICTURE = b"p"
    """Draw a page of it: its number and the pixels for each point stand in the place of its name."""


class ProcessEnded(Exception):
    """The process ended, or was ended, without an answer.

    Args:
        over_limit: It used up its time; else it may have been ended from outside, or for want of memory.
    """

    def __init__(self, *, over_limit: bool) -> None:
        super().__init__()
        self.over_limit = over_limit


class ExtractionProcess:
    """A child process; `start` makes one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._logging = asyncio.create_task(_log(process.stderr))
        self.served_count = 0
        self.resident_bytes = 0

    @classmethod
    async def start(cls, limits: GatewayLimits) -> "ExtractionProcess":
        """Start a process."""
        memory_bytes = (limits.max_parse_memory_bytes, limits.max_scan_memory_bytes)
        arguments = (*memory_bytes, limits.max_pdf_pages, limits.max_document_bytes)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trivium_gateway.ingestion.extraction_worker",
            *(str(argument) for argument in arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name in _PASSED_ON},
        )
        return cls(process)

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked: one that ended while it was idle cannot."""
        return self._process.returncode is None and not self._stdout.at_eof()

    async def ask(
        self, task: Task, format_name: str, name: str, data: bytes, cpu_seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Have the text of a file extracted, or the files in it, or a page of it drawn.

        Returns:
            What the process says, and the files in it one after the other, or the picture.

        Raises:
            ProcessEnded: There was no answer. The process is gone.
        """
        self.served_count += 1
        try:
            async with asyncio.timeout(_START_SECONDS + cpu_seconds * _WALL_SECONDS_PER_CPU_SECOND):
                named = name.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore").encode()
                header = REQUEST_HEADER.pack(task.value, format_name.encode(), len(named), len(data), cpu_seconds)
                self._stdin.writelines((header, named, data))
                await self._stdin.drain()
                sizes = RESPONSE_HEADER.unpack(await self._stdout.readexactly(RESPONSE_HEADER.size))
                length, rest, self.resident_bytes = sizes
                answer = await self._stdout.readexactly(length)
                parts = await self._stdout.readexactly(rest)
        except TimeoutError:
            await self.kill()
            raise ProcessEnded(over_limit=True) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            with suppress(TimeoutError):  # its status says why it ends; to kill it meanwhile would lose that
                await asyncio.wait_for(self._process.wait(), _ENDING_SECONDS)
            await self.kill()
            raise ProcessEnded(over_limit=self._process.returncode == -signal.SIGPROF) from None
        except BaseException:
            await self.kill()
            raise
        loaded: dict[str, Any]
        if length > _LARGE_ANSWER_BYTES:
            loaded = await asyncio.to_thread(json.loads, answer)
        else:
            loaded = json.loads(answer)
        return loaded, parts

    async def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # it ended by itself just now
                self._process.kill()
        await self._process.wait()
        await self._logging


async def _log(stderr: asyncio.StreamReader) -> None:
    """Keep what a process says on its way out, but no more than a screen of it."""
    left = _LOGGED_BYTES
    while said := await stderr.read(_LOGGED_BYTES):
        if left > 0:
            _logger.warning("a process that reads files says: %s", said[:left].decode(errors="replace").strip())
        left -= len(said)
