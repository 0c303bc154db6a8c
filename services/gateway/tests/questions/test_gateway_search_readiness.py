"""Ready is what works: a server that says that it is well, and answers nothing or wrongly, is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from qdrant_client import grpc as qdrant_pb
from trivium_gateway.health import probes
from trivium_gateway.qdrant.version import LEAST_VERSION, is_too_old
from trivium_serving.errors import Unavailable

from .conftest import DOCUMENTS, running_stack
from .relay import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant, Stack
    from .relay import Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Stack, Relay]]:
    monkeypatch.setattr(probes, "_SEARCH_EVERY_SECONDS", 0.0)
    async with relayed(qdrant) as (relay, before), running_stack(before) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        yield stack, relay


async def _stage(stack: Stack, name: str) -> dict[str, Any]:
    stages = (await stack.http.get("/readyz")).json()["stages"]
    return next(one for one in stages if one["stage"] == name)


async def test_search_that_fails_while_the_version_is_told_is_not_ready(gateway: tuple[Stack, Relay]) -> None:
    stack, relay = gateway
    assert (await stack.http.get("/readyz")).status_code == 200

    relay.methods, relay.fault = ("/Query", "/QueryBatch"), grpc.StatusCode.INTERNAL
    await stack.until(lambda: not stack.stage("search"))
    response = await stack.http.get("/readyz")
    relay.fault = None
    await stack.until(lambda: stack.stage("search"))

    assert response.status_code == 503
    assert "failed with INTERNAL" in next(
        one["detail"] for one in response.json()["stages"] if one["stage"] == "search"
    )
    assert (await stack.http.get("/readyz")).status_code == 200


async def test_storage_that_cannot_say_what_it_has_is_not_ready(gateway: tuple[Stack, Relay]) -> None:
    stack, relay = gateway

    relay.methods, relay.fault = ("/ListAliases", "/List", "/Get", "/Query"), grpc.StatusCode.INTERNAL
    await stack.until(lambda: not stack.stage("search"))
    relay.fault = None
    await stack.until(lambda: stack.stage("search"))


async def test_stage_whose_last_calls_failed_is_not_ready_until_a_trial_works(gateway: tuple[Stack, Relay]) -> None:
    stack, _ = gateway
    stack.rerank.faults["Rerank"] = Unavailable("It cannot compute.", reason="UPSTREAM_UNAVAILABLE")

    for number in range(6):
        await stack.retrieve(f"What do herons eat? {number}")
    await stack.until(lambda: not stack.stage("rerank"))
    seen = await _stage(stack, "rerank")
    ready = (await stack.http.get("/readyz")).status_code
    stack.rerank.faults.clear()
    await stack.until(lambda: stack.stage("rerank"))

    assert "calls have failed" in seen["detail"]
    assert "It cannot compute." in seen["detail"]
    assert ready == 200  # its fallback answers


async def test_qdrant_that_is_too_old_is_not_ready_says_what_to_do_and_is_not_asked(
    gateway: tuple[Stack, Relay],
) -> None:
    stack, relay = gateway
    relay.answers["/HealthCheck"] = qdrant_pb.HealthCheckReply(title="qdrant", version="1.18.2").SerializeToString()

    await stack.until(lambda: not stack.stage("search"))
    seen = await _stage(stack, "search")
    while "1.18.2" not in seen["detail"]:  # a call that was on its way was refused without it
        await asyncio.sleep(0.05)
        seen = await _stage(stack, "search")
    answer = await stack.retrieve()
    relay.answers.clear()
    await stack.until(lambda: stack.stage("search"))

    least = ".".join(map(str, LEAST_VERSION))
    assert f"Update the server to {least} or later" in seen["detail"]
    assert (answer.status_code, answer.json()["error"]["reason"]) == (503, "QDRANT_TOO_OLD")
    assert (await stack.retrieve()).status_code == 200


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.18.9", True),
        ("v0.11.0", True),
        ("1.19.0", False),
        ("1.20.0-dev", False),
        ("2.0.0", False),
        ("unknown", False),
    ],
)
async def test_version_is_too_old_below_the_minimum_only(version: str, *, expected: bool) -> None:
    assert is_too_old(version) is expected
