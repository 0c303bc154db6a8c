"""What is counted, what is refused, and what a crash or a store that is away leaves of it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from faults.full_disk import full_disk
from prometheus_client import CollectorRegistry
from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.key_store import KeyStore
from trivium_gateway.access.keyring import Access
from trivium_gateway.app.access import check_access
from trivium_gateway.metering.book import UsageBook
from trivium_gateway.metering.kinds import Kind, Operation, Quota, Rate, Stored, parse_setting
from trivium_gateway.metering.metrics import MeterMetrics
from trivium_gateway.metering.quotas import ANSWER_SECONDS, Quotas
from trivium_gateway.metering.redis_store import RedisMeterStore
from trivium_gateway.metering.standing import watch_standing
from trivium_gateway.metering.store import FileMeterStore
from trivium_gateway.request.principal import EVERYBODY, Principal, Scope
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import (
    FailedPrecondition,
    InvalidField,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StorageFull,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from trivium_gateway.metering.store import MeterStore

_READ = frozenset({Scope.READ})
_BOT = Principal("acme", "", frozenset(), _READ, "bot")
_OTHER_BOT = replace(_BOT, key_id="other")
_NEIGHBOUR = Principal("north", "", frozenset(), _READ, "n1")
_ADMIN = replace(_BOT, scopes=_READ | {Scope.ADMIN})
_OPERATOR = replace(EVERYBODY, key_id="0")


class Clock:
    """Seconds since 1970, as a test has them pass."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "usage.sqlite"


def _quotas(store: MeterStore | None, clock: Callable[[], float] = time.time, **limits: str) -> Quotas:
    metrics = MeterMetrics(CollectorRegistry())
    tenant, key = (parse_setting(limits.get(name, "")) for name in ("tenant", "key"))
    return Quotas(store, metrics, tenant, key, clock)


async def _begin_until_refused(quotas: Quotas, principal: Principal) -> tuple[int, QuotaExceeded]:
    for count in range(1000):
        try:
            await quotas.begin(principal, Operation.RETRIEVE)
        except QuotaExceeded as refusal:
            return count, refusal
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("text", ["600/m", "50/10s", "100000/d", "0/h", "1/366d"])
def test_rate_reads_as_it_was_written(text: str) -> None:
    assert str(Rate.parse(text)) == text


@pytest.mark.parametrize("text", ["", "600", "m", "600/", "-1/m", "1.5/m", "600/w", "1/0s", "1/367d", "6 / m"])
def test_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        Rate.parse(text)


@pytest.mark.parametrize("setting", ["requests", "requests=", "tokens=5/m", "requests=5/m completion_tokens=1/d"])
def test_gateway_with_a_quota_that_is_none_refuses_to_start(setting: str) -> None:
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_KEY_QUOTA"):
        check_access(GatewaySettings(key_quota=setting))


async def test_requests_beyond_the_limit_of_a_key_are_refused_and_other_keys_go_on(path: Path, clock: Clock) -> None:
    quotas = _quotas(FileMeterStore(path), clock, key="requests=5/m")
    standing = watch_standing()
    count, refusal = await _begin_until_refused(quotas, _BOT)
    assert count == 5
    assert (refusal.standing.limit, refusal.standing.remaining, refusal.standing.reset_seconds) == (5, 0, 60)
    assert refusal.retry_after_seconds == pytest.approx(12, abs=0.1)
    assert refusal.reason == "QUOTA_EXCEEDED"
    assert [(one.limit, one.remaining) for one in standing] == [(5, 0)]
    assert (await _begin_until_refused(quotas, _OTHER_BOT))[0] == 5
    clock.now += 13
    assert (await _begin_until_refused(quotas, _BOT))[0] == 1


async def test_limit_of_a_tenant_holds_over_its_keys_and_not_over_others(path: Path, clock: Clock) -> None:
    quotas = _quotas(FileMeterStore(path), clock, tenant="requests=4/m", key="requests=3/m")
    assert (await _begin_until_refused(quotas, _BOT))[0] == 3
    count, refusal = await _begin_until_refused(quotas, _OTHER_BOT)
    assert count == 1
    assert "The tenant acme" in refusal.message
    assert (await _begin_until_refused(quotas, _NEIGHBOUR))[0] == 3


