"""Extracts the text of HTML and PDF files in child processes, bounded in time and memory.

Neither parser gives the event loop a turn, and hostile files make either run for minutes: 200,000 nested `<div>`, one
megabyte, keep the HTML parser busy for five.
"""

import asyncio
import json
import math
import sys
from dataclasses import dataclass
from typing import Literal

from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.ingestion.extraction_worker import REQUEST_HEADER, RESPONSE_HEADER
from trivium_gateway.limits import GatewayLimits

__all__ = ["Extracted", "Extractor"]

_KINDS = {"html": b"h", "pdf": b"p"}


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came out of a file.

    Attributes:
        title: Its own title; may be empty.
        text: Its text; may be blank.
    """

    title: str
    text: str


class Extractor:
    """A few child processes, started when first needed and kept; one that overruns its time is killed.

    Args:
        limits: Seconds, memory, pages and characters per file.
        process_count: Most processes, so most files at once.
    """

    def __init__(self, limits: GatewayLimits, *, process_count: int = 1) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(process_count)
        self._idle: list[asyncio.subprocess.Process] = []

    async def extract(self, kind: Literal["html", "pdf"], data: bytes) -> Extracted:
        """Extract the text of a file.

        Raises:
            InvalidField: The file cannot be read; the reasons are those of `pdf_text` and `decode`.
            TooLarge: It has too many pages or too much text (DOCUMENT_TOO_LARGE), or takes too much time or memory
                (PARSE_LIMIT).
        """
        async with self._slots:
            process = self._idle.pop() if self._idle else await self._start()
            try:
                async with asyncio.timeout(self._limits.max_parse_seconds):
                    answer = await _ask(process, _KINDS[kind], data)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                await _kill(process)
                raise TooLarge(
                    f"The file takes more than {self._limits.max_parse_seconds:.0f} s or "
                    f"{self._limits.max_parse_memory_bytes >> 20} MiB to read. Split it, or send its text.",
                    reason="PARSE_LIMIT",
                ) from None
            except BaseException:
                await _kill(process)
                raise
            self._idle.append(process)
        if "error" in answer:
            raise _error_of(answer)
        return Extracted(answer["title"], answer["text"])

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await _kill(self._idle.pop())

    async def _start(self) -> asyncio.subprocess.Process:
        limits = self._limits
        arguments = (
            limits.max_parse_memory_bytes,
            math.ceil(limits.max_parse_seconds) + 1,
            limits.max_pdf_pages,
            limits.max_document_bytes,
        )
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trivium_gateway.ingestion.extraction_worker",
            *(str(argument) for argument in arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )


async def _ask(process: asyncio.subprocess.Process, kind: bytes, data: bytes) -> dict[str, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(REQUEST_HEADER.pack(kind, len(data)) + data)
    await process.stdin.drain()
    (length,) = RESPONSE_HEADER.unpack(await process.stdout.readexactly(RESPONSE_HEADER.size))
    answer: dict[str, str] = json.loads(await process.stdout.readexactly(length))
    return answer


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _error_of(answer: dict[str, str]) -> TriviumError:
    if answer["error"] == "TooLarge":
        return TooLarge(answer["message"], reason=answer["reason"])
    return InvalidField("data", answer["message"], reason=answer["reason"])
