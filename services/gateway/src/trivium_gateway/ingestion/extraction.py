"""Extracts the text of files in child processes, bounded in time and memory, and fairly between callers.

No parser gives the event loop a turn, and hostile files make them run for minutes.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from trivium_serving.errors import InvalidField, TooLarge, TriviumError
from trivium_serving.request_context import caller, request_id, tenant

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.cores import usable_core_count
from trivium_gateway.ingestion.extraction_process import ExtractionProcess, ProcessEnded, Task
from trivium_gateway.ingestion.formats.attached import Part
from trivium_gateway.ingestion.metrics import ExtractionMetrics
from trivium_gateway.ingestion.page_picture import PagePicture
from trivium_gateway.ingestion.turns import Turns

__all__ = ["Extracted", "ExtractionSettings", "Extractor"]

_MEGABYTE = 1_000_000
# HTML has a megabyte of text in a megabyte, and is read in less than half a second; compressed files have much more.
_SHARE_OF_SECONDS = {"html": 0.2}
_MANY_BOXES = 5_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came out of a file.

    Attributes:
        title: Its own title; may be empty.
        text: Its text; may be blank.
        boxes: Where the lines of the text stand on its pages.
    """

    title: str
    text: str
    boxes: Sequence[LineBox] = ()


@dataclass(frozen=True, slots=True)
class ExtractionSettings:
    """How much work there may be.

    Attributes:
        process_count: Most processes, so most files at once; 0 for one more than there are cores.
        seconds_per_megabyte: Most processor time for each megabyte of a file that has begun; of HTML, a fifth of it.
        files_per_process: Most files that a process reads before another one takes its place: what parsers leak goes
            with it. So does a process that holds half of its memory, or the next file would be refused for that.
    """

    process_count: int = 0
    seconds_per_megabyte: float = 10.0
    files_per_process: int = 500


