"""`trivium sync` against the real stack: what is stored equals the folder, also after breaking off anywhere."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from e2e.stack import wait_until
from trivium_client import Document, NotFound, Trivium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.stack import Stack

TRIVIUM = (sys.executable, "-m", "trivium_client.cli.app")
OLD = 1_700_000_000


@pytest.fixture(autouse=True)
def heeded_interrupts() -> Iterator[None]:
    """Programs end by Ctrl-C as from a terminal; what a shell starts in the background inherits to ignore it.

    Set here and not between fork and exec, where gRPC's handlers of this process may end the other.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Command:
    """`trivium sync` of one folder into one collection."""

    def __init__(self, gateway: str, folder: Path, data_dir: Path, collection: str) -> None:
        self.environment = os.environ | {"TRIVIUM_GATEWAY": gateway, "TRIVIUM_DATA_DIR": str(data_dir)}
        self.folder = folder
        self.collection = collection

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*TRIVIUM, "sync", str(self.folder), "--collection", self.collection, *arguments]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, Any, str]:
        """The exit status, what was printed as JSON, and what was said."""
        with self.start("--json", *arguments) as process:
            out, err = process.communicate()
        return process.returncode, json.loads(out) if out else None, err

    def write(self, key: str, text: str) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (OLD, OLD))

    def files(self) -> dict[str, str]:
        return {path.as_posix(): path.read_text() for path in self.folder.rglob("*.md")}


@pytest.fixture
def trivium(stack: Stack) -> Iterator[Trivium]:
    with Trivium(f"127.0.0.1:{stack.grpc_port}") as client:
        yield client


@pytest.fixture
def command(trivium: Trivium, tmp_path: Path, request: pytest.FixtureRequest) -> Command:
    name = request.node.name.replace("test_", "")[:40]
    trivium.create_collection(name)
    (tmp_path / "docs").mkdir()
    return Command(trivium.address, tmp_path / "docs", tmp_path / "data", name)


def stored(trivium: Trivium, command: Command) -> dict[str, Document]:
    listed = list(trivium.list_documents(collection=command.collection))
    assert len({one.uri for one in listed}) == len(listed)  # no document twice
    return {one.uri: trivium.get_document(one.id, collection=command.collection) for one in listed}


def assert_equal(trivium: Trivium, command: Command) -> None:
    assert {uri: one.text for uri, one in stored(trivium, command).items()} == command.files()


def test_sync_follows_the_folder(trivium: Trivium, command: Command) -> None:
    for number in range(6):
        command.write(f"{number}.md", f"Pump {number} is blue.\n")
    status, report, err = command.run()
    assert (status, report["new"]) == (0, 6), err
    assert_equal(trivium, command)

    command.write("0.md", "Pump 0 is red now.\n")
    command.write("sub/6.md", "Pump 6 is new.\n")
    (command.folder / "1.md").rename(command.folder / "sub" / "one.md")
    (command.folder / "2.md").unlink()
    status, planned, _ = command.run("--dry-run")
    assert {one["change"] for one in planned["send"]} == {"changed", "new", "moved"}
    assert {one["id"] for one in planned["delete"]} == {"1.md", "2.md"}
    status, report, err = command.run()
    counts = {name: count for name, count in report.items() if isinstance(count, int) and count}
    assert (status, counts) == (0, {"new": 1, "changed": 1, "moved": 1, "deleted": 1, "unchanged": 3}), err
    assert_equal(trivium, command)

    status, report, _ = command.run()
    assert (status, report["unchanged"], report["new"] + report["changed"]) == (0, 6, 0)


def test_sync_of_an_empty_folder_deletes_only_when_told(trivium: Trivium, command: Command) -> None:
    command.write("a.md", "A.\n")
    assert command.run()[0] == 0
    (command.folder / "a.md").unlink()

    status, _, err = command.run()

    assert status == 1, err
    assert "--delete" in err
    assert len(stored(trivium, command)) == 1
    assert command.run("--keep")[1]["kept"] == 1
    assert command.run("--delete")[1]["deleted"] == 1
    assert stored(trivium, command) == {}


def test_sync_and_ingest_and_a_file_alone_make_one_document(trivium: Trivium, command: Command) -> None:
    command.write("sub/a.md", "A.\n")
    alone = [*TRIVIUM, "ingest", str(command.folder / "sub" / "a.md"), "--collection", command.collection]
    subprocess.run(alone, env=command.environment, check=True)
    status, report, _ = command.run()
    assert (status, report["unchanged"]) == (0, 1)
    subprocess.run([*alone[:-3], str(command.folder), *alone[-2:]], env=command.environment, check=True)
    assert [one.id for one in stored(trivium, command).values()] == ["a.md"]


def test_sync_that_watches_follows_until_it_is_interrupted(trivium: Trivium, command: Command) -> None:
    def texts() -> dict[str, str | None]:
        try:
            return {uri: one.text for uri, one in stored(trivium, command).items()}
        except NotFound:  # deleted since it was listed
            return {}

    command.write("a.md", "A.\n")
    process = command.start("--watch", "--interval", "0.2")
    try:
        wait_until(lambda: texts() == command.files(), "the first file is stored")
        command.write("b.md", "B.\n")
        (command.folder / "a.md").write_text("A, changed.\n")
        wait_until(lambda: texts() == command.files(), "the changes are stored")
        command.folder.rename(command.folder.with_name("away"))  # as a network drive that is gone for a while
        command.folder.with_name("away").rename(command.folder)
        (command.folder / "b.md").unlink()
        wait_until(lambda: texts() == command.files(), "the deletion is followed")
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run it again to go on" in err


def test_sync_that_is_strict_changes_nothing_where_it_would_pass_over_files(trivium: Trivium, command: Command) -> None:
    command.write("a.md", "A.\n")
    command.write("b.xyz", "B.\n")

    status, _, err = command.run("--strict")

    assert status == 1
    assert "1 .xyz" in err
    assert stored(trivium, command) == {}


def test_file_that_fails_is_named_and_keeps_what_is_stored(trivium: Trivium, command: Command) -> None:
    command.write("a.md", "A.\n")
    command.write("b.md", "B.\n")
    assert command.run()[0] == 0
    (command.folder / "a.md").write_bytes(b"\x00" * 100)

    status, report, err = command.run("--metadata", "team=service")

    assert (status, report["failed"], report["changed"]) == (1, 1, 1)
    assert "a.md: " in err
    documents = {one.id: one for one in stored(trivium, command).values()}
    assert documents["a.md"].text == "A.\n"
    assert documents["b.md"].metadata == {"team": "service"}


def test_sync_that_is_killed_at_any_moment_is_made_good_by_the_next(trivium: Trivium, command: Command) -> None:
    choose = random.Random(7)
    for number in range(60):
        command.write(f"{number}.md", f"Pump {number} is blue. " * 30)
    for attempt in range(4):
        process = command.start()
        killer = threading.Timer(choose.uniform(1.0, 4.0), process.kill)
        killer.start()
        process.communicate()
        killer.cancel()
        command.write(f"{attempt}.md", f"Changed in attempt {attempt}.")
        (command.folder / f"{50 + attempt}.md").rename(command.folder / f"moved-{attempt}.md")
    one, other = command.start(), command.start()  # twice at once
    for process in (one, other):
        _, err = process.communicate()
        assert process.returncode == 0, err

    assert_equal(trivium, command)