async def test_tokens_are_counted_when_they_were_used_and_what_is_too_much_is_owed(path: Path, clock: Clock) -> None:
    quotas = _quotas(FileMeterStore(path), clock, tenant="completion_tokens=100/m")
    await quotas.begin(_BOT, Operation.ANSWER)
    quotas.spend(_BOT, {Kind.COMPLETION_TOKENS: 250})
    with pytest.raises(QuotaExceeded) as caught:
        await quotas.begin(_BOT, Operation.ANSWER)
    assert 90 <= caught.value.retry_after_seconds <= 91
    await quotas.begin(_BOT, Operation.EMBED)  # which writes nothing
    assert quotas.refusal(_BOT, Operation.ANSWER) is not None
    clock.now += 91
    assert quotas.refusal(_BOT, Operation.ANSWER) is None
    await quotas.begin(_BOT, Operation.ANSWER)


async def test_limit_of_nothing_refuses_everything(path: Path, clock: Clock) -> None:
    quotas = _quotas(FileMeterStore(path), clock, tenant="pages=0/d")
    with pytest.raises(QuotaExceeded):
        await quotas.begin(_BOT, Operation.INGEST)
    await quotas.begin(_BOT, Operation.RETRIEVE)


async def test_changed_limit_counts_at_once(path: Path, clock: Clock) -> None:
    store = FileMeterStore(path)
    quotas = _quotas(store, clock, tenant="requests=5/m")
    await _begin_until_refused(quotas, _BOT)
    await store.put(Quota("acme", "", parse_setting("requests=8/m")))
    await quotas.load()
    assert (await _begin_until_refused(quotas, _BOT))[0] == 3


async def test_usage_and_what_is_left_survive_a_restart(path: Path, clock: Clock) -> None:
    before = _quotas(FileMeterStore(path), clock, key="requests=5/h")
    await before.begin(_BOT, Operation.RETRIEVE)
    before.spend(_BOT, {Kind.EMBEDDED_TOKENS: 12})
    await before.flush()
    await before.begin(_BOT, Operation.RETRIEVE)  # a crash takes what was not kept
    after = _quotas(FileMeterStore(path), clock, key="requests=5/h")
    await after.open()
    assert (await _begin_until_refused(after, _BOT))[0] == 4
    hour = int(clock.now) // 3600
    assert await after.used(hour, hour + 1, "") == {
        ("acme", "bot", Kind.REQUESTS): 5,
        ("acme", "bot", Kind.EMBEDDED_TOKENS): 12,
    }
    assert await after.used(hour + 1, hour + 2, "") == {}
    assert await after.used(hour, hour + 1, "north") == {}


async def test_usage_of_gateways_on_one_folder_adds_up(path: Path, clock: Clock) -> None:
    gateways = [_quotas(FileMeterStore(path), clock) for _ in range(2)]
    for quotas in gateways:
        for _ in range(3):
            await quotas.begin(_BOT, Operation.OTHER)
            await quotas.flush()
    hour = int(clock.now) // 3600
    assert await gateways[0].used(hour, hour + 1, "acme") == {("acme", "bot", Kind.REQUESTS): 6}


async def test_usage_that_cannot_be_kept_is_told_and_kept_later(path: Path, clock: Clock) -> None:
    registry = CollectorRegistry()
    quotas = Quotas(FileMeterStore(path), MeterMetrics(registry), clock=clock)
    path.parent.parent.chmod(0o700)
    path.parent.write_text("a file where the folder should be")
    following = asyncio.create_task(quotas.follow())
    await quotas.begin(_BOT, Operation.OTHER)
    await _until(lambda: registry.get_sample_value("trivium_gateway_quota_store_up") == 0)
    path.parent.unlink()
    await _until(lambda: registry.get_sample_value("trivium_gateway_quota_store_up") == 1)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    hour = int(clock.now) // 3600
    assert await FileMeterStore(path).used(hour, hour + 1, "") == {("acme", "bot", Kind.REQUESTS): 1}


