"""Jobs."""

from typing import Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.documents import DocumentErrorShape
from trivium_gateway.surfaces.http.shapes.shape import Shape


class AcceptedResponse(Shape):
    """The job that adds the documents."""

    job: str


class FailureShape(Shape):
    """A document that is not in, or a file in it, and why."""

    id: str
    error: DocumentErrorShape


class JobResponse(Shape):
    """A job."""

    id: str
    kind: Literal["ingest"]
    collection: str
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(
        description="`failed` has ended, too, and not all of its documents are in."
    )
    done: int = Field(description="Documents that have ended, those that failed among them.")
    total: int = Field(description="All documents; one that came twice counts once.")
    failed: list[FailureShape] = Field(description="Some of what failed; none where a job was just changed.")
    failed_count: int = Field(description="Documents that failed.")
    waiting: DocumentErrorShape | None = Field(description="What keeps it from going on now; null if nothing does.")
    created: str
    started: str | None
    ended: str | None


class JobPageResponse(JobResponse):
    """A job with a page of what failed."""

    next_page_token: str = Field(description="Empty on the last page.")


class DeletedJobResponse(JobResponse):
    """A job that was cancelled, or is forgotten."""

    forgotten: bool


class ListJobsResponse(Shape):
    """Jobs, the latest first, each with some of what failed."""

    jobs: list[JobResponse]
    next_page_token: str = Field(description="Empty on the last page.")
