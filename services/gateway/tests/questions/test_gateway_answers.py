"""Answers over HTTP, streamed and not, with every stage in turn failing, hanging or refusing."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from trivium.rerank.v1 import rerank_service_pb2 as rerank_pb
from trivium_gateway.answering import judging, ordering, verification
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import InvalidField, Overloaded, TriviumError, Unavailable

from .conftest import DOCUMENTS, HANG, delta, finish, running_stack

if TYPE_CHECKING:
    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "What do herons eat?"
STAGES = ["embed", "search", "rerank", "order", "score", "judge", "generate", "verify"]


async def streamed(stack: Stack, question: str = QUESTION, **fields: Any) -> list[tuple[str, Any]]:
    """Asks for a stream, and returns its events."""
    body = {"question": question, "collection": stack.collection, "stream": True, **fields}
    async with stack.http.stream("POST", "/v1/answer", json=body) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        text = (await response.aread()).decode()
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what differs from call to call."""
    return {key: value for key, value in body.items() if key not in ("timings", "stages", "request_id")}


def degraded_of(response: httpx.Response) -> list[tuple[str, str, str]]:
    """The degradations of a response, which its header must list, too."""
    entries = [(one["stage"], one["reason"], one["fallback"]) for one in response.json()["degraded"]]
    assert response.headers.get("x-trivium-degraded", "") == ", ".join(":".join(entry) for entry in entries)
    return entries


async def test_answer_has_text_citations_passages_and_timings(stack: Stack) -> None:
    response = await stack.ask()

    body = response.json()
    assert set(body) == {
        "answer", "answerable", "confidence", "citations", "passages", "timings", "degraded", "usage", "model",
        "request_id", "dropped_passages", "stages", "search_query", "queries", "reason", "refused", "unsupported",
        "cached",
    }  # fmt: skip
    assert body["answer"] == "Herons eat fish. [1] And frogs. [1]"
    assert (body["answerable"], body["confidence"], body["model"]) == (True, None, "writer")
    assert body["usage"] == {"prompt_tokens": 90, "completion_tokens": 7, "is_estimated": True}
    assert body["dropped_passages"] == [3]
    assert degraded_of(response) == []
    heron = body["passages"][0]
    assert heron["document_id"] == "heron"
    assert set(heron) == {
        "id", "document_id", "title", "uri", "text", "score", "scores", "span", "metadata", "duplicates", "heading",
        "page", "found_by", "collection",
    }  # fmt: skip
    assert set(heron["scores"]) == {
        "dense", "sparse", "learned", "fused", "rerank", "dense_weight", "rerank_weight", "maxsim", "coverage",
        "calibrated", "calibration",
    }  # fmt: skip
    assert heron["metadata"] == {"year": 2021}
    assert isinstance(heron["metadata"]["year"], int)
    assert heron["text"] == DOCUMENTS[0]["text"]
    assert heron["span"] == {"start": 0, "end": len(heron["text"])}
    for citation, start, said in zip(body["citations"], (17, 32), ("Herons eat fish.", "And frogs."), strict=True):
        sentence = citation.pop("sentence")
        assert body["answer"][sentence["start"] : sentence["end"]] == said
        quote = citation.pop("quote")
        assert heron["text"][quote["start"] : quote["end"]] == "Herons eat fish and frogs."
        assert citation == {
            "index": 1,
            "document_id": "heron",
            "passage_id": heron["id"],
            "title": "The heron",
            "uri": "https://x.org/heron",
            "span": heron["span"],
            "answer_span": {"start": start, "end": start + 3},
            "page": None,
            "heading": [],
            "support": 1.0,
            "verdict": "supported",
            "boxes": [],
            "collection": stack.collection,
        }
        assert body["answer"][start : start + 3] == "[1]"
    assert set(body["timings"]) == {"embed", "search", "rerank", "generate", "total"}
    assert all(value >= 0 for value in body["timings"].values())
    assert body["timings"]["total"] >= body["timings"]["search"] + body["timings"]["rerank"]
    assert [one["name"] for one in body["stages"]] == STAGES
    durations = {one["name"]: one["duration_ms"] for one in body["stages"]}
    both = durations.keys() & body["timings"].keys()
    assert {name: durations[name] for name in both} == {name: body["timings"][name] for name in both}
    starts = [one["start_ms"] for one in body["stages"]]
    assert starts == sorted(starts)


