"""The gRPC surface of jobs: converts messages, and decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
from trivium.gateway.v1 import gateway_service_pb2 as documents_pb
from trivium.gateway.v1 import job_service_pb2 as pb
from trivium.gateway.v1.job_service_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server

from trivium_gateway.ingestion.jobs.job import JobState
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.grpc.messages.documents import document_from
from trivium_gateway.surfaces.pages import FAILURES_ON_A_PAGE, JOBS_ON_A_PAGE

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.ingestion.jobs.job import Failure, Job

FULL_NAME = pb.DESCRIPTOR.services_by_name["JobService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]

_STATES = {
    JobState.QUEUED: pb.JOB_STATE_QUEUED,
    JobState.RUNNING: pb.JOB_STATE_RUNNING,
    JobState.DONE: pb.JOB_STATE_DONE,
    JobState.FAILED: pb.JOB_STATE_FAILED,
    JobState.CANCELLED: pb.JOB_STATE_CANCELLED,
}


class JobServicer(JobServiceServicer):
    """Serves trivium.gateway.v1.JobService.

    Args:
        gateway: Does the work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._jobs = gateway.jobs
        self._limits = gateway.limits

    async def StartJob(self, request: pb.StartJobRequest, context: _Context) -> pb.StartJobResponse:
        """Takes documents over."""
        job = await self._jobs.add(
            principal(),
            request.collection,
            map(document_from, request.documents),
            job_id=request.job_id,
            max_documents=self._limits.max_documents_per_request,
        )
        return pb.StartJobResponse(job=_message(job))

    async def GetJob(self, request: pb.GetJobRequest, context: _Context) -> pb.GetJobResponse:
        """Says how far a job is."""
        page_size = request.page_size if request.HasField("page_size") else FAILURES_ON_A_PAGE
        job, token = await self._jobs.get(principal(), request.id, page_size=page_size, page_token=request.page_token)
        return pb.GetJobResponse(job=_message(job), next_page_token=token)

    async def ListJobs(self, request: pb.ListJobsRequest, context: _Context) -> pb.ListJobsResponse:
        """Lists jobs."""
        page_size = request.page_size if request.HasField("page_size") else JOBS_ON_A_PAGE
        jobs, token = await self._jobs.page(principal(), page_size=page_size, page_token=request.page_token)
        return pb.ListJobsResponse(jobs=map(_message, jobs), next_page_token=token)

    async def RetryJob(self, request: pb.RetryJobRequest, context: _Context) -> pb.RetryJobResponse:
        """Tries what failed again."""
        return pb.RetryJobResponse(job=_message(await self._jobs.retry(principal(), request.id)))

    async def DeleteJob(self, request: pb.DeleteJobRequest, context: _Context) -> pb.DeleteJobResponse:
        """Cancels or forgets a job."""
        job, forgotten = await self._jobs.delete(principal(), request.id)
        return pb.DeleteJobResponse(job=_message(job), forgotten=forgotten)


def serve(gateway: Gateway, server: grpc.aio.Server) -> None:
    """Has a server serve jobs."""
    add_JobServiceServicer_to_server(JobServicer(gateway), server)


def _message(job: Job) -> pb.Job:
    message = pb.Job(
        id=job.id,
        kind=job.kind,
        collection=job.collection,
        state=_STATES[job.state],
        done_count=job.done_count,
        total_count=job.total_count,
        failed_count=job.failed_count,
        failures=[pb.JobFailure(id=one.id, error=_error(one)) for one in job.failures],
        waiting=None if job.waiting is None else _error(job.waiting),
    )
    _set(message.created_at, job.created_at)
    if job.started_at is not None:
        _set(message.started_at, job.started_at)
    if job.ended_at is not None:
        _set(message.ended_at, job.ended_at)
    return message


def _error(failure: Failure) -> documents_pb.DocumentError:
    return documents_pb.DocumentError(reason=failure.reason, message=failure.message)


def _set(field: Timestamp, seconds: float) -> None:
    field.FromDatetime(datetime.fromtimestamp(seconds, UTC))
