"""Jobs as callers see them: made, shown, cancelled, retried."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound, TooLarge

from trivium_gateway.ingestion.jobs.database import end_if_over, forget, owner_of
from trivium_gateway.ingestion.jobs.job import Failure, Job, JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.ingestion.jobs.database import JobDatabase
    from trivium_gateway.ingestion.jobs.job import KeptDocument

__all__ = ["JobStore"]


class JobStore:
    """Keeps jobs and their documents.

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

    def check(self, job_id: str) -> None:
        """Refuses a job where there never was one, so that nothing is made on the disk to look for it.

        Raises:
            NotFound: There never was one (JOB_NOT_FOUND).
        """
        if not self.exists:
            raise _not_found(job_id)

    def add(
        self,
        reader: Reader,
        collection: str,
        job_id: str,
        spool: tuple[str, int],
        documents: Sequence[KeptDocument],
        max_documents: int,
        *,
        key_id: str,
    ) -> Job:
        """Adds documents to a job. Of those with one id, the last one counts.

        Args:
            reader: Whose job, and as whom it replaces documents.
            collection: Where they go.
            job_id: The job; empty for a new one.
            spool: The name of the file that has their bytes, and its size.
            documents: The documents.
            max_documents: Most documents of one job.
            key_id: By which key they came: what a new job uses will be that key's.

        Raises:
            NotFound: They have no such job (JOB_NOT_FOUND).
            FailedPrecondition: It was cancelled (JOB_CANCELLED).
            InvalidField: It goes to another collection.
            TooLarge: It would have too many documents (JOB_TOO_LARGE).
        """
        with self._database.changing() as database:
            tenant = reader.tenant
            job_id = job_id or _new_job(database, reader, collection, key_id)
            row = _row(database, reader, job_id)
            if row["cancelled"]:
                raise FailedPrecondition("The job was cancelled. Retry it, or start another.", reason="JOB_CANCELLED")
            if row["collection"] != collection:
                raise InvalidField("collection", f"The job's documents go to the collection {row['collection']!r}.")
            keys = [(job_id, one.key) for one in documents]
            # What is worked on ends first, and is done again behind that.
            database.executemany(
                "UPDATE documents SET state = 'replaced' WHERE job = ? AND key = ? AND state = 'working'", keys
            )
            database.executemany("DELETE FROM documents WHERE job = ? AND key = ? AND state != 'replaced'", keys)
            last = {one.key: one for one in documents}
            database.executemany(
                "INSERT INTO documents (job, id, place, key, fields, is_text, spool, start, size) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job_id,
                        one.id,
                        f"{tenant}/{collection}",
                        key,
                        one.fields,
                        one.is_text,
                        spool[0],
                        one.start,
                        one.size,
                    )
                    for key, one in last.items()
                ],
            )
            [total] = database.execute(
                "SELECT COUNT(*) FROM documents WHERE job = ? AND state != 'replaced'", (job_id,)
            ).fetchone()
            if total > max_documents:
                raise TooLarge(
                    f"The job would have {total} documents; at most {max_documents} are allowed. Start another.",
                    reason="JOB_TOO_LARGE",
                    field="documents",
                )
            database.execute("INSERT INTO spools VALUES (?, ?, ?)", (spool[0], tenant, spool[1]))
            database.execute("UPDATE jobs SET ended = NULL WHERE id = ?", (job_id,))
            end_if_over(database, job_id)
            return _job(database, _row(database, reader, job_id), 0, 0)

    def get(self, reader: Reader, job_id: str, *, failures: int, after: int = 0) -> tuple[Job, int]:
        """Returns a job, with some of its failures.

        Args:
            reader: Whose.
            job_id: Its id.
            failures: Of how many documents at most.
            after: Only of documents with a higher number.

        Returns:
            The job, and the number of the last document whose failure it shows, 0 if there are no more behind it.

        Raises:
            NotFound: They have no such job (JOB_NOT_FOUND).
        """
        with self._database.reading() as database:
            row = _row(database, reader, job_id)
            numbers = database.execute(
                "SELECT number FROM documents WHERE job = ? AND state = 'failed' AND number > ? "
                "ORDER BY number LIMIT ?",
                (job_id, after, failures + 1),
            ).fetchall()
            more = len(numbers) > failures
            return _job(database, row, failures, after), numbers[failures - 1][0] if more else 0

    def page(self, reader: Reader, *, limit: int, before: str, failures: int) -> list[Job]:
        """Lists somebody's jobs, the latest first.

        Args:
            reader: Whose.
            limit: Most of them.
            before: Only those that were made before this one; empty for all.
            failures: Of how many documents of each at most.
        """
        with self._database.reading() as database:
            created = _row(database, reader, before)["created"] if before else time.time() + 1e9
            rows = database.execute(
                f"SELECT * FROM jobs WHERE {_OWN} AND (created, id) < (?, ?) ORDER BY created DESC, id DESC LIMIT ?",
                (*_own(reader), created, before, limit),
            ).fetchall()
            return [_job(database, row, failures, 0) for row in rows]

    def cancel_or_forget(self, reader: Reader, job_id: str) -> tuple[Job, bool, list[str]]:
        """Ends a job that goes on, or forgets one that has ended.

        Returns:
            The job, whether it is forgotten, and files that nobody needs any more.
        """
        with self._database.changing() as database:
            row = _row(database, reader, job_id)
            if row["ended"] is not None:
                return _job(database, row, 0, 0), True, forget(database, [job_id])
            database.execute("UPDATE documents SET state = 'cancelled' WHERE job = ? AND state = 'pending'", (job_id,))
            database.execute(
                "UPDATE jobs SET cancelled = 1, waiting = NULL, ended = ? WHERE id = ?", (time.time(), job_id)
            )
            return _job(database, _row(database, reader, job_id), 0, 0), False, []

    def retry(self, reader: Reader, job_id: str) -> Job:
        """Has the documents of a job that failed, or were cancelled, tried again."""
        with self._database.changing() as database:
            _row(database, reader, job_id)
            database.execute(
                "UPDATE documents SET state = 'pending', failures = '[]', crashes = 0, tries = 0 "
                "WHERE job = ? AND state IN ('failed', 'cancelled')",
                (job_id,),
            )
            database.execute("UPDATE jobs SET cancelled = 0, ended = NULL WHERE id = ?", (job_id,))
            end_if_over(database, job_id)
            return _job(database, _row(database, reader, job_id), 0, 0)

    def make_room(self, tenant: str, max_jobs: int) -> tuple[bool, list[str]]:
        """Forgets the oldest ended jobs of a tenant that has too many.

        Returns:
            Whether one more can be made now, and files that nobody needs any more.
        """
        with self._database.changing() as database:
            [count] = database.execute("SELECT COUNT(*) FROM jobs WHERE tenant = ?", (tenant,)).fetchone()
            rows = database.execute(
                "SELECT id FROM jobs WHERE tenant = ? AND ended IS NOT NULL ORDER BY ended LIMIT ?",
                (tenant, max(0, count - max_jobs + 1)),
            ).fetchall()
            return count - len(rows) < max_jobs, forget(database, [job_id for [job_id] in rows])

    def bytes_kept(self, tenant: str) -> tuple[int, int]:
        """How many bytes are kept of the tenant's documents, and of all."""
        with self._database.reading() as database:
            [all_of_them] = database.execute("SELECT COALESCE(SUM(size), 0) FROM spools").fetchone()
            [own] = database.execute("SELECT COALESCE(SUM(size), 0) FROM spools WHERE tenant = ?", (tenant,)).fetchone()
            return own, all_of_them