class Extractor:
    """Some child processes, started when first needed and kept; one that overruns its time is killed.

    Args:
        limits: Seconds, memory, pages and characters per file, and calls that wait.
        registry: Where metrics are registered.
        settings: How much work there may be.
    """

    def __init__(
        self, limits: GatewayLimits, registry: CollectorRegistry, settings: ExtractionSettings | None = None
    ) -> None:
        self._limits = limits
        self._settings = settings or ExtractionSettings()
        self._metrics = ExtractionMetrics(registry)
        places = self._settings.process_count or usable_core_count() + 1
        self._turns = Turns(places, limits.max_parse_waiting_calls, self._metrics.set_files)
        self._idle: list[ExtractionProcess] = []

    async def extract(self, format_name: str, data: bytes) -> Extracted:
        """Extract the text of a file.

        Args:
            format_name: One of `READABLE`.
            data: The file. Its pages that are pictures are read by text recognition, where that is installed.

        Raises:
            InvalidField: The file cannot be read; the reasons are its reader's.
            TooLarge: It has too many pages or too much text (DOCUMENT_TOO_LARGE), or takes too much time or memory
                (PARSE_LIMIT).
            Overloaded: Too many calls wait for the same.
        """
        answer, _ = await self._done(Task.READ, format_name, "", data)
        if answer["scans"]:
            try:
                answer, _ = await self._done(Task.RECOGNISE, format_name, "", data, answer["scans"])
            except TooLarge as error:
                if not answer["text"].strip():
                    raise
                _logger.warning("the pictures among the pages of a file were not read: %s", error.message)
        boxes = answer["boxes"]
        if len(boxes) > _MANY_BOXES:
            return Extracted(answer["title"], answer["text"], await asyncio.to_thread(_boxes_of, boxes))
        return Extracted(answer["title"], answer["text"], _boxes_of(boxes))

    async def unpack(self, format_name: str, name: str, data: bytes) -> list[Part]:
        """Take the files out of a mail or an archive, those in mails and archives within it, too.

        Args:
            format_name: One of `UNPACKED`.
            name: The file's own name; may be empty.
            data: The file.

        Raises:
            InvalidField: The file cannot be unpacked (FILE_BROKEN, FILE_ENCRYPTED).
            TooLarge: There is too much in it (DOCUMENT_TOO_LARGE), or it takes too much time or memory (PARSE_LIMIT).
            Overloaded: Too many calls wait for the same.
        """
        answer, content = await self._done(Task.UNPACK, format_name, name, data)
        parts, end = [], 0
        for part_name, media_type, size, failure in answer["parts"]:
            error = _error_of(failure) if failure else None
            parts.append(Part(part_name, media_type, content[end : end + size], error))
            end += size
        return parts

    async def picture(self, data: bytes, page: int, scale: float) -> PagePicture:
        """Draw a page of a PDF file; see `picture_of_page`.

        Raises:
            InvalidField: The file cannot be read any more.
            TooLarge: It takes too much time or memory (PARSE_LIMIT).
            Overloaded: Too many calls wait for the same.
        """
        answer, png = await self._done(Task.PICTURE, "pdf", f"{page} {scale}", data)
        return PagePicture(answer["width"], answer["height"], answer["page_count"], png)

    async def _done(
        self, task: Task, format_name: str, name: str, data: bytes, scan_count: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        if scan_count > self._limits.max_scanned_pages:
            raise TooLarge(
                f"The file has {scan_count} pages that are pictures; at most {self._limits.max_scanned_pages} are "
                "allowed. Split it.",
                reason="DOCUMENT_TOO_LARGE",
            )
        seconds = self._seconds_for(format_name, data) + scan_count * self._limits.max_scanned_page_seconds
        async with self._turns.turn(tenant(), caller(), request_id()):
            answer, content = await self._ask(task, format_name, name, data, seconds)
        if "error" in answer:
            raise _error_of(answer)
        return answer, content

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await self._idle.pop().kill()

    async def _ask(
        self, task: Task, format_name: str, name: str, data: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        while True:
            process = await self._process()
            was_fresh = process.served_count == 0
            try:
                answer = await process.ask(task, format_name, name, data, seconds)
            except ProcessEnded as ended:
                self._metrics.count_ended("limit" if ended.over_limit else "died")
                if not ended.over_limit and not was_fresh:
                    continue  # it may have died before it was asked; a fresh one will tell
                raise TooLarge(
                    f"The file takes more than {seconds:.0f} s of processor time or "
                    f"{self._limits.max_parse_memory_bytes >> 20} MiB to read. Split it, or send its text.",
                    reason="PARSE_LIMIT",
                ) from None
            except BaseException:
                self._metrics.count_ended("cancelled")
                raise
            if self._has_read_enough(process):
                self._metrics.count_ended("recycled")
                await process.kill()
            else:
                self._idle.append(process)
            return answer

    def _has_read_enough(self, process: ExtractionProcess) -> bool:
        most_bytes = self._limits.max_parse_memory_bytes // 2
        return process.served_count >= self._settings.files_per_process or process.resident_bytes > most_bytes

    def _seconds_for(self, format_name: str, data: bytes) -> float:
        seconds_per_megabyte = self._settings.seconds_per_megabyte * _SHARE_OF_SECONDS.get(format_name, 1.0)
        return min(seconds_per_megabyte * max(1, math.ceil(len(data) / _MEGABYTE)), self._limits.max_parse_seconds)

    async def _process(self) -> ExtractionProcess:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            self._metrics.count_ended("died")
            await process.kill()
        return await ExtractionProcess.start(self._limits)


def _boxes_of(boxes: Sequence[Sequence[Any]]) -> list[LineBox]:
    return [LineBox(*box) for box in boxes]


def _error_of(answer: dict[str, str]) -> TriviumError:
    if answer["error"] == "TooLarge":
        return TooLarge(answer["message"], reason=answer["reason"])
    return InvalidField("data", answer["message"], reason=answer["reason"])
