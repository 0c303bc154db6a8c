"""Jobs by the `trivium` command on a terminal, on the real stack: from the files to the end of the bar."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from e2e.stack import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.stack import Stack

TRIVIUM = (sys.executable, "-m", "trivium_client.cli.app")


class OnTerminal:
    """The command on a terminal of its own, whose whole output is kept."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        ours, theirs = os.openpty()
        environment = os.environ | {"TRIVIUM_GATEWAY": f"127.0.0.1:{stack.grpc_port}", "COLUMNS": "120"}
        self._process = subprocess.Popen(
            [*TRIVIUM, *arguments], env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True
        )
        os.close(theirs)
        self._terminal = ours
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def seen(self) -> str:
        """What the terminal showed so far."""
        return self._seen.decode(errors="replace")

    def end(self) -> tuple[int, str]:
        """Waits for the end, and gives the exit status and what was printed."""
        printed, _ = self._process.communicate(timeout=240)
        self._reader.join(60)
        return self._process.returncode, printed

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()
        self.end()

    def _read(self) -> None:
        try:
            while piece := os.read(self._terminal, 65536):
                self._seen += piece
        except OSError:
            pass  # the other side is closed
        finally:
            os.close(self._terminal)


def _folder(path: Path, count: int, paragraphs: int = 1) -> Path:
    path.mkdir()
    for number in range(count):
        text = "\n\n".join(f"Crane {number} lifts {number} tonnes in hall {hall}." for hall in range(paragraphs))
        (path / f"crane-{number}.txt").write_text(text)
    return path


def _ids(stack: Stack, prefix: str) -> set[str]:
    listed: list[dict[str, Any]] = stack.http.get("/v1/documents", params={"page_size": 1000}).json()["documents"]
    return {one["id"] for one in listed if one["id"].startswith(prefix)}


@pytest.mark.timeout(300)
def test_job_of_a_folder_is_followed_by_a_bar_to_its_end_and_what_failed_is_named(
    own_stack: Stack, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "cranes", 70)
    (folder / "blank.txt").write_text(" ")

    sending = OnTerminal(own_stack, "ingest", "--no-wait", str(folder))
    status, job = sending.end()
    assert (status, len(job.split())) == (0, 1)
    assert "71/71" in sending.seen
    following = OnTerminal(own_stack, "jobs", "show", job.strip(), "--follow")
    status, printed = following.end()

    assert status == 1
    assert printed == f"{job.strip()} failed: 71 of 71 documents have ended, 1 failed\n"
    assert "71/71" in following.seen
    assert "blank.txt: The document has no text" in following.seen
    assert _ids(own_stack, "crane-") == {f"crane-{number}.txt" for number in range(70)}


@pytest.mark.timeout(600)
def test_job_that_is_followed_goes_on_while_its_followers_and_its_gateway_are_killed(
    own_stack: Stack, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "hoists", 60, paragraphs=20)
    _, job = OnTerminal(own_stack, "ingest", "--no-wait", str(folder)).end()
    gone = OnTerminal(own_stack, "jobs", "show", job.strip(), "--follow")
    following = OnTerminal(own_stack, "jobs", "show", job.strip(), "--follow")
    wait_until(lambda: "/60" in gone.seen and "/60" in following.seen, "bars", 240)

    gone.kill()
    own_stack.end("gateway")
    own_stack.start("gateway")
    status, printed = following.end()

    assert (status, printed) == (0, f"{job.strip()} done: 60 of 60 documents have ended, 0 failed\n")
    assert "60/60" in following.seen
    documents = own_stack.http.get("/v1/documents/crane-59.txt").json()
    assert documents["text"].endswith("Crane 59 lifts 59 tonnes in hall 19.")
