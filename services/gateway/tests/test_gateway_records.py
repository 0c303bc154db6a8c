"""What a gateway keeps by itself outlives the form that earlier versions kept it in."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.access.records import FileRecords
from trivium_serving.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 256 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


async def test_records_on_a_full_disk_are_refused_for_want_of_room_and_read(small_disk: Path) -> None:
    records = FileRecords(small_disk / "keys.sqlite", "Not now.")
    await records.put("", "a", {"id": "a"})
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass

    with pytest.raises(StorageFull, match="no room"):
        await records.put("", "b", {"pad": random.randbytes(8192).hex()})
    assert await records.all("") == [{"id": "a"}]

    filler.unlink()
    await records.put("", "b", {"id": "b"})
    assert (await records.size(""))[0] == 2


async def test_keys_that_an_earlier_version_kept_are_records(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE keys (id TEXT PRIMARY KEY, key TEXT NOT NULL)")
        database.executemany("INSERT INTO keys VALUES (?, ?)", [(one, json.dumps({"id": one})) for one in ("a", "b")])

    records = FileRecords(path, "Not now.")
    await records.put("", "a", {"id": "a", "name": "newer"})
    await records.remove("", "b")

    assert await FileRecords(path, "Not now.").all("") == [{"id": "a", "name": "newer"}]


async def test_feedback_that_an_earlier_version_kept_is_records_of_its_tenant(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE feedback (tenant TEXT, request_id TEXT, user TEXT, feedback TEXT NOT NULL)")
        database.execute("INSERT INTO feedback VALUES ('acme', 'r1', 'ann', ?)", (json.dumps({"rating": 1}),))

    records = FileRecords(path, "Not now.")

    assert await records.all("acme") == [{"rating": 1}]
    assert await records.size("other") == (0, 0)
    await records.remove("acme", "r1 ann")
    assert await FileRecords(path, "Not now.").size("acme") == (0, 0)