async def test_stream_has_the_same_content_as_the_unstreamed_answer(stack: Stack) -> None:
    whole = (await stack.ask()).json()

    events = await streamed(stack)

    assert [name for name, _ in events] == ["sources", "delta", "delta", "summary"]
    summary = events[-1][1]
    assert without_times(summary) == without_times(whole)
    assert events[0][1] == {"search_query": None, "passages": whole["passages"]}
    assert "".join(data["text"] for name, data in events if name == "delta") == whole["answer"]
    assert [one for name, data in events if name == "delta" for one in data["citations"]] == whole["citations"]


async def test_answer_is_ordered_judged_and_verified_beside_the_event_loop(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def note(owner: Any, name: str) -> None:
        work = getattr(owner, name)

        def noted(*arguments: Any, **more: Any) -> Any:
            threads.setdefault(name, set()).add(threading.get_ident())
            return work(*arguments, **more)

        monkeypatch.setattr(owner, name, noted)

    for owner, name in (
        (ordering, "near_duplicates"),
        (judging, "coverages"),
        (verification.Verifier, "uncited"),
    ):
        note(owner, name)
    assert (await stack.ask(strict=True)).status_code == 200

    assert set(threads) == {"near_duplicates", "coverages", "uncited"}
    assert threading.get_ident() not in set().union(*threads.values())  # on which everybody else would wait


async def test_generate_gets_question_history_mode_and_passages(stack: Stack) -> None:
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]

    await stack.ask(history=history, mode="extractive", top_n=2)

    request = stack.generate.called("Generate")[-1].request
    assert request.question == QUESTION
    assert [turn.content for turn in request.history] == ["Hello", "Hi"]
    assert request.mode == 3
    assert request.passages[0].title == "The heron"
    assert len(request.passages) == 2
    assert 0 < request.passages[0].score < 1


async def test_reranker_gets_each_candidate_under_its_title(stack: Stack) -> None:
    await stack.retrieve()

    texts = stack.rerank.called("Rerank")[-1].request.texts
    assert "The heron\nHerons eat fish and frogs." in texts
    assert "What do swifts eat? Insects, in flight." in texts


async def test_relevance_decides_alone(stack: Stack) -> None:
    stack.rerank.kind = rerank_pb.SCORE_KIND_RELEVANCE

    passages = (await stack.retrieve("what do swifts eat")).json()["passages"]

    assert passages[0]["document_id"] == "swift"
    for passage in passages:
        assert passage["score"] == passage["scores"]["rerank"]


