"""Processes that are killed while a job runs: each of its documents is in once, or listed with its error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chaos.witness import PATIENCE_SECONDS, list_documents
from e2e.stack import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_PARTS = ("qdrant_edge", "embed", "gateway")
_TEXT = "Ferry {number} leaves from pier {number}. It is late in winter. " * 12


def _job(stack: Stack, job: str) -> dict[str, Any]:
    """A job as the gateway shows it; nothing while that is away."""
    try:
        response = stack.http.get(f"/v1/jobs/{job}", params={"page_size": 1000})
    except httpx.TransportError:
        return {"state": "", "done": 0}
    assert response.status_code == 200, response.text
    shown: dict[str, Any] = response.json()
    return shown


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("count", "kills"), [(1, 3), (200, 6)])
def test_job_whose_processes_are_killed_at_random_moments_brings_each_document_in_once_or_says_why_not(
    make_stack: Callable[[], Stack],
    chance: random.Random,
    scale: Scale,
    seen: Callable[[str], None],
    count: int,
    kills: int,
) -> None:
    stack = make_stack()
    stack.start(*_PARTS)
    wait_until(lambda: all(stack.stages().get(one, False) for one in ("search", "embed")), "stages", PATIENCE_SECONDS)
    documents: list[dict[str, Any]] = [
        {"id": f"d{number}", "text": " " if number % 25 == 24 else _TEXT.format(number=number)}
        for number in range(count)
    ]
    wanted = {one["id"] for one in documents if one["text"].strip()}
    response = stack.http.post("/v1/documents", json={"documents": documents, "wait": False})
    assert response.status_code == 202, response.text
    job = response.json()["job"]

    killed: list[str] = []
    while len(killed) < scale.pick(kills, 5 * kills):
        for part in chance.sample(_PARTS, len(_PARTS)):
            time.sleep(chance.uniform(0, 2))  # the moment is what is tried
            killed.append(part)
            stack.end(part)
            stack.start(part)
    wait_until(lambda: _job(stack, job)["state"] in ("done", "failed"), "end of the job", PATIENCE_SECONDS)

    ended = _job(stack, job)
    assert (ended["done"], ended["total"]) == (count, count)
    assert {one["id"] for one in ended["failed"]} == {one["id"] for one in documents} - wanted
    assert {one["error"]["reason"] for one in ended["failed"]} <= {"EMPTY_DOCUMENT"}
    # What was just ended may still be told as ready.
    wait_until(lambda: stack.http.get("/v1/documents").status_code == 200, "engine that serves", PATIENCE_SECONDS)
    listed = list_documents(stack, "default")
    assert sorted(listed) == sorted(wanted)
    documents_in = [stack.http.get(f"/v1/documents/{one}").json() for one in wanted]
    assert {one["id"]: one["text"] for one in documents_in} == {
        one["id"]: one["text"] for one in documents if one["id"] in wanted
    }
    chunks = sum(one["chunk_count"] for one in documents_in)
    wait_until(
        lambda: stack.http.get("/v1/collections/default").json()["chunk_count"] == chunks, "count of what is there", 60
    )
    seen(f"{count} documents, killed {', '.join(killed)}: {len(wanted)} in, {count - len(wanted)} failed, none lost")
