"""What a gateway keeps by itself outlives the form that earlier versions kept it in."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from trivium_gateway.access.records import FileRecords

if TYPE_CHECKING:
    from pathlib import Path


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
    assert await records.count("other") == 0
    await records.remove("acme", "r1 ann")
    assert await FileRecords(path, "Not now.").count("acme") == 0
