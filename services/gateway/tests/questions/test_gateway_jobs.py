"""Jobs: documents that a gateway adds by itself, and what it says of them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as documents_pb
from trivium.gateway.v1 import job_service_pb2 as pb
from trivium.gateway.v1.job_service_pb2_grpc import JobServiceStub
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.shapes.jobs import (
    AcceptedResponse,
    DeletedJobResponse,
    JobPageResponse,
    JobResponse,
    ListJobsResponse,
)
from trivium_serving.errors import DeadlineExceeded

from .conftest import HANG, running_stack
from .test_gateway_http_requests import check_error

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_ENDED = ("done", "failed", "cancelled")


async def _start(stack: Stack, *documents: dict[str, Any], **fields: Any) -> str:
    body = {"documents": list(documents), "collection": stack.collection, "wait": False, **fields}
    response = await stack.http.post("/v1/documents", json=body)
    assert response.status_code == 202, response.text
    AcceptedResponse.model_validate_json(response.content)
    job: str = response.json()["job"]
    assert response.headers["Location"] == f"/v1/jobs/{job}"
    return job


async def _job(stack: Stack, job: str, **parameters: str) -> dict[str, Any]:
    response = await stack.http.get(f"/v1/jobs/{job}", params=parameters)
    assert response.status_code == 200, response.text
    JobPageResponse.model_validate_json(response.content)
    shown: dict[str, Any] = response.json()
    return shown


async def _ended(stack: Stack, job: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (shown := await _job(stack, job))["state"] not in _ENDED:  # noqa: ASYNC110  # asked as callers do
            await asyncio.sleep(0.02)
    return shown


async def _waiting(stack: Stack, job: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (shown := await _job(stack, job))["waiting"] is None:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
    return shown


async def _text_of(stack: Stack, document: str) -> str | None:
    response = await stack.http.get(f"/v1/documents/{document}", params={"collection": stack.collection})
    return response.json()["text"] if response.status_code == 200 else None


def _many(count: int, prefix: str = "many") -> list[dict[str, Any]]:
    return [{"id": f"{prefix}-{number}", "text": f"Number {number} of {prefix}."} for number in range(count)]


async def test_documents_that_nobody_waits_for_are_in_when_their_job_is_done(stack: Stack) -> None:
    job = await _start(stack, *_many(150))
    ended = await _ended(stack, job)

    assert (ended["state"], ended["done"], ended["total"], ended["failed"]) == ("done", 150, 150, [])
    assert ended["created"] <= ended["started"] <= ended["ended"]
    assert [await _text_of(stack, f"many-{number}") for number in (0, 149)] == [
        "Number 0 of many.",
        "Number 149 of many.",
    ]
    listed = (await stack.http.get("/v1/jobs")).json()
    ListJobsResponse.model_validate(listed)
    assert job in [one["id"] for one in listed["jobs"]]


async def test_files_of_a_form_go_through_a_job_and_more_can_follow(stack: Stack) -> None:
    fields = {"collection": stack.collection, "wait": "false"}
    files = [("file", (name, f"The {name} is deep.")) for name in ("bays/lake.txt", "bays/sea.md")]
    first = await stack.http.post("/v1/documents", data=fields, files=files)
    job = first.json()["job"]
    again = await stack.http.post(
        "/v1/documents", data={**fields, "job": job}, files=[*files, ("file", ("a.txt", "A."))]
    )
    ended = await _ended(stack, job)

    assert (first.status_code, again.status_code, again.json()["job"]) == (202, 202, job)
    assert (ended["state"], ended["total"]) == ("done", 3)
    assert await _text_of(stack, "bays/lake.txt") == "The bays/lake.txt is deep."


async def test_documents_that_fail_are_listed_page_by_page_and_the_others_are_in(stack: Stack) -> None:
    bad = [{"id": f"bad-{number}", "text": " "} for number in range(3)]
    job = await _start(stack, *bad, {"id": "good", "text": "Good."})
    ended = await _ended(stack, job)

    assert (ended["state"], ended["done"], ended["total"], ended["failed_count"]) == ("failed", 4, 4, 3)
    assert [one["id"] for one in ended["failed"]] == ["bad-0", "bad-1", "bad-2"]
    assert ended["failed"][0]["error"]["reason"] == "EMPTY_DOCUMENT"
    assert await _text_of(stack, "good") == "Good."
    page = await _job(stack, job, page_size="2")
    assert [one["id"] for one in page["failed"]] == ["bad-0", "bad-1"]
    rest = await _job(stack, job, page_size="2", page_token=page["next_page_token"])
    assert ([one["id"] for one in rest["failed"]], rest["next_page_token"]) == (["bad-2"], "")


async def test_failed_documents_are_tried_again_and_a_corrected_one_takes_the_place_of_the_wrong_one(
    stack: Stack,
) -> None:
    name = f"{stack.collection}-retry"
    await stack.http.post("/v1/collections", json={"name": name})
    year = {"documents": [{"id": "y", "text": "Y.", "metadata": {"year": 1}}], "collection": name}
    await stack.http.post("/v1/documents", json=year)
    wrong = {"text": "Z.", "metadata": {"year": "MMXX"}}
    job = await _start(stack, {"id": "z", **wrong}, {"id": "v", **wrong}, collection=name)
    assert (await _ended(stack, job))["failed_count"] == 2
    corrected = {"id": "v", "text": "V.", "metadata": {"year": 2020}}
    assert await _start(stack, corrected, collection=name, job=job) == job
    assert [one["id"] for one in (await _ended(stack, job))["failed"]] == ["z"]

    await stack.http.delete(f"/v1/collections/{name}")
    await stack.http.post("/v1/collections", json={"name": name})
    retried = await stack.http.post(f"/v1/jobs/{job}/retry")
    assert (retried.status_code, retried.json()["done"]) == (200, 1)
    JobResponse.model_validate_json(retried.content)
    ended = await _ended(stack, job)
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 2, 2)


async def test_job_waits_for_a_service_that_does_not_answer_and_says_so(stack: Stack) -> None:
    stack.embed.faults["Embed"] = DeadlineExceeded("Not now.")
    stack.embed.faults["EmbedStream"] = DeadlineExceeded("Not now.")
    job = await _start(stack, *_many(3, "patient"))
    shown = await _waiting(stack, job)
    assert (shown["state"], shown["done"], shown["waiting"]["reason"]) == ("running", 0, "DEADLINE_EXCEEDED")
    await stack.until(lambda: stack.metric("trivium_gateway_jobs", state="waiting") == 1)

    stack.embed.reset()
    ended = await _ended(stack, job)
    assert (ended["state"], ended["done"], ended["waiting"]) == ("done", 3, None)
    assert stack.metric("trivium_gateway_job_documents_total", outcome="waits") >= 3


async def test_cancelled_job_leaves_the_rest_and_a_retry_takes_it_up(stack: Stack) -> None:
    stack.embed.faults["EmbedStream"] = stack.embed.faults["Embed"] = HANG
    job = await _start(stack, *_many(300, "halted"))
    await stack.until(lambda: bool(stack.embed.called("Embed") or stack.embed.called("EmbedStream")))
    cancelled = await stack.http.delete(f"/v1/jobs/{job}")
    DeletedJobResponse.model_validate_json(cancelled.content)
    assert (cancelled.json()["state"], cancelled.json()["forgotten"]) == ("cancelled", False)
    more = {"documents": _many(1), "collection": stack.collection, "wait": False, "job": job}
    check_error(await stack.http.post("/v1/documents", json=more), 409, "JOB_CANCELLED")
    assert await _text_of(stack, "halted-299") is None

    stack.embed.reset()
    assert (await stack.http.post(f"/v1/jobs/{job}/retry")).json()["state"] == "running"
    ended = await _ended(stack, job)
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 300, 300)
    assert await _text_of(stack, "halted-299") == "Number 299 of halted."


async def test_ended_job_is_forgotten_when_it_is_deleted_and_its_documents_stay(stack: Stack) -> None:
    job = await _start(stack, {"id": "stays", "text": "Stays."})
    await _ended(stack, job)
    assert (await stack.http.delete(f"/v1/jobs/{job}")).json()["forgotten"] is True

    check_error(await stack.http.get(f"/v1/jobs/{job}"), 404, "JOB_NOT_FOUND")
    assert await _text_of(stack, "stays") == "Stays."


async def test_later_of_two_jobs_with_one_document_wins(stack: Stack) -> None:
    jobs = [await _start(stack, *_many(70, f"fill{version}"), {"id": "one", "text": f"Version {version}."})
            for version in range(4)]  # fmt: skip
    for job in jobs:
        assert (await _ended(stack, job))["state"] == "done"
    assert await _text_of(stack, "one") == "Version 3."


async def test_job_goes_on_where_the_gateway_before_ended(qdrant: Qdrant, tmp_path: Path) -> None:
    settings = GatewaySettings(data_dir=tmp_path)
    async with running_stack(qdrant, settings) as before:
        await before.create_collection()
        before.embed.faults["EmbedStream"] = before.embed.faults["Embed"] = HANG
        job = await _start(before, *_many(90, "resumed"))
        await before.until(lambda: bool(before.embed.called("Embed") or before.embed.called("EmbedStream")))
        collection = before.collection
    async with running_stack(qdrant, settings) as after:
        after.collection = collection
        ended = await _ended(after, job)
        assert (ended["state"], ended["done"], ended["total"]) == ("done", 90, 90)
        assert await _text_of(after, "resumed-89") == "Number 89 of resumed."
        assert not list((tmp_path / "gateway" / "jobs" / "documents").iterdir()), "bytes of documents that are in"


async def test_second_gateway_on_a_folder_shows_its_jobs_and_runs_them_when_the_first_ends(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    settings = GatewaySettings(data_dir=tmp_path)
    async with running_stack(qdrant, settings) as second:
        async with running_stack(qdrant, settings) as first:
            await first.create_collection()
            for one in (first, second):
                one.embed.faults["EmbedStream"] = one.embed.faults["Embed"] = DeadlineExceeded("Not now.")
                one.collection = first.collection
            job = await _start(second, *_many(10, "shared"))
            await _waiting(first, job)
            assert (await _job(second, job))["total"] == 10
        second.embed.reset()
        assert (await _ended(second, job))["state"] == "done"


async def test_gateway_without_a_folder_to_keep_jobs_in_says_so_and_works_on(qdrant: Qdrant, tmp_path: Path) -> None:
    (tmp_path / "gateway").write_text("a file where the folder would be")
    async with running_stack(qdrant, GatewaySettings(data_dir=tmp_path)) as stack:
        await stack.create_collection()
        body = {"documents": _many(1), "collection": stack.collection}
        check_error(await stack.http.post("/v1/documents", json={**body, "wait": False}), 503, "JOBS_UNAVAILABLE")
        check_error(await stack.http.get("/v1/jobs/any"), 404, "JOB_NOT_FOUND")
        assert (await stack.http.get("/v1/jobs")).json()["jobs"] == []
        assert (await stack.http.post("/v1/documents", json=body)).status_code == 200


async def test_gateway_that_takes_no_jobs_says_so_and_keeps_none(qdrant: Qdrant, tmp_path: Path) -> None:
    async with running_stack(qdrant, GatewaySettings(data_dir=tmp_path, max_job_bytes=0)) as stack:
        await stack.create_collection()
        body = {"documents": _many(1), "collection": stack.collection}
        check_error(await stack.http.post("/v1/documents", json={**body, "wait": False}), 503, "JOBS_UNAVAILABLE")
        assert (await stack.http.get("/v1/jobs")).json()["jobs"] == []
        assert (await stack.http.post("/v1/documents", json=body)).status_code == 200
    assert not (tmp_path / "gateway/jobs").exists()


async def test_too_many_bytes_for_jobs_are_refused_and_taken_again_when_some_are_in(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    async with running_stack(qdrant, GatewaySettings(data_dir=tmp_path, max_job_bytes=4000)) as stack:
        await stack.create_collection()
        stack.embed.faults["EmbedStream"] = stack.embed.faults["Embed"] = HANG
        first = await _start(stack, {"id": "a", "text": "a" * 1500})
        second = {"id": "b", "text": "b" * 1500}
        body = {"documents": [second], "collection": stack.collection, "wait": False}
        refused = await stack.http.post("/v1/documents", json=body)
        check_error(refused, 429, "JOBS_FULL")
        assert int(refused.headers["Retry-After"]) > 0
        stack.embed.reset()
        await stack.http.delete(f"/v1/jobs/{first}")
        await stack.http.delete(f"/v1/jobs/{first}")
        await _ended(stack, await _start(stack, second))


async def test_job_is_made_followed_and_forgotten_over_grpc(stack: Stack) -> None:
    stub = JobServiceStub(stack.channel)
    documents = [
        documents_pb.DocumentInput(id="g", text="G.", readers=["*", "user:ann"]),
        documents_pb.DocumentInput(id="void", text=" "),
    ]
    request = pb.StartJobRequest(collection=stack.collection, documents=documents)
    job = (await stub.StartJob(request)).job
    request.job_id = job.id
    assert (await stub.StartJob(request)).job.total_count == 2
    await _ended(stack, job.id)

    ended = (await stub.GetJob(pb.GetJobRequest(id=job.id))).job
    assert (ended.state, ended.done_count, ended.failed_count) == (pb.JOB_STATE_FAILED, 2, 1)
    assert [(one.id, one.error.reason) for one in ended.failures] == [("void", "EMPTY_DOCUMENT")]
    assert ended.created_at.ToNanoseconds() <= ended.started_at.ToNanoseconds() <= ended.ended_at.ToNanoseconds()
    assert job.id in [one.id for one in (await stub.ListJobs(pb.ListJobsRequest())).jobs]
    assert (await stub.RetryJob(pb.RetryJobRequest(id=job.id))).job.state == pb.JOB_STATE_RUNNING
    await _ended(stack, job.id)
    assert (await stub.DeleteJob(pb.DeleteJobRequest(id=job.id))).forgotten
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetJob(pb.GetJobRequest(id=job.id))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "status", "reason", "field"),
    [
        ({"job": "x"}, 400, "INVALID_FIELD", "job"),
        ({"job": "x", "wait": False}, 404, "JOB_NOT_FOUND", None),
        ({"wait": "no"}, 400, "INVALID_FIELD", "wait"),
        ({"wait": False, "collection": "nowhere"}, 404, "COLLECTION_NOT_FOUND", None),
    ],
)
async def test_request_that_names_no_possible_job_is_refused(
    stack: Stack, fields: dict[str, Any], status: int, reason: str, field: str | None
) -> None:
    body = {"documents": _many(1), "collection": stack.collection, **fields}
    check_error(await stack.http.post("/v1/documents", json=body), status, reason, field)
    if "collection" not in fields:
        form = {"collection": stack.collection, **{name: json.dumps(one).strip('"') for name, one in fields.items()}}
        response = await stack.http.post("/v1/documents", data=form, files=[("file", ("a.txt", "A."))])
        check_error(response, status, reason, field)


async def test_job_takes_documents_of_one_collection(stack: Stack) -> None:
    job = await _start(stack, *_many(1))
    other = f"{stack.collection}-other"
    await stack.http.post("/v1/collections", json={"name": other})
    body = {"documents": _many(1), "collection": other, "wait": False, "job": job}
    check_error(await stack.http.post("/v1/documents", json=body), 400, "INVALID_FIELD", "collection")
    for wrong in ("x", "-1", "9" * 30):
        check_error(await stack.http.get(f"/v1/jobs/{job}?page_token={wrong}"), 400, "INVALID_FIELD", "page_token")
    check_error(await stack.http.get("/v1/jobs?page_token=gone"), 400, "INVALID_FIELD", "page_token")
