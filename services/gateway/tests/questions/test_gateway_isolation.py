"""What one tenant or user is told is the same whether another exists or not: at random; of tenants bit for bit.

Somebody does the same at random in two worlds; in one of them somebody else is busy at the same time. Everything that
the first one is told must be the same. `TRIVIUM_ISOLATION_STEPS` says how much they do; `TRIVIUM_ISOLATION_SEED`, what.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from contract.qdrant_under_test import running_server
from trivium_gateway.settings import GatewaySettings

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .conftest import Qdrant, Stack

_STEPS = int(os.environ.get("TRIVIUM_ISOLATION_STEPS", "60"))
_SEED = int(os.environ.get("TRIVIUM_ISOLATION_SEED", "7"))

_WORDS = [
    "heron",
    "otter",
    "swift",
    "vault",
    "harbour",
    "ledger",
    "budget",
    "quay",
    "noon",
    "fish",
    "frog",
    "key",
    "salary",
    "plan",
]
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MADE_UP = re.compile(r"127\.0\.0\.1:\d+|\b(chatcmpl|resp|msg|evt|job)[-_][0-9a-f]{8,}|\b[0-9a-f]{16}\b")
_TIMES = frozenset(
    ["timings", "created", "created_at", "completed_at", "started", "started_at", "ended", "duration_ms", "start_ms"]
)


@dataclass(frozen=True)
class Act:
    """Something that somebody does."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """Somebody who does things.

    Attributes:
        name: Names their documents and requests.
        key: The key that they ask with.
        readers: Who may read what they add; None to leave that out.
    """

    name: str
    key: str
    readers: list[str] | None


class Doings:
    """What somebody does, drawn at random; the same for the same seed."""

    def __init__(self, seed: str, person: Person, others: str) -> None:
        self._random = random.Random(seed)
        self._person = person
        self._others = others
        self._asked: list[str] = []
        self._count = 0

    def next(self) -> Act:
        """What comes next."""
        self._count += 1
        request_id = f"{self._person.name}-{self._count}"
        made = self._random.choice(self._kinds)(self)
        if made.path in {"/v1/answer", "/v1/retrieve"}:
            self._asked.append(request_id)
        return Act(made.method, made.path, made.body, {**made.headers, "X-Request-ID": request_id})

    def _text(self, count: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=count)) + "."

    def _id(self) -> str:
        whose = self._random.choice([self._person.name] * 6 + [self._others, "nobody"])
        return f"{whose}-doc-{self._random.randrange(8)}"

    def _document(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "id": f"{self._person.name}-doc-{self._random.randrange(8)}",
            "title": self._text(2),
            "text": self._text(self._random.choice([3, 8, 20, 400])),
            "metadata": {"year": self._random.randrange(2020, 2024), "lang": self._random.choice(["en", "de"])},
        }
        broken = self._random.random()
        if broken < 0.05:
            made["text"] = " "
        elif broken < 0.1:
            made["metadata"] = {"year": "late"}
        return made if self._person.readers is None else {**made, "readers": self._person.readers}

    def _ingest(self) -> Act:
        documents = [self._document() for _ in range(self._random.randrange(1, 4))]
        return Act("POST", "/v1/documents", {"documents": documents, "wait": self._random.random() < 0.8})

    def _permit(self) -> Act:
        readers = self._person.readers if self._random.random() < 0.8 else ["nobody"]
        return Act("PATCH", f"/v1/documents/{self._id()}", {"readers": readers or ["*"]})

    def _delete(self) -> Act:
        return Act("DELETE", f"/v1/documents/{self._id()}")

    def _read(self) -> Act:
        return Act("GET", f"/v1/documents/{self._id()}")

    def _list(self) -> Act:
        paths = ["/v1/documents", "/v1/documents?page_size=2", "/v1/collections", "/v1/collections/default"]
        return Act("GET", self._random.choice([*paths, "/v1/models", "/v1/jobs", "/v1/feedback", "/v1/collections/x"]))

    def _search(self) -> Act:
        body: dict[str, Any] = {"query": self._text(self._random.choice([1, 3, 5])), "top_n": 5}
        filters: list[Any] = [
            None,
            {"metadata.year": {"gte": 2021}},
            {"metadata.lang": ["en"]},
            {"document_id": self._id()},
        ]
        filters += [{"metadata.unknown": 1}, {"not": {"metadata.lang": "de"}}]
        body |= {"filter": self._random.choice(filters), "rerank": self._random.random() < 0.5}
        body |= {"candidates": self._random.choice([1, 5, 50]), "collapse": self._random.random() < 0.5}
        if self._random.random() < 0.2:
            body["queries"] = [self._text(2)]
        if self._random.random() < 0.2:
            body["query"] = f'{self._text(2)} "{self._text(1)[:-1]}" -{self._text(1)[:-1]}'
        return Act("POST", "/v1/retrieve", body)

    def _ask(self) -> Act:
        body = {"question": f"What of {self._text(3)}", "stream": self._random.random() < 0.3}
        return Act("POST", "/v1/answer", body)

    def _chat(self) -> Act:
        asked = [{"role": "user", "content": self._text(4)}]
        search = Act("POST", "/v1/vector_stores/default/search", {"query": self._text(3)})
        chat = Act("POST", "/v1/chat/completions", {"model": "trivium", "messages": asked})
        return self._random.choice([chat, search])

    def _err(self) -> Act:
        wrong: list[dict[str, Any]] = [
            {"query": ""},
            {"query": "x", "top_n": 0},
            {"query": "x", "filter": {"year": 1}},
            {"quest": "x"},
        ]
        return Act("POST", "/v1/retrieve", self._random.choice(wrong))

    def _trace(self) -> Act:
        asked = self._random.choice(self._asked[-20:] or ["none"])
        if self._random.random() < 0.1:
            asked = f"{self._others}-{self._random.randrange(1, 40)}"
        what = self._random.choice(["", f"?document_id={self._id()}", "?include=texts", "feedback", "/replay"])
        if what == "feedback":
            return Act("POST", "/v1/feedback", {"request_id": asked, "rating": self._random.choice([1, -1])})
        return Act(
            "POST" if what == "/replay" else "GET", f"/v1/traces/{asked}{what}", {} if what == "/replay" else None
        )

    _kinds: Sequence[Callable[[Doings], Act]] = (
        *(_ingest, _ingest, _ingest, _permit, _delete, _read, _list, _search, _search, _search, _search),
        *(_ask, _ask, _chat, _err, _trace, _trace),
    )


@dataclass
class World:
    """A gateway with its own Qdrant."""

    stack: Stack
    keys: dict[str, str]

    async def do(self, person: Person, act: Act) -> Any:
        """Has somebody do something, and gives what they are told, without times and made up names."""
        headers = {"Authorization": f"Bearer {self.keys[person.key]}", **act.headers}
        response = await self.stack.http.request(act.method, act.path, headers=headers, json=act.body)
        if response.status_code == 202:
            return await self._job(person, response.json()["job"])
        lines = [line.removeprefix("data: ") for line in response.text.splitlines()]
        is_stream = response.headers["Content-Type"].startswith("text/event-stream")
        told = [json.loads(one) for one in lines if one.startswith("{")] if is_stream else response.json()
        return response.status_code, _plain(told)

    async def _job(self, person: Person, job: str) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[person.key]}"}
        async with asyncio.timeout(60):
            while True:
                shown = (await self.stack.http.get(f"/v1/jobs/{job}", headers=headers)).json()
                if shown["state"] in {"done", "failed"}:
                    return _plain(shown)
                await asyncio.sleep(0.02)

    async def counted(self, tenant: str) -> list[str]:
        """What the metrics say of a tenant, but for how long anything took."""
        headers = {"Authorization": f"Bearer {self.keys['first']}"}
        text = (await self.stack.http.get("/metrics", headers=headers)).text
        lines = [line for line in text.splitlines() if f'tenant="{tenant}"' in line]
        return sorted(line for line in lines if not re.match(r"\w+_(created|seconds_sum|seconds_bucket)\b", line))


def _plain(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _plain(value) for name, value in told.items() if name not in _TIMES}
    if isinstance(told, list):
        return [_plain(one) for one in told]
    return _MADE_UP.sub("made-up", _UUID.sub("uuid", told)) if isinstance(told, str) else told


def _difference(told: Any, expected: Any, tolerance: float, where: str = "") -> str:
    """Where two things that were told differ first, numbers by more than a part of them; nothing if they do not."""
    if isinstance(told, float) and isinstance(expected, float) and math.isclose(told, expected, rel_tol=tolerance):
        return ""
    if isinstance(told, dict) and isinstance(expected, dict) and told.keys() == expected.keys():
        parts = [(f"{where}.{name}", told[name], expected[name]) for name in told]
    elif isinstance(told, list | tuple) and isinstance(expected, list | tuple) and len(told) == len(expected):
        parts = [(f"{where}[{n}]", *pair) for n, pair in enumerate(zip(told, expected, strict=True))]
    else:
        return "" if told == expected else f"{where}: {told!r:.400} and not {expected!r:.400}"
    return next(filter(None, (_difference(one, other, tolerance, place) for place, one, other in parts)), "")


_KEYS: dict[str, dict[str, Any]] = {
    "north": {"tenant": "north", "scopes": ["read", "ingest", "admin"]},
    "south": {"tenant": "south", "scopes": ["read", "ingest", "admin"]},
    "house": {"tenant": "house", "scopes": ["read", "ingest", "admin"]},
    "ann": {"tenant": "house", "scopes": ["read", "ingest"], "user": "ann", "groups": ["hr"]},
    "bob": {"tenant": "house", "scopes": ["read", "ingest"], "user": "bob", "groups": ["ops"]},
}
_TENANTS = ("north", "south", "house")
_PAIRS = {
    "tenants": (Person("one", "north", None), Person("two", "south", None)),
    "users": (Person("one", "ann", ["group:hr"]), Person("two", "bob", ["user:bob"])),
    "user beside admin": (Person("one", "ann", ["user:ann"]), Person("two", "house", ["group:ops"])),
}
_FIRST = {"id": "first", "text": "The plan of the house.", "metadata": {"year": 2020, "lang": "en"}}


async def _world(qdrant: Qdrant, folder: Path, entered: AsyncExitStack) -> World:
    # On a machine that is busy with other tests nothing is to be replaced for its slowness.
    settings = GatewaySettings(
        auth="keys",
        data_dir=folder,
        embed_timeout_seconds=100,
        search_timeout_seconds=100,
        rerank_timeout_seconds=100,
        rewrite_timeout_seconds=100,
    )
    world = World(await entered.enter_async_context(running_stack(qdrant, settings)), {})
    world.keys["first"] = (folder / "gateway" / "first-key").read_text().strip()
    for name, body in _KEYS.items():
        headers = {"Authorization": f"Bearer {world.keys['first']}"}
        made = await world.stack.http.post("/v1/keys", headers=headers, json={"name": name, **body})
        world.keys[name] = made.json()["key"]
    for tenant in _TENANTS:  # of the pair before
        await _delete(world, tenant)
    for tenant in ("north", "house"):  # that the collection is there, and its keys, is known to all of its tenant
        documents = [_FIRST, {**_FIRST, "id": "second", "readers": ["user:carol"]}]
        await world.do(Person("first", tenant, None), Act("POST", "/v1/documents", {"documents": documents}))
    return world


@pytest.mark.skipif(running_server() is not None, reason="compares two servers, and one is given")
@pytest.mark.parametrize("pair", _PAIRS)
async def test_what_one_is_told_is_the_same_whether_another_exists_or_not(
    qdrant: Qdrant, own_qdrant: Qdrant, tmp_path: Path, pair: str
) -> None:
    one, other = _PAIRS[pair]
    async with AsyncExitStack() as entered:
        alone = await _world(qdrant, tmp_path / "alone", entered)
        beside = await _world(own_qdrant, tmp_path / "beside", entered)
        doings = Doings(f"{_SEED} {pair}", one, other.name)
        # An admin may change what is others', and must not here.
        others = Doings(f"{_SEED} other {pair}", other, "stranger" if other.key == "house" else one.name)
        dice = random.Random(_SEED)
        seen: set[int] = set()
        for step in range(_STEPS):
            act = doings.next()
            noise = [others.next() for _ in range(dice.randrange(4))]
            expected = await alone.do(one, act)
            if dice.random() < 0.5:
                for noisy in noise:
                    await beside.do(other, noisy)
                told = await beside.do(one, act)
            else:
                told, *_ = await asyncio.gather(beside.do(one, act), *(beside.do(other, noisy) for noisy in noise))
            # A user's words are summed up in the order in which the collection has first seen them.
            difference = _difference(told, expected, 0.0 if pair == "tenants" else 1e-5)
            assert not difference, (step, act, difference)
            seen.add(expected[0] if isinstance(expected, tuple) else 202)
        if pair == "tenants":
            assert await beside.counted("north") == await alone.counted("north")
        if _STEPS >= 50:
            assert seen >= {200, 400, 404}
        for tenant in _TENANTS:
            await _delete(alone, tenant)


async def _delete(world: World, tenant: str) -> None:
    await world.do(Person("last", tenant, None), Act("DELETE", "/v1/collections/default"))
