"""What a job is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Failure", "Job", "JobState", "KeptDocument", "Outcome"]


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    """Nothing of it was begun."""
    RUNNING = "running"
    """It goes on; `Job.waiting` says if something keeps it."""
    DONE = "done"
    """Every document is in."""
    FAILED = "failed"
    """Every document was tried, and some are not in. It can be retried."""
    CANCELLED = "cancelled"
    """Somebody ended it. It can be retried, which takes up what is left."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something is not in, or not yet.

    Attributes:
        id: The document's id; empty if it is about all.
        reason: As of an error.
        message: What is wrong, and what to do about it.
    """

    id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is shown.

    Attributes:
        id: Its id.
        kind: What it does; `ingest`.
        collection: Where its documents go.
        state: How far it is.
        done_count: Documents that have ended, those that failed among them.
        total_count: All documents, each counted once.
        failed_count: Documents that failed.
        failures: Why, in the order in which they came; some of them.
        waiting: What keeps it from going on now, if anything does.
        created_at: When it was made, in seconds since 1970.
        started_at: When it was begun.
        ended_at: When it ended.
    """

    id: str
    kind: str
    collection: str
    state: JobState
    done_count: int
    total_count: int
    failed_count: int
    failures: tuple[Failure, ...]
    waiting: Failure | None
    created_at: float
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A document of a job, as it is kept until it is in.

    Attributes:
        id: Its id, as far as it can be printed.
        key: The same for all documents of one id, and for no others.
        fields: What was said about it, as JSON.
        is_text: Whether its bytes are a text in UTF-8; else they are a file.
        start: Where its bytes begin in the file that has them.
        size: How many they are.
    """

    id: str
    key: str
    fields: str
    is_text: bool
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a document of a job.

    Attributes:
        number: The document's number.
        failures: Why it failed, or parts of it did; empty if it is in.
        waits: Whether it is not its own fault, so that it is to be tried again.
    """

    number: int
    failures: Sequence[Failure] = ()
    waits: bool = False
