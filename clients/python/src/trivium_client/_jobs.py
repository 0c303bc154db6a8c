"""Jobs: ingestions that the gateway does by itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from trivium.gateway.v1 import job_service_pb2 as pb

from trivium_client._batches import Batches
from trivium_client._documents import DocumentError, NewDocument
from trivium_client._errors import InvalidRequest

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
"""Nothing was begun; goes on; everything is in; all were tried and some are not in; somebody cancelled it."""

POLL_SECONDS = 0.5
"""How often to look how far a job is."""

_STATES: dict[int, JobState] = {
    pb.JOB_STATE_QUEUED: "queued",
    pb.JOB_STATE_RUNNING: "running",
    pb.JOB_STATE_DONE: "done",
    pb.JOB_STATE_FAILED: "failed",
    pb.JOB_STATE_CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A document that is not in, or a file in it.

    Attributes:
        id: Its id.
        error: Why.
    """

    id: str
    error: DocumentError


@dataclass(frozen=True, slots=True)
class Job:
    """An ingestion that the gateway does by itself.

    Attributes:
        id: Its id.
        kind: What it does: ingest.
        collection: Where its documents go.
        state: How far it is.
        done: Documents that have ended, those that failed among them.
        total: All documents; one that came twice counts once.
        failed: What failed: all of it from `get_job`, some of it in lists, none where a job was just changed.
        failed_count: Documents that failed.
        waiting: What keeps it from going on now; None if nothing does.
        created: When it was made, in UTC.
        started: When it was begun; None before.
        ended: When it ended; None before.
    """

    id: str
    kind: str
    collection: str
    state: JobState
    done: int
    total: int
    failed: tuple[JobFailure, ...]
    failed_count: int
    waiting: DocumentError | None
    created: datetime
    started: datetime | None
    ended: datetime | None


def job_from(message: pb.Job, failures: Iterable[pb.JobFailure] | None = None) -> Job:
    """Reads a message, with failures of other pages, too."""
    shown = message.failures if failures is None else failures
    return Job(
        id=message.id,
        kind=message.kind,
        collection=message.collection,
        state=_STATES.get(message.state, "running"),
        done=message.done_count,
        total=message.total_count,
        failed=tuple(JobFailure(one.id, DocumentError(one.error.reason, one.error.message)) for one in shown),
        failed_count=message.failed_count,
        waiting=DocumentError(message.waiting.reason, message.waiting.message) if message.HasField("waiting") else None,
        created=_datetime(message.created_at),
        started=_datetime(message.started_at) if message.HasField("started_at") else None,
        ended=_datetime(message.ended_at) if message.HasField("ended_at") else None,
    )


def start_requests(
    documents: Iterable[NewDocument | Mapping[str, Any]], *, collection: str, batch_size: int
) -> Iterator[pb.StartJobRequest]:
    """Puts documents into requests, at least one; they are read as they are needed.

    Raises:
        InvalidRequest: If one cannot be sent.
    """
    batches = Batches(collection=collection, batch_size=batch_size)
    count = 0
    for document in documents:
        for batch in batches.add(document):
            count += 1
            yield _request(batch.request.documents, batch.refused, collection)
    for batch in batches.rest():
        count += 1
        yield _request(batch.request.documents, batch.refused, collection)
    if not count:
        yield pb.StartJobRequest(collection=collection)


def _request(documents: Any, refused: Mapping[int, Any], collection: str) -> pb.StartJobRequest:
    for result in refused.values():
        raise InvalidRequest(result.error.message, reason=result.error.reason)
    return pb.StartJobRequest(collection=collection, documents=documents)


def _datetime(message: Timestamp) -> datetime:
    return message.ToDatetime(UTC)
