"""Tenants beside each other: who is next, who is refused, and what is kept for whom."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.answering.embedding import EmbedTask, TextEmbedder
from trivium_gateway.domain.readers import whole
from trivium_gateway.ingestion.jobs.database import JobDatabase
from trivium_gateway.ingestion.jobs.job import KeptDocument
from trivium_gateway.ingestion.jobs.queue import JobQueue
from trivium_gateway.ingestion.jobs.store import JobStore
from trivium_gateway.ingestion.turns import Turns
from trivium_gateway.models.embed_answers import EmbeddedTexts
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.call_limit import CallLimit
from trivium_gateway.request.fair_places import FairPlaces
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.request.question_limit import QuestionLimit
from trivium_serving.errors import Overloaded
from trivium_serving.request_context import set_tenant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def admission(registry: CollectorRegistry) -> QuestionAdmission:
    return QuestionAdmission(256, QuestionMetrics(registry))


async def _order(places: FairPlaces, tenants: str) -> str:
    """In which order those get a place who wait for the only one that there is."""
    served: list[str] = []

    async def ask(tenant: str) -> None:
        async with places.place(tenant):
            served.append(tenant)

    async with places.place("first"):
        waiting = [asyncio.create_task(ask(tenant)) for tenant in tenants]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    return "".join(served)


async def test_places_of_one_tenant_are_a_plain_queue() -> None:
    places = FairPlaces(lambda: 1)
    order: list[int] = []

    async def ask(number: int) -> None:
        async with places.place("a"):
            order.append(number)

    async with places.place("a"):
        waiting = [asyncio.create_task(ask(number)) for number in range(5)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]


async def test_places_go_to_tenants_in_turn_however_many_of_one_wait() -> None:
    assert await _order(FairPlaces(lambda: 1), "aaaaaaabbc") == "abcabaaaaa"


async def test_places_go_to_tenants_by_their_weights() -> None:
    served = await _order(
        FairPlaces(lambda: 1, weight_of={"a": 3.0, "b": 1.0, "first": 1.0}.__getitem__), "a" * 9 + "b" * 9
    )
    assert 6 <= served[:8].count("a") <= 7


async def test_place_is_kept_for_others_only_while_there_are_any() -> None:
    now = [0.0]
    places = FairPlaces(lambda: 3, keeps_one=True, clock=lambda: now[0])
    for _ in range(3):
        await asyncio.wait_for(places.take("a"), 5)
    for _ in range(3):
        places.give_back("a")
    await places.take("b")
    places.give_back("b")
    await places.take("a")
    await places.take("a")
    third = asyncio.create_task(places.take("a"))
    await asyncio.sleep(0)
    assert not third.done()  # b may be back at any moment
    await asyncio.wait_for(places.take("b"), 5)
    places.give_back("b")
    now[0] = 10.0
    places.give_back("a")
    await asyncio.wait_for(third, 5)
    await asyncio.wait_for(places.take("a"), 5)  # the third: b has not been heard for a while


async def _flood_and_modest() -> tuple[FairPlaces, asyncio.Task[None]]:
    """Two places: one tenant has one and a line, another has the other."""
    places = FairPlaces(lambda: 2, keeps_one=True)
    await places.take("modest")
    await places.take("flood")
    line = asyncio.create_task(places.take("flood"))
    await asyncio.sleep(0)
    return places, line


async def test_line_of_a_tenant_waits_as_long_as_its_place_was_held_while_another_asks_that_has_no_line() -> None:
    places, line = await _flood_and_modest()
    places.give_back("flood", 0.3)
    await asyncio.sleep(0)
    assert not line.done()
    assert places.used_by("flood") == 1
    places.give_back("modest")
    await asyncio.wait_for(places.take("modest"), 5)
    await asyncio.wait_for(line, 5)
    assert places.used_by("flood") == 1


async def test_line_of_a_tenant_rests_for_no_other_whose_last_question_ended_before_its_own_began() -> None:
    now = 0.0
    places = FairPlaces(lambda: 2, keeps_one=True, clock=lambda: now)
    await places.take("modest")
    places.give_back("modest", 0.1)
    now = 0.5  # it thinks
    await places.take("flood")
    line = asyncio.create_task(places.take("flood"))
    await asyncio.sleep(0)
    now = 0.6
    places.give_back("flood", 0.1)
    await asyncio.wait_for(line, 5)
    assert places.used_by("flood") == 1


async def test_line_of_a_tenant_waits_for_no_other_that_has_one_itself() -> None:
    places, line = await _flood_and_modest()
    others = asyncio.create_task(places.take("modest"))
    await asyncio.sleep(0)
    places.give_back("flood", 60.0)
    await asyncio.wait_for(line, 5)
    places.give_back("modest", 60.0)
    await asyncio.wait_for(others, 5)


async def test_waiter_that_leaves_takes_no_place() -> None:
    places = FairPlaces(lambda: 1)
    await places.take("a")
    leaver, other = asyncio.create_task(places.take("b")), asyncio.create_task(places.take("c"))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    late = asyncio.create_task(places.take("b"))
    await asyncio.sleep(0)
    places.give_back("a")
    late.cancel()  # c's turn has come, b's has not
    await asyncio.wait_for(other, 5)
    await asyncio.gather(late, return_exceptions=True)
    places.give_back("c")
    assert (places.taken, sum(places.held.values())) == (0, 0)


class _Flood:
    """Questions of one tenant, as many as get in."""

    def __init__(self, admission: QuestionAdmission, tenant: str) -> None:
        self._admission = admission
        self._tenant = tenant
        self._tasks: set[asyncio.Task[None]] = set()
        self.turns = 0
        self.refused = 0

    async def _ask(self) -> None:
        async with self._admission.place(self._tenant, 60):
            self.turns += 1
            for _ in range(20):
                await asyncio.sleep(0)

    async def push(self) -> None:
        """Asks until refused."""
        while self._admission.refusal(self._tenant) is None:
            task = asyncio.create_task(self._ask())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)
        self.refused += 1
        await asyncio.sleep(0)

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)


async def test_tenant_that_asks_one_after_the_other_is_not_refused_and_waits_for_no_line(
    admission: QuestionAdmission,
) -> None:
    flood = _Flood(admission, "a")
    waits: list[int] = []
    await flood.push()
    for _ in range(30):
        await flood.push()
        before = flood.turns
        asking = asyncio.create_task(_one(admission, "b"))
        while not asking.done():
            await flood.push()
        await asking
        waits.append(flood.turns - before)
    await flood.end()
    assert flood.refused > 30
    # Turns of the flood until b's question, which takes as long as one of them, is done: a few, and not a line of them.
    assert sorted(waits)[15] <= admission.allowed
    assert max(waits) <= 2 * admission.allowed


async def _one(admission: QuestionAdmission, tenant: str) -> None:
    async with admission.place(tenant, 60):
        for _ in range(20):
            await asyncio.sleep(0)


async def test_tenant_with_a_question_is_let_in_although_another_has_all_that_may_be_inside() -> None:
    admission = QuestionAdmission(8, QuestionMetrics(CollectorRegistry()))
    async with AsyncExitStack() as stack:
        for _ in range(8):
            place = await stack.enter_async_context(admission.place("a", 60))
            place.leave()  # its answer is being written
        with pytest.raises(Overloaded):
            await stack.enter_async_context(admission.place("a", 60))
        for _ in range(4):  # half of what may be inside
            (await stack.enter_async_context(admission.place("b", 60))).leave()
        with pytest.raises(Overloaded):
            await stack.enter_async_context(admission.place("b", 60))


async def test_two_tenants_that_flood_have_half_of_the_places_each(admission: QuestionAdmission) -> None:
    floods = [_Flood(admission, "a"), _Flood(admission, "b")]
    turns = [0, 0]
    for _ in range(2):  # at first one is there alone, and has all places
        before = [flood.turns for flood in floods]
        for _ in range(300):
            for flood in floods:
                await flood.push()
        turns = [flood.turns - had for flood, had in zip(floods, before, strict=True)]
    for flood in floods:
        await flood.end()
    assert min(turns) > 0.7 * max(turns) > 0


async def test_refusal_tells_nothing_of_other_tenants(admission: QuestionAdmission) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(admission.allowed):
            await stack.enter_async_context(admission.place("a", 60))
        with ExitStack() as coming:
            while (refusal := admission.refusal("b")) is None:
                coming.enter_context(admission.coming("b"))
    assert refusal.message.startswith("0 questions are being worked on, and 0 wait")


async def test_waits_and_refusals_are_counted_by_tenant(
    admission: QuestionAdmission, registry: CollectorRegistry
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(admission.allowed):
            await stack.enter_async_context(admission.place("a", 60))
        with ExitStack() as coming:
            while admission.refusal("a") is None:
                coming.enter_context(admission.coming("a"))
    assert registry.get_sample_value("trivium_gateway_tenant_questions_refused_total", {"tenant": "a"}) == 1
    waited = registry.get_sample_value("trivium_gateway_tenant_wait_seconds_count", {"tenant": "a"})
    assert waited == admission.allowed


def _settled(limit: QuestionLimit, windows: int, seconds: Callable[[int], float]) -> int:
    """How many are let in at once after so many windows in which several tenants ask all that they may."""
    for _ in range(10 * windows):
        running = limit.allowed_among_tenants
        limit.observe("question", seconds(running), running, is_shared=True)
    return limit.allowed_among_tenants


def test_limit_is_lower_where_a_tenant_would_slow_another_down() -> None:
    def among_four(running: int) -> float:
        return max(1.0, running / 4)

    alone = QuestionLimit(256, lambda: 0.0)
    for number in range(400):
        running = 1 if number < 20 else alone.allowed
        alone.observe("question", among_four(running), running)
    limit = QuestionLimit(256, lambda: 0.0)
    assert limit.allowed_among_tenants == 2  # who asks first beside a flood is slowed down by one of its questions
    assert 4 <= _settled(limit, 40, among_four) <= 7  # each takes one and a half times as long as alone
    assert 12 <= alone.allowed <= 20  # four times


def test_limit_among_tenants_rises_where_they_do_not_slow_each_other_down() -> None:
    limit = QuestionLimit(256, lambda: 0.0)
    for _ in range(300):
        limit.observe("question", 1.0, limit.allowed)
    assert _settled(limit, 40, lambda running: 1.0) > 30


def test_limit_among_tenants_recovers_when_the_work_becomes_longer_for_good() -> None:
    limit = QuestionLimit(256, lambda: 0.0)
    for _ in range(300):
        limit.observe("question", 1.0, limit.allowed)
    assert _settled(limit, 20, lambda running: 10.0) == 2
    assert _settled(limit, 300, lambda running: 10.0) > 20


async def test_bulk_work_of_tenants_goes_in_turn_among_questions(admission: QuestionAdmission) -> None:
    order: list[str] = []

    async def work(tenant: str) -> None:
        set_tenant(tenant)
        async with admission.bulk():
            order.append(tenant)

    async with admission.place("c", 60):
        working = [asyncio.create_task(work(tenant)) for tenant in "aaaaaab"]
        for _ in range(3):
            await asyncio.sleep(0)
    await asyncio.gather(*working)
    assert order.index("b") <= 2


async def test_texts_of_a_tenant_do_not_wait_for_all_of_another() -> None:
    order: list[str] = []

    async def embed_texts(texts: list[str], *_: object, **__: object) -> EmbeddedTexts:
        order.append(texts[0])
        await asyncio.sleep(0)
        return EmbeddedTexts(np.zeros((len(texts), 2), np.float32), 1, "words")

    client: Any = SimpleNamespace(embed_texts=embed_texts)
    embedder = TextEmbedder(client, FairPlaces(lambda: 1))

    async def embed(tenant: str, count: int) -> None:
        record: Any = SimpleNamespace(principal=SimpleNamespace(tenant=tenant), seconds=lambda *_: 60.0)
        await embedder._embedded(EmbedTask((tenant,) * count), record)

    await asyncio.gather(embed("a", 640), embed("b", 2))
    assert order.index("b") <= 2
    assert order.count("a") == 10


async def test_calls_of_a_tenant_are_not_refused_for_those_of_another() -> None:
    limit = CallLimit("ingestions", 4, 60)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(limit.call("a"))
        with pytest.raises(Overloaded):
            await stack.enter_async_context(limit.call("a"))
        for _ in range(2):
            await stack.enter_async_context(limit.call("b"))
        with pytest.raises(Overloaded, match="2 ingestions"):
            await stack.enter_async_context(limit.call("b"))


async def _files(turns: Turns, owners: list[tuple[str, str]]) -> list[str]:
    """Whose files are read, one after the other, if all were sent at once."""
    order: list[str] = []

    async def read(number: int, tenant: str, caller: str) -> None:
        async with turns.turn(tenant, caller, f"call-{number}"):
            order.append(tenant)
            await asyncio.sleep(0)

    await asyncio.gather(*(read(number, *owner) for number, owner in enumerate(owners)))
    return order


async def test_files_of_a_tenant_wait_for_no_line_of_another() -> None:
    turns = Turns(2, 64, lambda held, waiting: None)
    order = await _files(turns, [("a", f"caller-{number % 5}") for number in range(20)] + [("b", "caller")])
    assert order.index("b") <= 3


async def test_process_for_files_is_kept_for_another_tenant_that_was_there() -> None:
    turns = Turns(3, 64, lambda held, waiting: None)
    await _files(turns, [("b", "caller")])
    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(turns.turn("a", f"caller-{number}", "call"))
        third = asyncio.create_task(stack.enter_async_context(turns.turn("a", "another caller", "call")))
        await asyncio.sleep(0)
        assert not third.done()
        async with asyncio.timeout(5), turns.turn("b", "caller", "call"):
            pass
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)


def test_jobs_of_tenants_are_served_in_turn(tmp_path: Path) -> None:
    database = JobDatabase(tmp_path / "jobs.sqlite")
    store, queue = JobStore(database), JobQueue(database)
    for job, tenant in enumerate("aaaab"):
        documents = [
            KeptDocument(id=name, key=name, fields="{}", is_text=True, start=0, size=1)
            for name in (f"{job}-{number}" for number in range(200))
        ]
        store.add(whole(tenant), "default", "", (f"spool-{job}", 200), documents, 1000, key_id="")
    served = [batch.reader.tenant for _ in range(6) if (batch := queue.take(())) is not None]
    database.close()
    assert sorted(served) == list("aaabbb")
