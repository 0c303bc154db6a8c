"""Jobs as their runner sees them: documents that are taken, and what became of them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trivium_gateway.ingestion.jobs.database import OPEN, end_if_over, forget, reader_of, remove_unneeded
from trivium_gateway.ingestion.jobs.job import Failure, KeptDocument

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.ingestion.jobs.database import JobDatabase
    from trivium_gateway.ingestion.jobs.job import Outcome

__all__ = ["Batch", "JobQueue", "Load"]

_BATCH_DOCUMENTS = 64
_BATCH_BYTES = 1024 * 1024
_MOST_CRASHES = 5
"""A document whose work broke off so often is not tried again by itself."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of one job, that whoever took them works on.

    Attributes:
        job: The job's id.
        reader: Whose it is, and as whom it replaces documents.
        key_id: By which key it was started; empty where none was needed.
        collection: Where they go.
        documents: Each with its number and the name of the file that has its bytes.
    """

    job: str
    reader: Reader
    key_id: str
    collection: str
    documents: Sequence[tuple[int, str, KeptDocument]]


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is.

    Attributes:
        queued: Jobs that nothing was begun of.
        running: Jobs that go on.
        waiting: Those of them that something keeps.
        pending_documents: Documents that have not ended.
        bytes: What is kept of them, and of those that failed.
    """

    queued: int
    running: int
    waiting: int
    pending_documents: int
    bytes: int


