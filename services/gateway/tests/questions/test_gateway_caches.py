"""What is asked again is answered from a cache, as long as nothing has changed, and as if there were none."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2 as generate
from trivium.type.v1 import degradation_pb2
from trivium_gateway.domain.readers import whole
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import Unavailable

from .conftest import DOCUMENTS, delta, finish, running_stack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_STEPS = int(os.environ.get("TRIVIUM_CACHE_STEPS", "80"))
_SEED = int(os.environ.get("TRIVIUM_CACHE_SEED", "11"))

_MADE_ANEW = frozenset(["timings", "stages", "request_id", "cached", "usage"])
_NOTHING = {"retrieval": False, "answer": False, "similar_question": None}
_ALL = {"retrieval": True, "answer": True, "similar_question": None}


@dataclass
class Pair:
    """Two gateways with caches on one Qdrant, and a collection that both know."""

    one: Stack
    other: Stack
    connection: QdrantConnection

    @property
    def collection(self) -> str:
        return self.one.collection

    async def begin(self) -> None:
        """Makes a collection with DOCUMENTS in it."""
        name = f"test-{os.urandom(6).hex()}"
        for stack in (self.one, self.other):
            stack.collection = name
            for peer in (stack.embed, stack.rerank, stack.generate):
                peer.reset()
        await self.one.create_collection()
        assert [one["status"] for one in await self.one.add(*DOCUMENTS)] == ["indexed"] * 3

    async def warm(self, question: str = "What do herons eat?", **fields: Any) -> dict[str, Any]:
        """Asks until the answer comes from the cache: a gateway may have the mark of a moment ago at first."""
        for _ in range(3):
            answer: dict[str, Any] = (await self.one.ask(question, **fields)).json()
            if answer["cached"]["retrieval"]:
                break
        assert answer["cached"]["retrieval"]
        return answer

    async def physical(self) -> str:
        """The name of the collection in Qdrant."""
        return next(
            one for one in await QdrantCollections(self.connection).names() if one.startswith(f"{self.collection}__")
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(qdrant: Qdrant) -> AsyncIterator[Pair]:
    async with (
        running_stack(qdrant, cache="on") as one,
        running_stack(qdrant, cache="on") as other,
    ):
        connection = QdrantConnection(f"http://127.0.0.1:{qdrant.http_port}", qdrant.port)
        yield Pair(one, other, connection)
        await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def pair(gateways: Pair) -> Pair:
    await gateways.begin()
    return gateways


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _MADE_ANEW}


def _events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


async def test_question_that_is_asked_again_is_answered_from_the_cache_and_the_same(pair: Pair) -> None:
    first = (await pair.one.ask()).json()
    assert first["cached"] == _NOTHING
    await pair.warm()
    for peer in (pair.one.embed, pair.one.rerank, pair.one.generate):
        peer.calls.clear()
    again = (await pair.one.ask()).json()
    assert again["cached"] == _ALL
    assert _content(again) == _content(first)
    assert again["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "is_estimated": False}
    called = [call.method for peer in (pair.one.embed, pair.one.rerank, pair.one.generate) for call in peer.calls]
    assert set(called) <= {"GetModel"}
    assert pair.one.metric("trivium_gateway_cache_lookups_total", cache="answer", outcome="hit") >= 1
    assert pair.one.metric("trivium_gateway_cache_lookups_total", cache="retrieval", outcome="hit") >= 1
    assert pair.one.metric("trivium_gateway_cache_bytes", content="results") > 0


async def test_streams_and_rpcs_say_that_they_come_from_the_cache(pair: Pair) -> None:
    first = _events(await pair.one.ask(stream=True))
    await pair.warm()
    again = _events(await pair.one.ask(stream=True))
    assert again[-1]["cached"] == _ALL
    assert _content(again[-1]) == _content(first[-1])
    assert again[0] == first[0]
    texts = ["".join(one["text"] for one in events if set(one) == {"text", "citations"}) for events in (first, again)]
    assert texts[0] == texts[1] == first[-1]["answer"]
    request = pb.AnswerRequest(question="What do herons eat?", collection=pair.collection)
    summary = [one async for one in pair.one.stub.Answer(request)][-1].summary
    assert (summary.cached.retrieval, summary.cached.answer) == (True, True)
    found = await pair.one.stub.Retrieve(pb.RetrieveRequest(query="What do herons eat?", collection=pair.collection))
    assert (found.cached.retrieval, found.cached.answer) == (True, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"top_n": 2},
        {"candidates": 7},
        {"rerank": False},
        {"collapse": False},
        {"filter": {"metadata.lang": "en"}},
        {"queries": ["otters"]},
    ],
    ids=str,
)
async def test_question_with_another_option_is_another_one(pair: Pair, fields: dict[str, Any]) -> None:
    await pair.warm()
    assert (await pair.one.retrieve()).json()["cached"]["retrieval"] is True
    assert (await pair.one.retrieve(**fields)).json()["cached"]["retrieval"] is False


async def test_settings_of_the_collection_are_heeded(pair: Pair) -> None:
    await pair.warm()
    changed = await pair.one.http.patch(
        f"/v1/collections/{pair.collection}", json={"settings": {"dense_weight": 0.5, "rerank_weight": 0.5}}
    )
    assert changed.status_code == 200, changed.text
    assert (await pair.one.ask()).json()["cached"] == _NOTHING


@pytest.mark.parametrize("change", ["update", "delete", "add", "permit"])
async def test_write_of_another_gateway_counts_at_once(pair: Pair, change: str) -> None:
    before = await pair.warm()
    where = {"collection": pair.collection}
    if change == "update":
        await pair.other.add({**DOCUMENTS[0], "text": "Herons eat eels."})
    elif change == "delete":
        await pair.other.http.delete("/v1/documents/heron", params=where)
    elif change == "add":
        await pair.other.add({"id": "new", "text": "What do herons eat? Voles."})
    else:
        permitted = await pair.other.http.patch("/v1/documents/otter", params=where, json={"readers": ["user:ann"]})
        assert permitted.status_code == 200, permitted.text
    now = (await pair.one.ask()).json()
    assert now["cached"]["retrieval"] is False
    texts = [[one["text"] for one in body["passages"]] for body in (before, now)]
    if change == "permit":  # who needs no key reads all
        assert sorted(texts[0]) == sorted(texts[1])
    else:
        assert texts[0] != texts[1]
        assert pair.one.metric("trivium_gateway_cache_lookups_total", cache="retrieval", outcome="stale") >= 1


async def test_document_that_goes_behind_the_marks_back_is_not_shown(pair: Pair) -> None:
    """As a gateway of an earlier version deletes it, which moves no mark."""
    before = await pair.warm()
    chunks = QdrantChunks(pair.connection, await pair.physical(), whole("default"))
    heads = await chunks.read(("document_id", "content_hash"), document_ids=["heron"], heads_only=True)
    await chunks.delete([head.version for head in heads])
    assert "heron" in [one["document_id"] for one in before["passages"]]
    now = (await pair.one.ask()).json()
    assert now["cached"]["retrieval"] is False
    assert "heron" not in [one["document_id"] for one in now["passages"]]


async def test_write_that_a_kill_has_broken_off_silences_the_cache_until_it_is_over(pair: Pair) -> None:
    await pair.warm()
    collections, physical = QdrantCollections(pair.connection), await pair.physical()
    await collections.keep_contents(physical, f"moving:{int(time.time()):x}:ab")
    for _ in range(3):
        assert (await pair.one.ask()).json()["cached"]["retrieval"] is False
    await collections.keep_contents(physical, f"moving:{int(time.time()) - 4000:x}:ab")  # an hour ago
    await pair.warm()
    await collections.keep_contents(physical, f"moving:{int(time.time()):x}:ab")
    await pair.other.add({"id": "new", "text": "Owls eat mice."})
    await pair.warm()


async def test_degraded_results_are_not_kept(pair: Pair) -> None:
    pair.one.rerank.faults["Rerank"] = Unavailable("away")
    for _ in range(3):
        body = (await pair.one.ask("What do otters do?")).json()
        assert ([one["stage"] for one in body["degraded"]], body["cached"]["retrieval"]) == (["rerank"], False)
    pair.one.rerank.faults.clear()
    body = (await pair.one.ask("What do otters do?")).json()
    assert (body["degraded"], body["cached"]["retrieval"]) == ([], False)


async def test_answers_that_are_not_whole_or_by_other_means_are_not_kept(pair: Pair) -> None:
    question = "Do herons eat fish or frogs?"  # which no other test asks: answers are kept by what is sent, wherever
    cut = finish(reason=generate.FINISH_REASON_LENGTH)
    replaced = finish(
        degradation=degradation_pb2.Degradation(
            reason=degradation_pb2.DEGRADATION_REASON_UNAVAILABLE, fallback="extractive"
        )
    )
    for end in (cut, replaced):
        pair.one.generate.script = [delta("Herons eat fish. [1]", (1, 17, 20)), end]
        for _ in range(3):
            assert (await pair.one.ask(question)).json()["cached"]["answer"] is False
    pair.one.generate.reset()
    assert (await pair.one.ask(question)).json()["cached"]["answer"] is False


async def test_answer_that_is_to_be_drawn_is_written_anew(pair: Pair) -> None:
    async def chat(temperature: float) -> dict[str, Any]:
        messages = [{"role": "user", "content": "Who eats fish?"}]
        asked = {"messages": messages, "model": f"trivium/{pair.collection}", "temperature": temperature}
        answered = await pair.one.http.post("/v1/chat/completions", json=asked)
        assert answered.status_code == 200, answered.text
        cached: dict[str, Any] = answered.json()["trivium"]["cached"]
        return cached

    for _ in range(3):
        assert (await chat(0.7))["answer"] is False
    seen = [await chat(0) for _ in range(4)]
    assert seen[-1] == _ALL


async def test_refusal_is_made_anew_of_passages_that_are_cached(pair: Pair) -> None:
    nowhere = {"document_id": "nowhere"}
    first = (await pair.one.ask(filter=nowhere)).json()
    again = await pair.warm(filter=nowhere)
    assert (first["refused"], again["refused"]) == (True, True)
    assert again["cached"] == {"retrieval": True, "answer": False, "similar_question": None}
    assert _content(again) == _content(first)


async def test_trace_of_a_cached_answer_says_why_a_document_is_not_in_it(pair: Pair) -> None:
    first = (await pair.one.ask(top_n=1)).json()
    again = await pair.warm(top_n=1)
    told = []
    for body in (first, again):
        shown = await pair.one.http.get(f"/v1/traces/{body['request_id']}", params={"document_id": "otter"})
        assert shown.status_code == 200, shown.text
        told.append(shown.json()["explanation"])
    assert told[0] == told[1]


async def test_similar_question_is_answered_only_where_that_is_wanted_and_numbers_are_the_same(qdrant: Qdrant) -> None:
    settings = GatewaySettings(cache_similarity=0.8)
    async with running_stack(qdrant, settings, cache="on") as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        for _ in range(3):
            await stack.ask("What do herons eat in 2021?")
        similar = (await stack.ask("So, what do herons eat in 2021?")).json()
        assert similar["cached"] == {
            "retrieval": True,
            "answer": True,
            "similar_question": "What do herons eat in 2021?",
        }
        for other in ("What do herons eat in 2022?", "Where do otters sleep?"):
            assert (await stack.ask(other)).json()["cached"] == _NOTHING
        assert stack.metric("trivium_gateway_cache_lookups_total", cache="retrieval", outcome="similar") == 1


async def test_model_that_was_replaced_writes_anew(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, cache="on") as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        for _ in range(3):
            body = (await stack.ask()).json()
        assert body["cached"] == _ALL

        stack.generate.model_name = "poet"
        readiness = stack.process.gateway.readiness
        await stack.until(lambda: any(one.model == "poet" for one in readiness.stages()))
        assert (await stack.ask()).json()["cached"] == {**_ALL, "answer": False}


async def test_cache_that_is_off_keeps_nothing(qdrant: Qdrant) -> None:
    for settings, cache in ((GatewaySettings(cache_bytes=0), "on"), (GatewaySettings(), "off")):
        async with running_stack(qdrant, settings, cache=cache) as stack:
            await stack.create_collection()
            await stack.add(*DOCUMENTS)
            for _ in range(3):
                assert (await stack.ask()).json()["cached"] == _NOTHING
    async with running_stack(qdrant, cache="retrieval") as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        for _ in range(3):
            body = (await stack.ask()).json()
        assert body["cached"] == {**_ALL, "answer": False}


_KEYS: dict[str, dict[str, Any]] = {
    "north": {"tenant": "north", "scopes": ["read", "ingest", "admin"]},
    "ann": {"tenant": "north", "scopes": ["read", "ingest"], "user": "ann"},
    "bob": {"tenant": "north", "scopes": ["read", "ingest"], "user": "bob"},
    "south": {"tenant": "south", "scopes": ["read", "ingest", "admin"]},
}
_QUESTIONS = ("What do herons eat?", "Where does the otter sleep?", '"frogs" of the pond', "plans of the house")
_WORDS = ("heron", "otter", "frogs", "fish", "pond", "house", "plans", "sleep", "eat", "swift")


class History:
    """What people do at random, through gateways with caches, and what one without says of the same."""

    def __init__(self, caching: list[Stack], plain: Stack, keys: dict[str, str]) -> None:
        self.random = random.Random(_SEED)
        self.caching = caching
        self.plain = plain
        self.keys = keys
        self.hits = 0

    async def call(self, stack: Stack, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        return await stack.http.request(method, path, headers=headers, json=body)

    async def known(self, stack: Stack, who: str) -> None:
        """Waits until a gateway knows a key that another has made."""
        async with asyncio.timeout(60):
            while (await self.call(stack, who, "GET", "/v1/collections")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def answered(self, stack: Stack, who: str, path: str, body: Any) -> list[dict[str, Any]]:
        """What a question is answered where nothing is replaced for its slowness, as on a machine that is busy."""
        async with asyncio.timeout(200):
            while True:
                response = await self.call(stack, who, "POST", path, body)
                if response.status_code == 200:
                    told = _events(response) if body.get("stream") else [response.json()]
                    if not told[-1].get("degraded", True):
                        return told
                assert response.status_code in {200, 429, 503}, response.text
                await asyncio.sleep(0.05)

    async def write(self) -> None:
        """Something is added, changed, deleted, or shown to others."""
        stack, who = self.random.choice([*self.caching, self.plain]), self.random.choice(["north", "north", "south"])
        document = f"doc-{self.random.randrange(6)}"
        readers = self.random.choice([["*"], ["user:ann"], ["user:bob"], ["user:ann", "user:bob"]])
        kind = self.random.randrange(4)
        if kind < 2:
            text = " ".join(self.random.choices(_WORDS, k=self.random.choice([3, 8, 300])))
            made = {"id": document, "text": f"{text}.", "readers": readers}
            await self.call(stack, who, "POST", "/v1/documents", {"documents": [made]})
        elif kind == 2:
            await self.call(stack, who, "DELETE", f"/v1/documents/{document}")
        else:
            await self.call(stack, who, "PATCH", f"/v1/documents/{document}", {"readers": readers})

    async def compare(self) -> None:
        """A question, asked of a gateway with a cache, is answered as by one without."""
        question, who = self.random.choice(_QUESTIONS[:2] * 3 + _QUESTIONS), self.random.choice(list(_KEYS))
        kind = self.random.choice(["retrieve", "answer", "stream"])
        body = {"query": question} if kind == "retrieve" else {"question": question, "stream": kind == "stream"}
        path = "/v1/retrieve" if kind == "retrieve" else "/v1/answer"
        told = await self.answered(self.random.choice(self.caching), who, path, body)
        expected = await self.answered(self.plain, who, path, body)
        told_body, expected_body = told[-1], expected[-1]
        assert kind != "stream" or told[0] == expected[0]
        self.hits += told_body["cached"]["retrieval"]
        assert _content(told_body) == _content(expected_body), (who, body)


async def test_what_one_gateway_found_and_wrote_the_other_shows_by_redis(
    qdrant: Qdrant, cache_redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = cache_redis
    settings = GatewaySettings(cache_redis_url=url)
    async with (
        running_stack(qdrant, settings, cache="on") as one,
        running_stack(qdrant, settings, cache="on") as other,
    ):
        connection = QdrantConnection(f"http://127.0.0.1:{qdrant.http_port}", qdrant.port)
        pair = Pair(one, other, connection)
        await pair.begin()
        told = await pair.warm()

        shown = (await other.ask()).json()
        assert shown["cached"] == _ALL
        assert _content(shown) == _content(told)
        assert other.rerank.called("Rerank") == []
        assert other.generate.called("Generate") == []

        await other.add(
            {"id": "heron", "title": "The heron", "text": "Herons eat snails."}
        )  # seen by the first one, too
        assert "snails" in (await one.ask()).json()["passages"][0]["text"]

        process.kill()
        process.wait()
        alone = await other.ask()
        assert alone.status_code == 200
        assert alone.json()["cached"] == _NOTHING
        assert alone.json()["degraded"] == []
        await connection.close()


@pytest.mark.parametrize("kept", ["in memory", "in redis"])
async def test_caches_of_two_gateways_say_what_none_would_whatever_is_done(
    own_qdrant: Qdrant, tmp_path: Path, kept: str, request: pytest.FixtureRequest
) -> None:
    settings = GatewaySettings(
        cache_redis_url=request.getfixturevalue("cache_redis")[0] if kept == "in redis" else "",
        auth="keys",
        data_dir=tmp_path,
        embed_timeout_seconds=100,
        search_timeout_seconds=100,
        rerank_timeout_seconds=100,
    )
    async with AsyncExitStack() as entered:
        stacks = [
            await entered.enter_async_context(running_stack(own_qdrant, settings, cache=cache))
            for cache in ("on", "on", "off")
        ]
        history = History(stacks[:2], stacks[2], {"first": (tmp_path / "gateway" / "first-key").read_text().strip()})
        for name, body in _KEYS.items():
            made = await history.call(stacks[0], "first", "POST", "/v1/keys", {"name": name, **body})
            history.keys[name] = made.json()["key"]
            for stack in stacks[1:]:
                await history.known(stack, name)
        for tenant in (
            "north",
            "south",
        ):  # that not all may read all is known from the start
            document = {"id": "first", "text": "The plans of the house.", "readers": ["user:carol"]}
            await history.call(stacks[0], tenant, "POST", "/v1/documents", {"documents": [document]})
        for _ in range(_STEPS):
            if history.random.random() < 0.1:
                await history.write()
            elif history.random.random() < 0.05:  # at the same time, after which nothing stale may be left
                asked = [
                    history.call(history.random.choice(stacks), "ann", "POST", "/v1/retrieve", {"query": _QUESTIONS[0]})
                    for _ in range(3)
                ]
                await asyncio.gather(history.write(), *asked, history.write())
            else:
                await history.compare()
        assert history.hits >= _STEPS // 20
