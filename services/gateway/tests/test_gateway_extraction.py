"""The processes that read HTML and PDF files: bounded, fair between callers, replaced when they die."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.cores import usable_core_count
from trivium_gateway.ingestion.extraction import ExtractionSettings, Extractor
from trivium_gateway.ingestion.html import html_text
from trivium_serving.errors import Overloaded, TooLarge
from trivium_serving.request_context import begin_request, set_caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# In a drawing elements nest without bound, and each end tag without a beginning is looked for in all of them.
HOSTILE = b"<svg>" + b"<g>" * 100_000 + b"</x>" * 100_000
GOOD = b"<p>A good page about cheese.</p>"
LIMITS = GatewayLimits()


@asynccontextmanager
async def extracting(
    limits: GatewayLimits = LIMITS,
    registry: CollectorRegistry | None = None,
    *,
    seconds: float = 25.0,
    processes: int = 2,
    files_per_process: int = 500,
) -> AsyncIterator[Extractor]:
    """An extractor with a few processes and little patience."""
    settings = ExtractionSettings(processes, seconds, files_per_process)
    extractor = Extractor(limits, registry or CollectorRegistry(), settings)
    try:
        yield extractor
    finally:
        await extractor.close()


def asked_by(caller: str, extractor: Extractor, data: bytes) -> asyncio.Task[str]:
    """Has a file read as a call of its own."""

    async def call() -> str:
        begin_request(None)
        set_caller(caller)
        return (await extractor.extract("html", data)).text

    return asyncio.create_task(call())


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    while not condition():  # noqa: ASYNC110  # of processes, which tell nobody
        await asyncio.sleep(0.01)


def pid_of_idle(extractor: Extractor) -> int:
    """The process that is read with next."""
    return extractor._idle[-1]._process.pid


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """A metric's value."""
    return registry.get_sample_value(f"trivium_gateway_parse_{name}", labels) or 0.0


async def test_a_page_that_takes_too_long_is_given_up_and_the_next_one_is_read() -> None:
    registry = CollectorRegistry()
    async with extracting(registry=registry, seconds=5.0) as extractor:
        reading = asked_by("a", extractor, HOSTILE)
        turns = 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0.01)
        with pytest.raises(TooLarge, match="more than 1 s of processor time") as caught:
            await reading
        assert caught.value.reason == "PARSE_LIMIT"
        assert turns > 20  # the event loop went on meanwhile
        assert sample(registry, "processes_ended_total", cause="limit") == 1
        assert await asked_by("a", extractor, GOOD) == "A good page about cheese."


async def test_a_file_that_takes_too_much_memory_is_given_up() -> None:
    async with extracting(replace(LIMITS, max_parse_memory_bytes=320 * 1024 * 1024), seconds=300) as extractor:
        with pytest.raises(TooLarge) as caught:
            await extractor.extract("html", b"<p>word</p>" * 4_000_000)
        assert caught.value.reason == "PARSE_LIMIT"
        assert (await extractor.extract("html", GOOD)).text


async def test_a_cancelled_extraction_leaves_the_next_one_its_own_answer() -> None:
    async with extracting(processes=1, seconds=300) as extractor:
        first = asked_by("a", extractor, b"<p>first</p>" * 20_000)
        while not extractor._idle and not first.done():
            await asyncio.sleep(0.01)
            first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await asked_by("a", extractor, GOOD) == "A good page about cheese."


async def test_hostile_files_of_one_caller_do_not_keep_another_waiting() -> None:
    registry = CollectorRegistry()
    async with extracting(registry=registry) as extractor:
        hostile = [asked_by("a", extractor, HOSTILE + b"%d" % number) for number in range(20)]
        await until(lambda: sample(registry, "files", state="waiting") == 19)
        assert sample(registry, "files", state="running") == 1  # one place is kept for others
        assert await asked_by("b", extractor, GOOD) == "A good page about cheese."
        assert not any(task.done() for task in hostile)
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
        assert sample(registry, "files", state="running") == sample(registry, "files", state="waiting") == 0


