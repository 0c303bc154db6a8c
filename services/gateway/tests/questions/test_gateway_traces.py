"""Traces of questions: what is kept, who may see it, what became of a document, and asking again otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.answering.plan import Query, Search
from trivium_gateway.answering.trace_store import TraceMetrics, Traces
from trivium_gateway.request.outcomes import Outcomes
from trivium_gateway.request.principal import EVERYBODY, Principal, Scope
from trivium_gateway.request.record import Record
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.shapes.traces import ReplayResponse, TraceResponse
from trivium_serving.errors import NotFound, PermissionDenied, Unavailable
from trivium_serving.request_context import begin_request

from .conftest import delta, finish, running_stack
from .test_gateway_answers import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_READER = Principal("acme", "ann", frozenset(), frozenset({Scope.READ}))


async def _trace(stack: Stack, request_id: str, **parameters: str) -> dict[str, Any]:
    response = await stack.http.get(f"/v1/traces/{request_id}", params=parameters)
    assert response.status_code == 200, response.text
    TraceResponse.model_validate(response.json())
    trace: dict[str, Any] = response.json()
    return trace


async def _explained(stack: Stack, request_id: str, document_id: str) -> dict[str, Any]:
    explanation: dict[str, Any] = (await _trace(stack, request_id, document_id=document_id))["explanation"]
    assert explanation["document_id"] == document_id
    return explanation


async def test_trace_of_an_answer_has_what_each_stage_did_and_no_text(stack: Stack) -> None:
    answered = (await stack.ask(top_n=2)).json()

    trace = await _trace(stack, answered["request_id"])

    assert (trace["operation"], trace["outcome"], trace["error"]) == ("answer", "ok", None)
    stages = {one["name"]: one for one in trace["stages"]}
    assert list(stages) == [one["name"] for one in answered["stages"]] == STAGES
    assert [one["duration_ms"] for one in trace["stages"]] == [one["duration_ms"] for one in answered["stages"]]
    assert stages["search"]["facts"]["trivium.candidates"] == 3
    assert stages["rerank"]["facts"]["gen_ai.response.model"] == "word-share"
    assert trace["request"]["top_n"] == 2
    assert trace["settings"]["refusal"] == "auto"
    assert trace["facts"]["trivium.model"] == "words"
    assert [one["document_id"] for one in trace["passages"]] == [one["document_id"] for one in answered["passages"]]
    first = trace["candidates"][0]
    assert first["document_id"] == trace["passages"][0]["document_id"]
    assert (first["rank"], first["passage"]) == (1, 1)
    assert None not in (first["dense"], first["sparse"], first["fused"], first["rerank"], first["score"])
    assert [one["index"] for one in trace["answer"]["citations"]] == [1, 1]
    assert "eron" not in str(trace).replace("'heron'", "")

    with_texts = await _trace(stack, answered["request_id"], include="texts")
    assert with_texts["request"]["text"] == with_texts["queries"][0]["text"] == "What do herons eat?"
    assert with_texts["answer"]["text"] == answered["answer"]


async def test_trace_is_there_when_a_streamed_answer_has_ended(stack: Stack) -> None:
    async with stack.http.stream(
        "POST", "/v1/answer", json={"question": "What do herons eat?", "collection": stack.collection, "stream": True}
    ) as response:
        request_id = response.headers["x-request-id"]
        async for line in response.aiter_lines():
            if line == "event: summary":
                trace = await _trace(stack, request_id)
                break
    assert trace["answer"]["model"] == "writer"
    assert [one["name"] for one in trace["stages"]] == STAGES


async def test_trace_of_a_failed_question_says_why(stack: Stack) -> None:
    stack.generate.script = [delta("Herons"), Unavailable("The model is gone.")]

    failed = await stack.ask(mode="model")

    trace = await _trace(stack, failed.headers["x-request-id"])
    assert (failed.status_code, trace["outcome"], trace["error"]) == (503, "failed", "UNAVAILABLE")
    assert trace["passages"]
    assert trace["answer"] is None


async def test_trace_of_a_degraded_question_says_what_was_replaced(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = Unavailable("No.")

    found = (await stack.retrieve()).json()

    trace = await _trace(stack, found["request_id"])
    assert trace["outcome"] == "degraded"
    assert [(one["stage"], one["fallback"]) for one in trace["degraded"]] == [("rerank", "fused-order")]
    assert {one["rerank"] for one in trace["candidates"]} == {None}


async def test_document_is_explained_at_the_stage_that_lost_it(stack: Stack) -> None:
    request_id = (await stack.ask(top_n=2, refusal="off")).json()["request_id"]
    cited = await _explained(stack, request_id, "heron")
    assert (cited["fate"], cited["place"]) == ("cited", 1)
    uncited = await _explained(stack, request_id, "swift")
    assert (uncited["fate"], uncited["place"]) == ("not_cited", 2)
    outranked = await _explained(stack, request_id, "otter")
    assert (outranked["fate"], outranked["rank"], outranked["place"]) == ("outranked", 3, None)
    assert "2 are shown" in outranked["message"]
    absent = await _explained(stack, request_id, "kingfisher")
    assert absent["fate"] == "not_in_collection"

    filtered = (await stack.ask(filter={"metadata.year": {"gte": 2020}})).json()["request_id"]
    assert (await _explained(stack, filtered, "otter"))["fate"] == "filtered"

    shown = (await stack.retrieve()).json()["request_id"]
    assert (await _explained(stack, shown, "heron"))["fate"] == "shown"

    demanded = (await stack.retrieve('What do herons eat? -insects "fish"')).json()["request_id"]
    assert (await _explained(stack, demanded, "swift"))["fate"] == "excluded"


async def test_refused_question_is_explained_as_refused(stack: Stack) -> None:
    stack.generate.faults["Generate"] = Unavailable("No.")
    stack.generate.script = [finish()]
    answered = (await stack.ask(refusal="refuse", filter={"metadata.year": 2019})).json()
    if answered["refused"]:  # the models of these tests have no calibration, so that nothing else is refused
        assert (await _explained(stack, answered["request_id"], "otter"))["fate"] == "refused"
    nothing = (await stack.ask(filter={"metadata.year": 1900})).json()
    assert nothing["refused"]
    assert (await _explained(stack, nothing["request_id"], "otter"))["fate"] == "filtered"


async def test_near_duplicate_is_explained_by_the_passage_that_stands_for_it(stack: Stack) -> None:
    name = f"{stack.collection}-twins"
    await stack.http.post("/v1/collections", json={"name": name})
    documents = [{"id": one, "text": "Herons eat fish and frogs."} for one in ("one", "two")]
    await stack.http.post("/v1/documents", json={"documents": documents, "collection": name})

    found = (await stack.retrieve(collection=name)).json()

    (shown,) = (one["document_id"] for one in found["passages"])
    (other,) = {"one", "two"} - {shown}
    explained = await _explained(stack, found["request_id"], other)
    assert (explained["fate"], explained["place"]) == ("near_duplicate", 1)
    assert repr(shown) in explained["message"]


async def test_document_beyond_the_candidates_is_explained_by_its_ranks(stack: Stack) -> None:
    name = f"{stack.collection}-many"
    await stack.http.post("/v1/collections", json={"name": name})
    near = [{"id": f"near-{number}", "text": f"Herons eat fish, sort {number}."} for number in range(4)]
    documents = [*near, {"id": "words", "text": "Eat."}, {"id": "far", "text": "A holt is dry and warm."}]
    await stack.http.post("/v1/documents", json={"documents": documents, "collection": name})

    found = (await stack.retrieve("Which fish do herons eat?", collection=name, candidates=2, top_n=2)).json()

    far = await _explained(stack, found["request_id"], "far")
    assert (far["fate"], far["sparse_rank"], far["rank"]) == ("not_found", None, None)
    assert far["dense_rank"] > 2
    assert "none of the query's words" in far["message"]
    trace = await _trace(stack, found["request_id"])
    assert len([one for one in trace["candidates"] if one["rank"] is None]) == len(trace["candidates"]) - 2

    # What one leg finds and fusion cuts off is told apart from what no leg finds.
    cut = [one for one in trace["candidates"] if one["search_rank"] > 2]
    fates = [(await _explained(stack, found["request_id"], one["id"]))["fate"] for one in near]
    assert fates.count("cut_by_fusion") == len(cut)


async def test_replay_shows_what_a_setting_changes(stack: Stack) -> None:
    first = (await stack.ask(top_n=1)).json()
    response = await stack.http.post(
        f"/v1/traces/{first['request_id']}/replay", json={"set": {"rerank.candidates": 2, "top_n": 2}}
    )
    assert response.status_code == 200, response.text
    replay = response.json()
    ReplayResponse.model_validate(replay)
    before, after = replay["before"], replay["after"]
    assert before["request_id"] == first["request_id"] != after["request_id"] == response.headers["x-request-id"]
    assert (before["request"]["candidates"], after["request"]["candidates"]) == (None, 2)
    assert [one["settings"]["search"]["candidates"] for one in (before, after)] == [100, 2]
    assert (len(before["passages"]), len(after["passages"])) == (1, 2)
    assert after["answer"]["model"] == "writer"
    assert (await _trace(stack, after["request_id"]))["request"]["top_n"] == 2

    by_words = await stack.http.post(
        f"/v1/traces/{first['request_id']}/replay", json={"set": {"dense_weight": 0, "rerank": False}}
    )
    after = by_words.json()["after"]
    assert (after["settings"]["search"]["dense_weight"], after["settings"]["search"]["rerank"]) == (0, False)
    assert {one["dense"] for one in after["candidates"]} == {None}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rerank.candidate": 5}, "set.rerank.candidate"),
        ({"candidates": "many"}, "set.candidates"),
        ({"top_n": True}, "set.top_n"),
        ({"mode": "fast"}, "set.mode"),
        ({"top_n": 0}, "top_n"),
        ({"dense_weight": "much"}, "set.dense_weight"),
        ({"dense_weight": 2}, "settings.dense_weight"),
    ],
)
async def test_replay_with_a_setting_that_is_none_is_refused(stack: Stack, changes: dict[str, Any], field: str) -> None:
    request_id = (await stack.ask()).json()["request_id"]
    response = await stack.http.post(f"/v1/traces/{request_id}/replay", json={"set": changes})
    assert (response.status_code, response.json()["error"]["field"]) == (400, field)


async def test_trace_that_is_not_there_is_404(stack: Stack) -> None:
    for response in (
        await stack.http.get("/v1/traces/nothing"),
        await stack.http.post("/v1/traces/nothing/replay", json={}),
    ):
        assert (response.status_code, response.json()["error"]["reason"]) == (404, "TRACE_NOT_FOUND")


async def test_gateway_that_keeps_no_traces_says_so(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, replace(GatewaySettings(), trace_bytes=0)) as stack:
        found = (await stack.http.post("/v1/retrieve", json={"query": "herons"})).json()
        response = await stack.http.get(f"/v1/traces/{found['request_id']}")
        assert (response.status_code, response.json()["error"]["reason"]) == (404, "TRACE_NOT_FOUND")
        assert "TRIVIUM_GATEWAY_TRACE_BYTES" in response.json()["error"]["message"]


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _kept(traces: Traces, principal: Principal, request_id: str) -> None:
    begin_request(request_id)
    record = Record("retrieve", principal, 60, {}, Outcomes())
    with traces.tracing(Search((Query("herons"),), principal), record), record.stage("search"):
        pass


def _ids(traces: Traces, principal: Principal, *wanted: str) -> Iterator[str]:
    for one in wanted:
        try:
            yield traces.get(principal, one).request_id
        except NotFound:
            continue


async def test_trace_is_seen_by_its_user_and_by_admins_of_its_tenant_only() -> None:
    traces = Traces(1 << 20, 60, {}, TraceMetrics(CollectorRegistry()))
    _kept(traces, _READER, "r1")

    assert traces.get(_READER, "r1").asked.principal is _READER
    assert traces.get(replace(_READER, user="", scopes=_READER.scopes | {Scope.ADMIN}), "r1")
    for other in (replace(_READER, user="bob"), replace(_READER, user=""), replace(EVERYBODY, tenant="other")):
        with pytest.raises(NotFound):
            traces.get(other, "r1")
    with pytest.raises(PermissionDenied):
        traces.get(replace(_READER, scopes=frozenset({Scope.INGEST})), "r1")


async def test_request_id_that_another_sends_too_shows_and_takes_nobodys_trace() -> None:
    traces = Traces(1 << 20, 60, {}, TraceMetrics(CollectorRegistry()))
    admin = replace(_READER, user="", scopes=_READER.scopes | {Scope.ADMIN})
    askers = [_READER, replace(_READER, user="bob"), replace(_READER, user=""), replace(_READER, tenant="other")]
    askers += [replace(_READER, groups=frozenset({"hr"})), replace(_READER, user="", groups=frozenset({"hr"})), admin]
    for asker in askers[:-1]:
        _kept(traces, asker, "r1")

    assert traces.get(admin, "r1").asked.principal is _READER  # the first; nobody comes before it afterwards
    _kept(traces, admin, "r1")
    for asker in askers:
        assert traces.get(asker, "r1").asked.principal is asker
    with pytest.raises(NotFound):
        traces.get(replace(_READER, user="eve", groups=frozenset({"hr"})), "r1")


async def test_traces_stay_within_their_room_and_age_and_each_tenant_loses_its_own() -> None:
    registry, clock = CollectorRegistry(), _Clock()
    traces = Traces(20_000, 60, {}, TraceMetrics(registry), clock)
    quiet = replace(_READER, tenant="quiet")
    _kept(traces, quiet, "q1")
    for number in range(20):
        _kept(traces, _READER, f"r{number}")

    last = [f"r{number}" for number in range(20)]
    held = list(_ids(traces, _READER, *last))
    assert 1 < len(held) < 20
    assert held == last[-len(held) :]
    assert list(_ids(traces, quiet, "q1")) == ["q1"]
    assert registry.get_sample_value("trivium_gateway_traces") == len(held) + 1
    assert 0 < (registry.get_sample_value("trivium_gateway_trace_bytes") or 0) <= 20_000
    assert registry.get_sample_value("trivium_gateway_traces_dropped_total", {"reason": "room"}) == 20 - len(held)

    clock.now = 61
    traces.drop_old()
    assert registry.get_sample_value("trivium_gateway_traces") == 0
    assert registry.get_sample_value("trivium_gateway_trace_bytes") == 0
    assert registry.get_sample_value("trivium_gateway_traces_dropped_total", {"reason": "age"}) == len(held) + 1