async def test_retrieve_scores_descend_within_zero_and_one(stack: Stack) -> None:
    body = (await stack.retrieve("herons and otters eat fish")).json()

    scores = [passage["score"] for passage in body["passages"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert set(body) == {
        "passages", "timings", "stages", "degraded", "request_id", "search_query", "queries", "cached",
    }  # fmt: skip
    assert [one["name"] for one in body["stages"]] == STAGES[: STAGES.index("judge")]
    assert body["timings"]["generate"] is None


async def test_retrieve_without_rerank_asks_no_reranker_and_is_not_degraded(stack: Stack) -> None:
    response = await stack.retrieve(rerank=False)

    body = response.json()
    assert stack.rerank.called("Rerank") == []
    assert degraded_of(response) == []
    assert body["timings"]["rerank"] is None
    assert all(passage["scores"]["rerank"] is None for passage in body["passages"])
    fused = [passage["scores"]["fused"] for passage in body["passages"]]
    assert fused == sorted(fused, reverse=True)


async def test_retrieve_returns_at_most_top_n_of_the_candidates(stack: Stack) -> None:
    one = (await stack.retrieve(top_n=1)).json()["passages"]
    assert len(one) == 1
    assert len(stack.rerank.called("Rerank")[-1].request.texts) == 3

    await stack.retrieve(top_n=2, candidates=1)
    assert len(stack.rerank.called("Rerank")[-1].request.texts) == 2


async def test_score_of_a_passage_does_not_depend_on_how_many_are_wanted(stack: Stack) -> None:
    all_of_them, one = [(await stack.retrieve(top_n=count)).json()["passages"] for count in (3, 1)]
    assert len(all_of_them) == 3
    assert one == all_of_them[:1]


async def test_retrieve_with_filter_finds_only_what_it_allows(stack: Stack) -> None:
    async def found(condition: dict[str, Any]) -> set[str]:
        return {one["document_id"] for one in (await stack.retrieve(filter=condition)).json()["passages"]}

    assert await found({"metadata.year": {"gte": 2020}}) == {"heron"}
    assert await found({"metadata.lang": ["en", "zh"]}) == {"otter", "swift"}
    assert await found({"document_id": "swift", "metadata.lang": "en"}) == {"swift"}
    assert await found({"metadata.year": None}) == {"swift"}
    assert await found({"not": {"any": [{"metadata.year": None}, {"metadata.lang": "en"}]}}) == {"heron"}
    assert await found({}) == {"heron", "otter", "swift"}


FAULTS = [
    (Unavailable("gone"), "unavailable"),
    (Unavailable("not yet", reason="LOADING"), "loading"),
    (Overloaded("busy"), "overloaded"),
    (TriviumError("broken"), "unavailable"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_answer_without_embed_searches_by_words(stack: Stack, fault: TriviumError, reason: str) -> None:
    stack.embed.faults["Embed"] = fault
    before = stack.metric("trivium_gateway_degraded_total", stage="embed", reason=reason)

    response = await stack.ask(f"Which herons eat fish {reason} {type(fault).__name__}?")

    assert degraded_of(response) == [("embed", reason, "sparse")]
    body = response.json()
    assert body["passages"][0]["document_id"] == "heron"
    assert body["passages"][0]["scores"]["dense"] is None
    assert body["passages"][0]["scores"]["sparse"] > 0
    assert stack.metric("trivium_gateway_degraded_total", stage="embed", reason=reason) == before + 1


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_answer_without_rerank_keeps_the_order_of_the_search(
    stack: Stack, fault: TriviumError, reason: str
) -> None:
    stack.rerank.faults["Rerank"] = fault

    response = await stack.ask()

    assert degraded_of(response) == [("rerank", reason, "fused-order")]
    expected = (await stack.retrieve(rerank=False)).json()["passages"]
    assert response.json()["passages"] == expected


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_answer_without_generate_is_the_passages(stack: Stack, fault: TriviumError, reason: str) -> None:
    stack.generate.faults["Generate"] = fault

    response = await stack.ask()

    assert degraded_of(response) == [("generate", reason, "passages")]
    body = response.json()
    assert body["answerable"] is True
    assert body["model"] == "passages"
    assert body["answer"].startswith("Herons eat fish and frogs. [1]\n\n")
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "is_estimated": False}
    for citation in body["citations"]:
        span = citation["answer_span"]
        assert body["answer"][span["start"] : span["end"]] == f"[{citation['index']}]"
        assert citation["passage_id"] == body["passages"][citation["index"] - 1]["id"]
    assert without_times((await streamed(stack))[-1][1]) == without_times(body)


async def test_answer_without_any_model_is_still_an_answer(stack: Stack) -> None:
    stack.embed.faults["Embed"] = stack.rerank.faults["Rerank"] = Unavailable("gone")
    stack.generate.faults["Generate"] = Unavailable("gone")

    response = await stack.ask("Which herons eat frogs?")

    assert degraded_of(response) == [
        ("embed", "unavailable", "sparse"),
        ("rerank", "unavailable", "fused-order"),
        ("generate", "unavailable", "passages"),
    ]
    assert "fish and frogs" in response.json()["answer"]


async def test_answer_in_mode_model_without_generate_is_an_error(stack: Stack) -> None:
    stack.generate.faults["Generate"] = Unavailable("The model is loading.", reason="LOADING")

    response = await stack.ask(mode="model")

    assert response.status_code == 503
    assert response.json()["error"]["reason"] == "LOADING"
    events = await streamed(stack, mode="model")
    assert [name for name, _ in events] == ["sources", "error"]
    assert events[-1][1]["error"] == response.json()["error"]


async def test_answer_passes_on_what_generate_says_of_its_own_fallback(stack: Stack) -> None:
    degradation = {"stage": 5, "reason": 4, "fallback": "extractive"}
    stack.generate.script = [delta("Fish."), finish(degradation=degradation)]
    before = stack.metric("trivium_gateway_degraded_total", stage="generate", reason="loading")

    response = await stack.ask()

    assert degraded_of(response) == [("generate", "loading", "extractive")]
    assert stack.metric("trivium_gateway_degraded_total", stage="generate", reason="loading") == before + 1


async def test_answer_that_breaks_off_where_it_was_seen_is_an_error_and_no_second_answer(stack: Stack) -> None:
    stack.generate.script = [delta("Herons "), Unavailable("The engine died.")]

    events = await streamed(stack)

    assert [name for name, _ in events] == ["sources", "delta", "error"]
    assert events[-1][1]["error"]["code"] == 503
    assert "engine died" in events[-1][1]["error"]["message"]


@pytest.mark.parametrize("script", [[delta("Herons ")], [delta("Herons "), Unavailable("The engine died.")]])
async def test_answer_that_breaks_off_unseen_is_the_passages(stack: Stack, script: list[Any]) -> None:
    stack.generate.script = script

    body = (await stack.ask()).json()

    assert [(one["stage"], one["fallback"]) for one in body["degraded"]] == [("generate", "passages")]
    assert body["answer"].startswith("Herons eat fish and frogs. [1]\n\n")
    for citation in body["citations"]:
        span = citation["answer_span"]
        assert body["answer"][span["start"] : span["end"]] == f"[{citation['index']}]"
    strict = await streamed(stack, strict=True)
    assert [name for name, _ in strict] == ["sources", "delta", "summary"]
    assert strict[-1][1]["answer"] == body["answer"]
    model = await stack.ask(mode="model")
    assert model.status_code == 503


async def test_citation_of_a_passage_that_does_not_exist_is_left_out(stack: Stack) -> None:
    stack.generate.script = [delta("Fish. [1] [9]", (1, 6, 9), (9, 10, 13)), finish()]

    assert [one["index"] for one in (await stack.ask()).json()["citations"]] == [1]


@pytest.mark.parametrize("rankings", [[], [{"index": 0, "score": 0.5}], [{"index": 7, "score": 0.5}] * 3])
async def test_reranking_that_leaves_passages_out_is_not_used(stack: Stack, rankings: list[dict[str, Any]]) -> None:
    stack.rerank.rankings = [rerank_pb.Ranking(**one) for one in rankings]

    assert degraded_of(await stack.ask()) == [("rerank", "unavailable", "fused-order")]


async def test_question_that_a_service_refuses_is_the_callers_400(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = InvalidField("query", "The query has no words.", reason="NO_WORDS")

    response = await stack.ask()

    assert response.status_code == 400
    assert response.json()["error"]["field"] == "question"
    assert response.json()["error"]["reason"] == "NO_WORDS"


async def test_passages_that_a_service_refuses_are_not_the_callers_mistake(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = InvalidField("texts[3]", "too long")
    stack.generate.faults["Generate"] = InvalidField("passages", "too many")

    assert degraded_of(await stack.ask()) == [
        ("rerank", "unavailable", "fused-order"),
        ("generate", "unavailable", "passages"),
    ]


async def test_search_without_a_match_is_a_refusal_without_a_model_call(stack: Stack) -> None:
    response = await stack.ask("鹭吃什么?", filter={"document_id": "nothing"})

    body = response.json()
    assert response.status_code == 200
    assert body["answerable"] is False
    assert body["answer"].startswith("在文档中没有找到")
    assert (body["citations"], body["passages"], body["model"]) == ([], [], "")
    assert body["timings"]["generate"] is None
    assert body["timings"]["rerank"] is None
    assert stack.generate.called("Generate") == []
    assert stack.rerank.called("Rerank") == []
    events = await streamed(stack, "鹭吃什么?", filter={"document_id": "nothing"})
    assert [name for name, _ in events] == ["sources", "delta", "summary"]
    assert without_times(events[-1][1]) == without_times(body)


async def test_answers_are_counted_by_outcome(stack: Stack) -> None:
    def counted() -> tuple[float, float]:
        name = "trivium_gateway_answers_total"
        return stack.metric(name, outcome="answered"), stack.metric(name, outcome="refused")

    answered, refused = counted()
    await stack.ask()
    await stack.ask(filter={"document_id": "nothing"})

    assert counted() == (answered + 1, refused + 1)
    assert stack.metric("trivium_gateway_search_candidates_count") > 0
    for stage in ("embed", "search", "rerank", "generate"):
        assert stack.metric("trivium_gateway_stage_duration_seconds_count", stage=stage) > 0


async def test_client_that_leaves_cancels_the_work_for_it(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = HANG
    asking = asyncio.create_task(stack.ask())
    await stack.until(lambda: len(stack.rerank.called("Rerank")) == 1)

    asking.cancel()

    await asyncio.wait_for(stack.rerank.cancelled.wait(), 10)
    labels = {"method": "POST", "route": "/v1/answer", "status": "499"}
    await stack.until(
        lambda: bool(stack.process.registry.get_sample_value("trivium_gateway_http_requests_total", labels))
    )
    assert stack.generate.called("Generate") == []


async def test_client_that_leaves_a_stream_cancels_the_writing(stack: Stack) -> None:
    stack.generate.script = [delta("Herons "), HANG]
    body = {"question": QUESTION, "collection": stack.collection, "stream": True}

    async with stack.http.stream("POST", "/v1/answer", json=body) as response:
        async for line in response.aiter_lines():
            if line == "event: delta":
                break

    await asyncio.wait_for(stack.generate.cancelled.wait(), 10)
    await stack.until(lambda: stack.metric("trivium_gateway_questions_in_flight") == 0)


async def test_stages_that_hang_are_given_up_in_their_time(qdrant: Qdrant) -> None:
    settings = GatewaySettings(
        embed_timeout_seconds=0.2, rerank_timeout_seconds=0.2, generate_begin_timeout_seconds=0.2
    )
    async with running_stack(qdrant, settings) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        stack.embed.faults["Embed"] = stack.rerank.faults["Rerank"] = stack.generate.faults["Generate"] = HANG

        response = await stack.ask()

        assert degraded_of(response) == [
            ("embed", "timeout", "sparse"),
            ("rerank", "timeout", "fused-order"),
            ("generate", "timeout", "passages"),
        ]
        timings = response.json()["timings"]
        assert all(180 < timings[stage] < 1000 for stage in ("embed", "rerank", "generate"))


async def test_writing_that_stops_in_the_middle_is_an_error_in_its_time(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, GatewaySettings(generate_timeout_seconds=1.5)) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        stack.generate.script = [delta("Herons "), HANG]

        events = await streamed(stack)

        assert [name for name, _ in events] == ["sources", "delta", "error"]
        assert events[-1][1]["error"]["code"] == 504


async def test_request_timeout_is_divided_so_that_a_fallback_still_comes(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, GatewaySettings(request_timeout_seconds=1.5)) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        stack.embed.faults["Embed"] = stack.rerank.faults["Rerank"] = stack.generate.faults["Generate"] = HANG

        response = await stack.ask()

        assert [reason for _, reason, _ in degraded_of(response)] == ["timeout"] * 3
        assert response.json()["timings"]["total"] < 1500