async def test_usage_is_told_while_the_disk_is_full_and_counts_once_when_it_is_kept(
    tmp_path: Path, clock: Clock
) -> None:
    hour = int(clock.now) // 3600
    with full_disk(tmp_path / "disk") as disk:
        path = disk.folder / "gateway" / "usage.sqlite"
        quotas = _quotas(FileMeterStore(path), clock)
        quotas.spend(_BOT, {Kind.PAGES: 7})
        await quotas.flush()
        disk.fill()
        spent = {("acme", "bot", Kind.PAGES): 7}

        async def spend_more() -> None:
            for number in itertools.count():
                quotas.spend(replace(_BOT, key_id=f"k{number}"), {Kind.PAGES: 2})
                spent["acme", f"k{number}", Kind.PAGES] = 2
                if number % 50 == 0:
                    await quotas.flush()

        with pytest.raises(StorageFull):  # once it is more than the file has room for
            await spend_more()
        quotas.spend(_BOT, {Kind.PAGES: 1})
        spent["acme", "bot", Kind.PAGES] += 1
        quotas.spend(_NEIGHBOUR, {Kind.PAGES: 5})

        assert await quotas.used(hour, hour + 1, "acme") == spent
        assert await quotas.used(hour, hour + 1, "north") == {("north", "n1", Kind.PAGES): 5}
        assert await quotas.used(hour + 1, hour + 2, "") == {}
        disk.make_room()
        assert await quotas.used(hour, hour + 1, "acme") == spent
        await quotas.flush()
        assert await FileMeterStore(path).used(hour, hour + 1, "acme") == spent


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what it waits for is time
            await asyncio.sleep(0.02)


async def test_without_keys_nothing_is_counted_and_nothing_refused() -> None:
    quotas = _quotas(None, tenant="requests=1/d")
    for _ in range(3):
        await quotas.begin(EVERYBODY, Operation.ANSWER)
    quotas.spend(EVERYBODY, {Kind.PAGES: 5})
    await quotas.flush()
    assert await quotas.used(0, 10**6, "") == {}
    book = UsageBook(quotas, Access.kept_in(None, _NO_AUDIT).guard, _NO_AUDIT, _nothing_stored)
    with pytest.raises(FailedPrecondition):
        await book.usage(EVERYBODY, begin=0, end=time.time())


_NO_AUDIT = AuditLog(None, CollectorRegistry())


async def _nothing_stored(tenant: str | None) -> dict[str, Stored]:
    return {}


class _Book:
    def __init__(self, path: Path, clock: Clock) -> None:
        self.access = Access.kept_in(KeyStore(path.parent), _NO_AUDIT)
        self.quotas = _quotas(FileMeterStore(path), clock, tenant="requests=100/m")
        self.book = UsageBook(self.quotas, self.access.guard, _NO_AUDIT, _nothing_stored)

    async def key(self, tenant: str) -> str:
        made = await self.access.keyring.create(_OPERATOR, name="x", tenant=tenant, scopes=["read"])
        return made.key.id


@pytest.fixture
def book(path: Path, clock: Clock) -> _Book:
    return _Book(path, clock)


async def test_admin_sees_its_tenants_usage_and_an_operator_all(book: _Book, clock: Clock) -> None:
    for principal in (_BOT, _NEIGHBOUR):
        await book.quotas.begin(principal, Operation.OTHER)
    seen = {
        who: [one.tenant for one in (await book.book.usage(who, begin=clock.now - 1, end=clock.now + 1)).usage]
        for who in (_ADMIN, _OPERATOR)
    }
    assert seen == {_ADMIN: ["acme"], _OPERATOR: ["acme", "north"]}
    for who, tenant in ((_BOT, ""), (_ADMIN, "north")):
        with pytest.raises(PermissionDenied):
            await book.book.usage(who, begin=0, end=1e6, tenant=tenant)
        with pytest.raises(PermissionDenied):
            await book.book.quotas(who, tenant)
    assert [one.quota.tenant for one in await book.book.quotas(_ADMIN)] == ["acme"]