class JobQueue:
    """The documents that are to be worked on.

    Every method blocks, and raises StorageFull if the disk has no room for a change, and Unavailable if the database
    cannot be used.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    @property
    def exists(self) -> bool:
        """Whether there ever was a job."""
        return self._database.exists

    def take(self, resting: Collection[str]) -> Batch | None:
        """Takes some documents of the tenant that was served longest ago, if there is any, and of its jobs of that one.

        Of two documents of one id, the one that came first ends first, whichever jobs they are in. One in whose work
        the gateway ended before is taken alone.

        Args:
            resting: Jobs to leave out.
        """
        with self._database.changing() as database:
            jobs = database.execute(
                "SELECT * FROM jobs JOIN (SELECT tenant, MAX(served) AS tenant_served FROM jobs GROUP BY tenant) "
                "USING (tenant) WHERE ended IS NULL AND cancelled = 0 ORDER BY tenant_served, served, created"
            ).fetchall()
            for job in jobs:
                if job["id"] in resting:
                    continue
                rows = database.execute(
                    "SELECT * FROM documents d WHERE job = ? AND state = 'pending' AND NOT EXISTS ("
                    "SELECT 1 FROM documents e WHERE e.key = d.key AND e.place = d.place AND e.number < d.number "
                    f"AND e.state IN {OPEN}) ORDER BY tries, number LIMIT ?",
                    (job["id"], _BATCH_DOCUMENTS),
                ).fetchall()
                if rows:
                    chosen = _together(rows)
                    now = time.time()
                    database.executemany(
                        "UPDATE documents SET state = 'working', tries = tries + 1 WHERE number = ?",
                        [(row["number"],) for row in chosen],
                    )
                    database.execute(
                        "UPDATE jobs SET served = ?, started = COALESCE(started, ?) WHERE id = ?", (now, now, job["id"])
                    )
                    documents = [(row["number"], row["spool"], _kept(row)) for row in chosen]
                    reader = reader_of(job["tenant"], job["owner"])
                    return Batch(job["id"], reader, job["key_id"], job["collection"], documents)
        return None

    def settle(self, job_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Notes what became of documents that were taken.

        Returns:
            Files that nobody needs any more.
        """
        with self._database.changing() as database:
            waits = [one for one in outcomes if one.waits]
            [cancelled] = database.execute("SELECT MAX(cancelled) FROM jobs WHERE id = ?", (job_id,)).fetchone()
            for one in outcomes:
                state = "failed" if one.failures else "done"
                if one.waits:
                    state = "cancelled" if cancelled else "pending"
                failures = json.dumps([] if one.waits else [asdict(failure) for failure in one.failures])
                database.execute("DELETE FROM documents WHERE number = ? AND state = 'replaced'", (one.number,))
                database.execute(
                    "UPDATE documents SET state = ?, failures = ? WHERE number = ? AND state = 'working'",
                    (state, failures, one.number),
                )
            waiting = json.dumps(asdict(waits[0].failures[0])) if waits and not cancelled else None
            database.execute("UPDATE jobs SET waiting = ? WHERE id = ?", (waiting, job_id))
            end_if_over(database, job_id)
            return remove_unneeded(database)

    def put_back(self) -> None:
        """Gives back what was taken and is not settled, as if it had not been."""
        with self._database.changing() as database:
            _put_back(database)

    def recover(self) -> None:
        """Gives back what a process that has died had taken."""
        failure = Failure(
            "",
            "DOCUMENT_CRASHES",
            f"The gateway ended {_MOST_CRASHES} times while it worked on this document. Retry the job if something "
            "else was the cause.",
        )
        with self._database.changing() as database:
            database.execute("UPDATE documents SET crashes = crashes + 1 WHERE state = 'working'")
            for number, document_id in database.execute(
                "SELECT number, id FROM documents WHERE state = 'working' AND crashes >= ?", (_MOST_CRASHES,)
            ).fetchall():
                failed = json.dumps([{**asdict(failure), "id": document_id}])
                database.execute(
                    "UPDATE documents SET state = 'failed', failures = ? WHERE number = ?", (failed, number)
                )
            _put_back(database)
            for [job_id] in database.execute("SELECT id FROM jobs WHERE ended IS NULL").fetchall():
                end_if_over(database, job_id)

    def tidy(self, keep_seconds: float) -> tuple[list[str], set[str]]:
        """Forgets jobs that ended long ago.

        Returns:
            Files that nobody needs any more, and all that somebody does.
        """
        with self._database.changing() as database:
            rows = database.execute("SELECT id FROM jobs WHERE ended < ?", (time.time() - keep_seconds,)).fetchall()
            gone = forget(database, [job_id for [job_id] in rows])
            return gone, {name for [name] in database.execute("SELECT name FROM spools")}

    def load(self) -> Load:
        """How much there is."""
        with self._database.reading() as database:
            [queued, running, waiting] = database.execute(
                "SELECT COUNT(*) FILTER (WHERE started IS NULL), COUNT(*) FILTER (WHERE started IS NOT NULL), "
                "COUNT(waiting) FROM jobs WHERE ended IS NULL"
            ).fetchone()
            [pending] = database.execute(
                f"SELECT COUNT(*) FROM jobs j, documents d WHERE j.ended IS NULL AND d.job = j.id AND d.state IN {OPEN}"
            ).fetchone()
            [size] = database.execute("SELECT COALESCE(SUM(size), 0) FROM spools").fetchone()
            return Load(queued, running, waiting, pending, size)


def _put_back(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM documents WHERE state = 'replaced'")
    database.execute(
        "UPDATE documents SET state = CASE WHEN (SELECT cancelled FROM jobs WHERE id = job) THEN 'cancelled' "
        "ELSE 'pending' END WHERE state = 'working'"
    )


def _together(rows: Sequence[sqlite3.Row]) -> list[sqlite3.Row]:
    """The first of some documents that are worked on together: as large as does some good, and no two of one id."""
    if rows[0]["crashes"]:
        return [rows[0]]
    chosen: list[sqlite3.Row] = []
    size = 0
    for row in rows:
        if chosen and (size + row["size"] > _BATCH_BYTES or row["crashes"]):
            break
        chosen.append(row)
        size += row["size"]
    return chosen


def _kept(row: Any) -> KeptDocument:
    return KeptDocument(
        id=row["id"],
        key=row["key"],
        fields=row["fields"],
        is_text=bool(row["is_text"]),
        start=row["start"],
        size=row["size"],
    )