async def test_callers_with_one_place_between_them_take_turns() -> None:
    async with extracting(processes=1, seconds=300) as extractor:
        order: list[str] = []

        async def ask(caller: str) -> None:
            await asked_by(caller, extractor, GOOD)
            order.append(caller)

        await asyncio.gather(*(ask(caller) for caller in "aaaaaabb"))
        assert "".join(order[:5]) in ("ababa", "aabab")  # the first one asked when nobody else did


async def test_calls_that_wait_beyond_the_limit_are_refused_and_told_when_to_come_back() -> None:
    registry = CollectorRegistry()
    async with extracting(replace(LIMITS, max_parse_waiting_calls=4), registry, processes=1) as extractor:
        waiting = [asked_by("a", extractor, HOSTILE) for _ in range(3)]
        await until(lambda: sample(registry, "files", state="waiting") == 2)
        with pytest.raises(Overloaded, match="2 of them yours") as caught:
            await asked_by("a", extractor, GOOD)
        assert caught.value.retry_after_seconds > 0
        waiting.append(asked_by("b", extractor, GOOD))  # who has none waiting, has room
        await until(lambda: sample(registry, "files", state="waiting") == 3)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_process_that_died_while_idle_is_not_asked() -> None:
    registry = CollectorRegistry()
    async with extracting(registry=registry) as extractor:
        await extractor.extract("html", GOOD)
        os.kill(pid_of_idle(extractor), signal.SIGKILL)
        assert (await extractor.extract("html", GOOD)).text
        assert sample(registry, "processes_ended_total", cause="died") == 1


async def test_a_process_that_has_read_enough_files_is_replaced() -> None:
    registry = CollectorRegistry()
    async with extracting(registry=registry, processes=1, files_per_process=2) as extractor:
        await extractor.extract("html", GOOD)
        first = pid_of_idle(extractor)
        await extractor.extract("html", GOOD)
        assert (await extractor.extract("html", GOOD)).text
        assert pid_of_idle(extractor) != first
        assert sample(registry, "processes_ended_total", cause="recycled") == 1


async def test_a_process_that_holds_half_of_its_memory_is_replaced() -> None:
    registry = CollectorRegistry()
    async with extracting(registry=registry, processes=1) as extractor:
        await extractor.extract("html", GOOD)
        assert sample(registry, "processes_ended_total", cause="recycled") == 0
        held_bytes = extractor._idle[-1].resident_bytes
        assert held_bytes > 1024 * 1024
        extractor._limits = replace(LIMITS, max_parse_memory_bytes=held_bytes)
        await extractor.extract("html", GOOD)
        assert sample(registry, "processes_ended_total", cause="recycled") == 1
        extractor._limits = LIMITS
        assert (await extractor.extract("html", GOOD)).text


async def test_processes_are_given_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRIVIUM_GATEWAY_QDRANT_API_KEY", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    async with extracting() as extractor:
        await extractor.extract("html", GOOD)
        environment = await asyncio.to_thread(Path(f"/proc/{pid_of_idle(extractor)}/environ").read_bytes)
    assert b"PATH=" in environment
    assert b"hunter2" not in environment


async def test_what_a_process_says_when_it_breaks_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with extracting(replace(LIMITS, max_parse_memory_bytes=1024)) as extractor:
        with pytest.raises(TooLarge):
            await extractor.extract("html", GOOD * 100_000)
    assert "MemoryError" in caplog.text


@pytest.mark.parametrize("tag", ["div", "span", "section", "optgroup", "b"])
def test_html_nested_without_end_keeps_its_text_and_is_read_at_once(tag: str) -> None:
    deep = (
        f"<{tag}>" * 200_000 + "<p>deep</p>" + f"</{tag}>" * 200_000 + "<p>after</p>"
    )  # for minutes, if it is parsed so
    assert html_text(deep)[1] == "deep\n\nafter"


def test_html_deeper_than_is_followed_keeps_lines_and_hides_scripts() -> None:
    script = "<script>var page = '<div><div>';</script><!-- <div> -->"
    page = "<div>" * 600 + "<div>one</div><div>two <b>three</b></div>" + script * 600 + "</div>" * 600 + "<h2>four</h2>"
    assert html_text(page)[1] == "one\ntwo three\n\n## four"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_usable_cores_are_those_of_the_quota(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    affinity = len(os.sched_getaffinity(0))
    assert usable_core_count(tmp_path) == min(expected or affinity, affinity)