@pytest.mark.parametrize(("begin", "end"), [(7300.0, 5.0), (-1.0, 5.0), (0.0, 2e9), (253402300800.0, 253402304400.0)])
async def test_time_of_usage_that_cannot_be_is_refused(book: _Book, begin: float, end: float) -> None:
    with pytest.raises(InvalidField):
        await book.book.usage(_OPERATOR, begin=begin, end=end)


async def test_quota_is_set_by_who_may_and_taken_back(book: _Book) -> None:
    own, theirs = await book.key("acme"), await book.key("north")
    state = await book.book.set(_ADMIN, tenant="", key_id=own, limits={"requests": "7/m"}, weight=None)
    assert (state.quota.limits, state.left, state.is_own) == ({Kind.REQUESTS: Rate(7, 60)}, {Kind.REQUESTS: 7}, True)
    with pytest.raises(PermissionDenied):
        await book.book.set(_ADMIN, tenant="acme", limits={"requests": "7/m"}, weight=None)
    with pytest.raises(PermissionDenied):
        await book.book.set(_ADMIN, tenant="north", key_id=theirs, limits={}, weight=None)
    with pytest.raises(NotFound):
        await book.book.set(_ADMIN, tenant="", key_id=theirs, limits={}, weight=None)
    with pytest.raises(InvalidField):
        await book.book.set(_OPERATOR, tenant="acme", limits={"tokens": "7/m"}, weight=None)
    with pytest.raises(InvalidField):
        await book.book.set(_OPERATOR, tenant="acme", limits={}, weight=11)
    await book.book.set(_OPERATOR, tenant="acme", limits={}, weight=3)
    assert book.quotas.weight_of("acme") == 3
    assert book.quotas.quota("acme", "").limits == {Kind.REQUESTS: Rate(100, 60)}  # as the settings say
    await book.book.set(_OPERATOR, tenant="acme", limits={}, weight=1)
    assert book.quotas.places() == {("acme", own)}


async def test_usage_whose_keeping_was_broken_off_at_the_end_counts_once(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotas = _quotas(FileMeterStore(path), clock)
    assert quotas.store is not None
    quotas.spend(_BOT, {Kind.PAGES: 7})
    add = quotas.store.add

    async def add_while_the_task_is_cancelled(*what: Any) -> None:
        await add(*what)
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(quotas.store, "add", add_while_the_task_is_cancelled)
        with pytest.raises(asyncio.CancelledError):
            await quotas.flush()
    await quotas.close()
    hour = int(clock.now) // 3600
    assert await FileMeterStore(path).used(hour, hour + 1, "acme") == {("acme", "bot", Kind.PAGES): 7}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of these tests' own, and its process."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    path = tmp_path_factory.mktemp("redis") / "socket"
    flags = ("--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no")
    process = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL, cwd=path.parent)
    while not path.exists():
        assert process.poll() is None, "Redis has ended"
        time.sleep(0.01)
    yield f"unix://{path}", process
    process.kill()
    process.wait()


class _Gateways:
    def __init__(self, url: str, limits: str, answer_seconds: float) -> None:
        self.registry = CollectorRegistry()
        self.all = [
            Quotas(
                RedisMeterStore(url, answer_seconds),
                MeterMetrics(registry),
                parse_setting(limits),
                answer_seconds=answer_seconds,
            )
            for registry in (self.registry, CollectorRegistry())
        ]


_LIMITS = "requests=50/d,completion_tokens=1000/d"


@pytest.fixture
async def gateways(redis: tuple[str, subprocess.Popen[bytes]]) -> AsyncIterator[_Gateways]:
    """Two gateways on one Redis, which they wait for, however busy the machine is."""
    two = _Gateways(redis[0], _LIMITS, 60)
    yield two
    for one in two.all:
        await one.close()


@pytest.fixture
async def hasty_gateways(redis: tuple[str, subprocess.Popen[bytes]]) -> AsyncIterator[_Gateways]:
    """Two gateways that wait for Redis as long as real ones."""
    two = _Gateways(redis[0], _LIMITS, ANSWER_SECONDS)
    yield two
    for one in two.all:
        await one.close()


