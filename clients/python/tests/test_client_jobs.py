"""Jobs by the SDK and by the command, on a gateway that has nothing behind it, so that they wait."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from e2e.keyed_gateway import KeyedGateway, running_keyed_gateway
from e2e.stack import wait_until
from trivium_client import AsyncTrivium, InvalidRequest, Job, NewDocument, NotFound, Trivium
from trivium_client.cli.app import app
from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    """A gateway."""
    with running_keyed_gateway(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(autouse=True)
def key(gateway: KeyedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway, its key, and a wide terminal, for the command, too."""
    monkeypatch.setenv("TRIVIUM_API_KEY", gateway.first_key)
    monkeypatch.setenv("TRIVIUM_GATEWAY", gateway.address)
    monkeypatch.setenv("COLUMNS", "200")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _documents(count: int) -> list[NewDocument]:
    return [NewDocument(f"Note {number}.", id=f"n{number}") for number in range(count)]


def test_client_starts_follows_cancels_retries_and_forgets_a_job() -> None:
    taken: list[int] = []
    with Trivium() as trivium:
        job = trivium.start_job(_documents(30), batch_size=8, on_progress=lambda job: taken.append(job.total))
        assert taken == [8, 16, 24, 30]
        assert trivium.start_job(_documents(3), job_id=job.id).total == 30
        assert job.id in [one.id for one in trivium.list_jobs(page_size=1)]
        looked: list[Job] = []

        def look(one: Job) -> None:
            looked.append(one)
            if one.waiting:
                assert trivium.delete_job(job.id) is False

        ended = trivium.wait_for_job(job.id, on_progress=look)
        assert (ended.state, ended.done, ended.total, ended.failed) == ("cancelled", 0, 30, ())
        assert {one.waiting.reason for one in looked if one.waiting} <= {"UPSTREAM_UNAVAILABLE", "UNAVAILABLE"}
        assert any(one.waiting for one in looked)
        assert trivium.retry_job(job.id).ended is None
        assert trivium.delete_job(job.id) is False
        assert trivium.delete_job(job.id) is True
        with pytest.raises(NotFound, match=job.id):
            trivium.get_job(job.id)


async def test_async_client_starts_a_job_and_refuses_what_is_no_document() -> None:
    async with AsyncTrivium() as trivium:
        job = await trivium.start_job([{"text": "A note.", "id": "a"}])
        assert (await trivium.get_job(job.id)).total == 1
        assert await trivium.delete_job(job.id) is False
        with pytest.raises(InvalidRequest, match="no field 'txt'"):
            await trivium.start_job([{"txt": "A note."}])


def test_command_starts_a_job_and_names_what_it_could_not_read(tmp_path: Path) -> None:
    lines = tmp_path / "notes.jsonl"
    lines.write_text('{"id": "a", "text": "A."}\nnonsense\n{"id": "b", "text": "B."}\n')
    started = _run("ingest", "--no-wait", str(lines))
    assert started.exit_code == 1
    assert "notes.jsonl:2: not JSON" in started.stderr
    job = started.stdout.strip()
    assert f"trivium jobs show {job} --follow" in started.stderr
    shown = json.loads(_run("jobs", "show", job, "--json").stdout)
    assert (shown["id"], shown["total"], shown["ended"], shown["failed"]) == (job, 2, None, [])
    assert job in _run("jobs").stdout

    cancelled = _run("jobs", "cancel", job)
    assert (cancelled.exit_code, cancelled.stdout) == (0, f"cancelled {job}\n")
    assert "had ended before: cancelled" in _run("jobs", "cancel", job).stdout
    assert json.loads(_run("jobs", "list", "--json").stdout)[0]["state"] == "cancelled"
    assert _run("jobs", "retry", job).exit_code == 0
    assert _run("jobs", "delete", job).stdout == f"forgot {job}\n"
    gone = _run("jobs", "show", job)
    assert isinstance(gone.exception, NotFound)


def test_command_that_follows_a_job_says_what_it_waits_for_and_ends_with_it() -> None:
    with Trivium() as trivium:
        job = trivium.start_job(_documents(2)).id

        def cancel_once_it_waits() -> None:
            wait_until(lambda: trivium.get_job(job).waiting is not None, "job that waits")
            trivium.delete_job(job)

        cancelling = threading.Thread(target=cancel_once_it_waits)
        cancelling.start()
        followed = _run("jobs", "show", job, "--follow")
        cancelling.join()
    assert (followed.exit_code, followed.stdout) == (0, f"{job} cancelled: 0 of 2 documents have ended, 0 failed\n")
