"""Each process killed while the others run: the rest answer, say what is missing, and recover when it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from e2e.stack import SERVICES

if TYPE_CHECKING:
    from e2e.stack import Stack

QUESTION = "How tall does the grey heron stand?"


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


@pytest.fixture(scope="module", autouse=True)
def _documents(stack: Stack) -> None:
    stack.ingest(
        {"id": "heron", "title": "The heron", "text": "The grey heron stands 90 to 98 centimetres tall."},
        {"id": "otter", "title": "The otter", "text": "The otter sleeps in a den that is called a holt."},
    )


@pytest.mark.parametrize(
    ("service", "stage", "degraded"),
    [
        ("embed", "embed", {("embed", "unavailable", "sparse")}),
        ("rerank", "rerank", {("rerank", "unavailable", "fused-order")}),
        ("generate", "generate", {("generate", "unavailable", "passages")}),
    ],
)
def test_answer_without_a_model_service_says_so_until_it_returns(
    stack: Stack, service: str, stage: str, degraded: set[tuple[str, str, str]]
) -> None:
    stack.end(service)
    stack.wait_stage(stage, ready=False)

    response = stack.http.post("/v1/answer", json={"question": QUESTION})
    body = response.json()
    assert "98 centimetres" in body["answer"]
    assert body["citations"][0]["document_id"] == "heron"
    assert {(entry["stage"], entry["reason"], entry["fallback"]) for entry in body["degraded"]} == degraded
    for entry in degraded:
        assert ":".join(entry) in response.headers["x-trivium-degraded"]
    assert stack.http.get("/readyz").status_code == 200
    assert stack.running() == set(SERVICES) - {service}

    stack.start(service)
    stack.wait_stage(stage, ready=True)
    assert stack.answer(QUESTION)["degraded"] == []


def test_answer_without_qdrant_is_a_clear_error_until_it_returns(stack: Stack) -> None:
    stack.end("qdrant_edge")
    stack.wait_stage("search", ready=False)

    response = stack.http.post("/v1/answer", json={"question": QUESTION})
    assert response.status_code == 503
    assert "Qdrant" in response.json()["error"]["message"]
    assert stack.http.get("/readyz").status_code == 503
    assert stack.http.get("/healthz").status_code == 200

    stack.start("qdrant_edge")
    stack.wait_stage("search", ready=True)
    assert "98 centimetres" in stack.answer(QUESTION)["answer"]


def test_gateway_returning_serves_as_before(stack: Stack) -> None:
    stack.end("gateway")
    with pytest.raises(httpx.TransportError):
        stack.http.get("/readyz")
    assert stack.running() == set(SERVICES) - {"gateway"}

    stack.start("gateway")
    stack.wait_ready()
    assert stack.answer(QUESTION)["degraded"] == []