def _new_bot() -> Principal:
    return replace(_BOT, tenant=f"t{time.monotonic_ns()}")


async def test_limit_is_exact_over_several_gateways(gateways: _Gateways) -> None:
    bot = _new_bot()

    async def ask(quotas: Quotas) -> int:
        return (await _begin_until_refused(quotas, bot))[0]

    counts = await asyncio.gather(*(ask(quotas) for quotas in gateways.all for _ in range(10)))
    assert sum(counts) == 50
    for quotas in gateways.all:
        await quotas.flush()
    hour = int(time.time()) // 3600
    used = await gateways.all[0].used(hour - 1, hour + 1, bot.tenant)
    assert used == {(bot.tenant, "bot", Kind.REQUESTS): 50}


async def test_tokens_used_by_one_gateway_are_known_to_the_other(gateways: _Gateways) -> None:
    one, other = gateways.all
    bot = _new_bot()
    await other.begin(bot, Operation.ANSWER)
    one.spend(bot, {Kind.COMPLETION_TOKENS: 1500})
    await one.flush()
    with pytest.raises(QuotaExceeded) as caught:
        await other.begin(bot, Operation.ANSWER)
    assert caught.value.metadata["limit"] == "1000"
    assert other.refusal(bot, Operation.ANSWER) is not None  # known without asking


async def test_usage_that_is_sent_again_because_no_answer_came_counts_once(
    gateways: _Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = gateways.all
    bot = _new_bot()
    one.spend(bot, {Kind.PAGES: 7})
    assert one.store is not None
    add = one.store.add

    async def add_and_lose_the_answer(*what: Any) -> None:
        await add(*what)
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(one.store, "add", add_and_lose_the_answer)
        with pytest.raises(TimeoutError):
            await one.flush()
    hour = int(time.time()) // 3600
    assert await one.used(hour - 1, hour + 1, bot.tenant) == {(bot.tenant, "bot", Kind.PAGES): 7}


async def test_usage_is_told_while_redis_has_no_room_and_counts_once_when_it_is_kept(gateways: _Gateways) -> None:
    one, other = gateways.all
    bot, hour = _new_bot(), int(time.time()) // 3600
    assert isinstance(one.store, RedisMeterStore)
    redis = one.store._redis.commands
    one.spend(bot, {Kind.PAGES: 7})
    await one.flush()
    await redis.config_set("maxmemory", 1)
    try:
        one.spend(bot, {Kind.PAGES: 2})
        with pytest.raises(StorageFull):
            await one.flush()
        used = await one.used(hour - 1, hour + 1, bot.tenant)
    finally:
        await redis.config_set("maxmemory", 0)

    assert used == {(bot.tenant, "bot", Kind.PAGES): 9}
    await one.flush()
    assert await other.used(hour - 1, hour + 1, bot.tenant) == used


async def test_while_redis_hangs_each_gateway_holds_the_limits_and_says_so(
    hasty_gateways: _Gateways, redis: tuple[str, subprocess.Popen[bytes]]
) -> None:
    gateways = hasty_gateways
    one, other = gateways.all
    bot = _new_bot()
    for _ in range(20):
        await one.begin(bot, Operation.RETRIEVE)
    await one.flush()
    redis[1].send_signal(signal.SIGSTOP)
    try:
        counts = [(await _begin_until_refused(quotas, bot))[0] for quotas in gateways.all]
        assert gateways.registry.get_sample_value("trivium_gateway_quota_store_up") == 0
    finally:
        redis[1].send_signal(signal.SIGCONT)
    # The first knows what was left when Redis was heard last, the other has not asked before; none lets in more.
    assert counts == [30, 50]
    following = [asyncio.create_task(quotas.follow()) for quotas in gateways.all]
    await _until(lambda: gateways.registry.get_sample_value("trivium_gateway_quota_store_up") == 1)
    hour = int(time.time()) // 3600
    await other.flush()
    assert (await one.used(hour - 1, hour + 1, bot.tenant))[bot.tenant, "bot", Kind.REQUESTS] == 100
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
