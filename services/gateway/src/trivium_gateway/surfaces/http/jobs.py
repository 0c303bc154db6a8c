"""/v1/jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response  # noqa: TC002 - FastAPI reads it

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.jobs import DeletedJobResponse, JobPageResponse, JobResponse, ListJobsResponse
from trivium_gateway.surfaces.pages import FAILURES_ON_A_PAGE, JOBS_ON_A_PAGE

if TYPE_CHECKING:
    from trivium_gateway.ingestion.jobs.job import Failure, Job
    from trivium_gateway.ingestion.jobs.jobs import Jobs


_PageToken = Annotated[str, Query(description="next_page_token of the page before.")]


def job_routes(jobs: Jobs) -> APIRouter:
    """The routes.

    Args:
        jobs: Does the work.
    """
    router = APIRouter(tags=["jobs"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.get("/v1/jobs", summary="List jobs, the latest first", **documented(ListJobsResponse))
    async def list_jobs(
        page_size: Annotated[int, Query(description="Most jobs, 1 to 1000.")] = JOBS_ON_A_PAGE,
        page_token: _PageToken = "",
    ) -> Response:
        found, next_token = await jobs.page(principal(), page_size=page_size, page_token=page_token)
        return JsonResponse({"jobs": [job_json(one) for one in found], "next_page_token": next_token})

    @router.get("/v1/jobs/{id}", summary="How far a job is, and which documents failed", **documented(JobPageResponse))
    async def get_job(
        id: str,  # noqa: A002 - the path's word
        page_size: Annotated[
            int, Query(description="Most documents whose failures are shown, 1 to 1000.")
        ] = FAILURES_ON_A_PAGE,
        page_token: _PageToken = "",
    ) -> Response:
        job, next_token = await jobs.get(principal(), id, page_size=page_size, page_token=page_token)
        return JsonResponse({**job_json(job), "next_page_token": next_token})

    @router.delete(
        "/v1/jobs/{id}",
        summary="Cancel a job that goes on; forget one that has ended. Documents that are in stay",
        **documented(DeletedJobResponse),
    )
    async def delete_job(id: str) -> Response:  # noqa: A002 - the path's word
        job, forgotten = await jobs.delete(principal(), id)
        return JsonResponse({**job_json(job), "forgotten": forgotten})

    @router.post(
        "/v1/jobs/{id}/retry",
        summary="Try the documents of a job again that failed, or were cancelled",
        **documented(JobResponse),
    )
    async def retry_job(id: str) -> Response:  # noqa: A002 - the path's word
        return JsonResponse(job_json(await jobs.retry(principal(), id)))

    return router


def job_json(job: Job) -> dict[str, Any]:
    """A job."""
    return {
        "id": job.id,
        "kind": job.kind,
        "collection": job.collection,
        "state": job.state.value,
        "done": job.done_count,
        "total": job.total_count,
        "failed": [{"id": one.id, "error": _error_json(one)} for one in job.failures],
        "failed_count": job.failed_count,
        "waiting": None if job.waiting is None else _error_json(job.waiting),
        "created": _moment(job.created_at),
        "started": _moment(job.started_at),
        "ended": _moment(job.ended_at),
    }


def _error_json(failure: Failure) -> dict[str, Any]:
    return {"reason": failure.reason, "message": failure.message}


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
