"""One record of a question, from which times, degradations and metrics are read; and a search for several queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.answering.plan import Query, Search, SearchOptions
from trivium_gateway.domain.degradation import Degradation, Reason
from trivium_gateway.gateway import Found
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.request.outcomes import Outcomes
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.request.record import Record
from trivium_gateway.surfaces.grpc.messages.answers import found_message
from trivium_gateway.surfaces.http.rendering import found_json
from trivium_serving.errors import Unavailable

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _record() -> Record:
    return Record("retrieve", EVERYBODY, 60, {}, Outcomes())


async def test_stage_that_is_new_shows_on_all_surfaces() -> None:
    record = _record()
    with record.stage("rewrite"):
        record.replace("rewrite", Unavailable("No model."), "as-asked")
    found = Found((), record.timings(), record.degraded)

    (degraded,) = found_message(found).degraded
    assert (degraded.stage_name, degraded.fallback) == ("rewrite", "as-asked")
    assert [one.name for one in found_message(found).stages] == ["rewrite"]
    assert found_json(found)["degraded"] == [{"stage": "rewrite", "reason": "unavailable", "fallback": "as-asked"}]
    assert [one["name"] for one in found_json(found)["stages"]] == ["rewrite"]
    assert found_json(found)["timings"]["search"] is None


async def test_metrics_are_read_off_the_record_when_it_ends() -> None:
    registry = CollectorRegistry()
    metrics = QuestionMetrics(registry)

    with metrics.counting(_record()) as record:
        with record.stage("search") as stage:
            stage.note({"trivium.candidates": 30})
        with record.stage("rewrite"):
            record.degrade(Degradation("rewrite", Reason.TIMEOUT, "as-asked"), "late")
        record.tokens["query"] += 7
        record.end()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"trivium_gateway_{name}", labels)

    assert value("search_candidates_sum") == 30
    assert value("stage_duration_seconds_count", stage="rewrite") == 1
    assert value("degraded_total", stage="rewrite", reason="timeout") == 1
    assert value("tenant_tokens_total", tenant="default", kind="query") == 7
    assert value("questions_total", operation="retrieve", outcome="degraded") == 1


async def test_search_for_several_queries_finds_what_each_finds(stack: Stack) -> None:
    options = SearchOptions(collection=stack.collection, top_n=2, candidates=2, rerank=False)

    async def found(*queries: str) -> set[str]:
        search = Search(tuple(map(Query, queries)), EVERYBODY, options)
        return {one.chunk.document_id for one in (await stack.process.gateway.questions.retrieve(search)).passages}

    one, other = "What do herons eat?", "swifts sleep in the air"
    both = await found(one, other)

    assert both <= await found(one) | await found(other)
    assert {"heron", "swift"} <= both
