"""A disk that is full, and files that are damaged: what is whole is served, what is not is named."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from chaos.witness import list_documents
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from e2e.stack import Stack

_PARTS = ("qdrant_edge", "embed", "gateway")
_DISK_MIB = 160


@pytest.fixture
def small_disk(make_stack: Callable[[], Stack]) -> Iterator[Stack]:
    """A stack whose data are on a file system with little room."""
    stack = make_stack()
    folder = stack.folder / "data"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield stack
    stack.end()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _wait_for_search(stack: Stack) -> None:
    wait_until(lambda: stack.stages().get("search", False) and stack.stages().get("embed", False), "search", 120)


def _reason_of_refusal(stack: Stack, documents: list[dict[str, object]], acknowledged: set[str]) -> str:
    """Writes documents, and returns why they were refused, if they were."""
    response = stack.http.post("/v1/documents", json={"documents": documents})
    if response.status_code != 200:
        return str(response.json()["error"]["reason"])
    reason = ""
    for result in response.json()["documents"]:
        if result["status"] == "failed":
            reason = result["error"]["reason"]
        else:
            acknowledged.add(result["id"])
    return reason


@pytest.mark.timeout(600)
def test_full_disk_refuses_writes_and_serves_everything_else(small_disk: Stack, seen: Callable[[str], None]) -> None:
    stack = small_disk
    stack.start(*_PARTS)
    _wait_for_search(stack)
    acknowledged: set[str] = set()
    reason = ""
    for call in range(400):
        pad = random.randbytes(6000).hex()  # nothing that could be packed
        documents: list[dict[str, object]] = [
            {"id": f"f{call}-{part}", "text": f"Ferry {call} has number {part}.", "metadata": {"pad": pad}}
            for part in range(50)
        ]
        if reason := _reason_of_refusal(stack, documents, acknowledged):
            break
    assert reason == "STORAGE_FULL", reason
    stored = set(list_documents(stack, "default"))
    assert acknowledged <= stored

    for _ in range(2):  # as it is, and after a kill
        found = stack.http.post("/v1/retrieve", json={"query": "Which number has ferry 3?", "rerank": False})
        assert found.status_code == 200
        assert found.json()["passages"]
        stack.end("qdrant_edge")
        stack.start("qdrant_edge")
        wait_until(lambda: stack.http.get("/v1/documents").status_code == 200, "list of documents", 60)
        assert acknowledged <= set(list_documents(stack, "default"))

    gone = sorted(acknowledged)[:5]
    for document in gone:
        assert stack.http.delete(f"/v1/documents/{document}").status_code == 200
    assert not set(gone) & set(list_documents(stack, "default"))
    assert stack.http.delete("/v1/collections/default").status_code == 200
    wait_until(
        lambda: not _reason_of_refusal(stack, [{"id": "new", "text": "There is room again."}], set()), "room", 60
    )
    seen(f"{len(acknowledged)} documents until {reason}; none lost, read and deleted on the full disk, writable after")


@pytest.mark.timeout(600)
def test_full_disk_keeps_a_job_waiting_and_refuses_another_until_there_is_room(
    small_disk: Stack, seen: Callable[[str], None]
) -> None:
    stack = small_disk
    stack.start("qdrant_edge", "gateway")
    wait_until(lambda: stack.stages().get("search", False), "search", 120)
    documents = [{"id": f"f{number}", "text": f"Ferry {number} is late."} for number in range(30)]
    body = {"documents": documents, "wait": False}
    job = stack.http.post("/v1/documents", json=body).json()["job"]
    filler = stack.folder / "data" / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    stack.start("embed")
    wait_until(lambda: stack.stages().get("embed", False), "embed", 120)

    refused = stack.http.post("/v1/documents", json=body)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (503, "STORAGE_FULL")
    shown = stack.http.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["total"]) in {("queued", 30), ("running", 30)}
    filler.unlink()
    wait_until(lambda: stack.http.get(f"/v1/jobs/{job}").json()["state"] == "done", "end of the job", 120)
    assert sorted(list_documents(stack, "default")) == sorted(one["id"] for one in documents)
    wait_until(lambda: stack.http.post("/v1/documents", json=body).status_code == 202, "room for another job", 60)
    seen(f"a job of {len(documents)} documents waited while the disk was full, and another was refused")


@pytest.mark.timeout(600)
def test_damage_to_one_collection_leaves_the_others_and_is_named(
    make_stack: Callable[[], Stack], seen: Callable[[str], None]
) -> None:
    stack = make_stack()
    stack.start(*_PARTS)
    _wait_for_search(stack)
    for name in ("whole", "broken"):
        stack.http.post("/v1/collections", json={"name": name}).raise_for_status()
        stack.ingest(*({"id": f"d{n}", "text": f"Ferry {n} of {name}."} for n in range(20)), collection=name)
    stack.end(*_PARTS)
    folder = stack.folder / "data" / "qdrant"
    broken = _folder_of("broken", folder)
    harms = {"bytes turned over": _turn_over, "cut short": _cut_short, "a file gone": _remove_one}
    for what, harm in harms.items():
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept)
        harm(broken)
        stack.start(*_PARTS)
        wait_until(lambda: stack.stages().get("embed", False), "gateway", 120)

        def ask(name: str) -> tuple[int, int]:
            query = {"query": "Which ferry?", "collection": name, "rerank": False}
            response = stack.http.post("/v1/retrieve", json=query)
            return response.status_code, len(response.json().get("passages", []))

        wait_until(lambda: ask("whole") == (200, 5), "answer from the whole collection", 60)
        status, count = ask("broken")
        seen(f"{what}: the whole collection answers, the broken one is refused with {status}")
        assert (status, count) == (409, 0), f"{what}: {status} with {count} passages"
        stack.end(*_PARTS)
        shutil.rmtree(folder)
        kept.rename(folder)


def _folder_of(name: str, qdrant: Path) -> Path:
    """The folder of a collection's data: the one whose files say its documents."""
    mark = f"of {name}.".encode()
    for folder in (qdrant / "collections").iterdir():
        if any(mark in path.read_bytes() for path in folder.rglob("*") if path.is_file()):
            return folder
    raise AssertionError(f"no folder has {name}")


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.is_file() and path.stat().st_size), key=str)


def _turn_over(folder: Path) -> None:
    for path in _files(folder):
        if path.suffix != ".json":
            content = bytearray(path.read_bytes())
            middle = len(content) // 2
            content[middle : middle + 16] = bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
            path.write_bytes(content)


def _cut_short(folder: Path) -> None:
    for path in _files(folder):
        os.truncate(path, path.stat().st_size // 2)


def _remove_one(folder: Path) -> None:
    max(_files(folder), key=lambda path: path.stat().st_size).unlink()