_OWN = "tenant = ? AND (? = '' OR owner = ?)"


def _new_job(database: sqlite3.Connection, reader: Reader, collection: str, key_id: str) -> str:
    job_id = uuid.uuid4().hex[:16]
    database.execute(
        "INSERT INTO jobs (id, tenant, collection, kind, created, owner, key_id) VALUES (?, ?, ?, 'ingest', ?, ?, ?)",
        (job_id, reader.tenant, collection, time.time(), owner_of(reader), key_id),
    )
    return job_id


def _row(database: sqlite3.Connection, reader: Reader, job_id: str) -> sqlite3.Row:
    printable = job_id.encode(errors="replace").decode()
    row: sqlite3.Row | None = database.execute(
        f"SELECT * FROM jobs WHERE id = ? AND {_OWN}", (printable, *_own(reader))
    ).fetchone()
    if row is None:
        raise _not_found(job_id)
    return row


def _own(reader: Reader) -> tuple[str, str, str]:
    owner = owner_of(reader)
    return reader.tenant, owner, owner


def _not_found(job_id: str) -> NotFound:
    return NotFound(
        f"There is no job {job_id!r} here. Ended ones are forgotten after a week, and of several gateways only the one "
        "that took a job knows it.",
        reason="JOB_NOT_FOUND",
    )


def _job(database: sqlite3.Connection, row: sqlite3.Row, failures: int, after: int) -> Job:
    counts = dict(
        database.execute("SELECT state, COUNT(*) FROM documents WHERE job = ? GROUP BY state", (row["id"],)).fetchall()
    )
    counts.pop("replaced", 0)
    failed = counts.get("failed", 0)
    shown = database.execute(
        "SELECT failures FROM documents WHERE job = ? AND state = 'failed' AND number > ? ORDER BY number LIMIT ?",
        (row["id"], after, failures),
    ).fetchall()
    return Job(
        id=row["id"],
        kind=row["kind"],
        collection=row["collection"],
        state=_state(row, failed),
        done_count=counts.get("done", 0) + failed,
        total_count=sum(counts.values()),
        failed_count=failed,
        failures=tuple(Failure(**one) for [kept] in shown for one in json.loads(kept)),
        waiting=Failure(**json.loads(row["waiting"])) if row["waiting"] else None,
        created_at=row["created"],
        started_at=row["started"],
        ended_at=row["ended"],
    )


def _state(row: sqlite3.Row, failed: int) -> JobState:
    if row["cancelled"]:
        return JobState.CANCELLED
    if row["ended"] is not None:
        return JobState.FAILED if failed else JobState.DONE
    return JobState.QUEUED if row["started"] is None else JobState.RUNNING
