"""The database of jobs, one of SQLite in the data folder, and what both sides of it share."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trivium_gateway.access.private_files import open_private
from trivium_gateway.domain.readers import Reader
from trivium_gateway.ingestion.jobs.spool import unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["OPEN", "JobDatabase", "end_if_over", "forget", "owner_of", "reader_of", "remove_unneeded"]

_BUSY_SECONDS = 5.0

OPEN = "('pending', 'working', 'replaced')"
"""States of documents that have not ended: `replaced` is worked on, and has come again; it counts no more. The others
are done, failed and cancelled."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, collection TEXT NOT NULL, kind TEXT NOT NULL, created REAL NOT NULL,
    started REAL, ended REAL, cancelled INTEGER NOT NULL DEFAULT 0, waiting TEXT, served REAL NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '', key_id TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS jobs_of_tenant ON jobs (tenant, created);
CREATE TABLE IF NOT EXISTS spools (name TEXT PRIMARY KEY, tenant TEXT NOT NULL, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, id TEXT NOT NULL, place TEXT NOT NULL,
    key TEXT NOT NULL, fields TEXT NOT NULL, is_text INTEGER NOT NULL, spool TEXT NOT NULL, start INTEGER NOT NULL,
    size INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending', failures TEXT NOT NULL DEFAULT '[]',
    tries INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS documents_of_job ON documents (job, state, number);
CREATE INDEX IF NOT EXISTS documents_of_id ON documents (key, place);
CREATE INDEX IF NOT EXISTS documents_of_spool ON documents (spool, state);
"""
_ADDED = ("owner", "key_id")
"""Columns of jobs that an earlier version of Trivium did not make."""


class JobDatabase:
    """A database that several processes may open. What it has said to be kept survives a crash. It blocks.

    Args:
        path: Its file. The folder is made, and both are for the owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether there ever was a job."""
        return self._path.exists()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Changes all that the block changes, or nothing.

        Raises:
            StorageFull: The disk has no room.
            Unavailable: The file cannot be used.
        """
        with self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has done so itself, where the disk is full
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lets the block read.

        Raises:
            Unavailable: The file cannot be used.
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except (OSError, sqlite3.Error) as error:
                raise unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        with suppress(FileExistsError):  # opened by anybody but SQLite, it would lose SQLite's locks
            os.close(open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            database.row_factory = sqlite3.Row
            database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_SCHEMA}")
            for name in set(_ADDED) - {row["name"] for row in database.execute("PRAGMA table_info(jobs)")}:
                database.execute(f"ALTER TABLE jobs ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
        except BaseException:
            database.close()
            raise
        return database


def owner_of(reader: Reader) -> str:
    """Write down whose jobs somebody's are; nothing for those who see all of their tenant."""
    return "" if reader.names is None else json.dumps(sorted(reader.names))


def reader_of(tenant: str, owner: str) -> Reader:
    """Say whose documents are replaced by a job, by what `owner_of` has written down."""
    return Reader(tenant, frozenset(json.loads(owner)) if owner else None)


def end_if_over(database: sqlite3.Connection, job_id: str) -> None:
    """Notes that a job has ended, if it has."""
    database.execute(
        "UPDATE jobs SET ended = ?, waiting = NULL WHERE id = ? AND ended IS NULL AND NOT EXISTS "
        f"(SELECT 1 FROM documents WHERE job = jobs.id AND state IN {OPEN})",
        (time.time(), job_id),
    )


def forget(database: sqlite3.Connection, job_ids: Sequence[str]) -> list[str]:
    """Forgets jobs, and returns the files that nobody needs any more."""
    for job_id in job_ids:
        database.execute("DELETE FROM documents WHERE job = ?", (job_id,))
        database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
    return remove_unneeded(database) if job_ids else []


def remove_unneeded(database: sqlite3.Connection) -> list[str]:
    """Forgets files all of whose documents are in, or gone, and returns their names."""
    rows = database.execute(
        "DELETE FROM spools WHERE NOT EXISTS "
        "(SELECT 1 FROM documents WHERE spool = spools.name AND state != 'done') RETURNING name"
    ).fetchall()
    return [name for [name] in rows]
