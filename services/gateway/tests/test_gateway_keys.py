"""Keys: what is kept of them, whom they let in, and who may make them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from faults.full_disk import full_disk
from prometheus_client import CollectorRegistry
from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.guard import Credentials, Guard
from trivium_gateway.access.key_store import KeyStore
from trivium_gateway.access.keyring import Access
from trivium_gateway.access.keys import given_key, make_key, rotated, split_key
from trivium_gateway.app import check_access
from trivium_gateway.library.feedback import Feedback, FeedbackStore
from trivium_gateway.request.principal import EVERYBODY, Principal, Scope
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import (
    FailedPrecondition,
    InvalidField,
    NotFound,
    PermissionDenied,
    StorageFull,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_AUDIT = AuditLog(None, CollectorRegistry())
_READ = frozenset({Scope.READ})
_KEY = "tv_0011223344_" + "x" * 43
_OPERATOR = replace(EVERYBODY, key_id="0")
_ADMIN = Principal("acme", "", frozenset(), frozenset({Scope.READ, Scope.INGEST, Scope.ADMIN}), "1")


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access.kept_in(KeyStore(tmp_path), _NO_AUDIT)


def _bearing(text: str, **more: str) -> Credentials:
    return Credentials(f"Bearer {text}", **more)


async def test_key_lets_its_tenant_in_by_either_header_and_nobody_else(access: Access) -> None:
    made = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"])
    for brought in (_bearing(made.text), Credentials(f"bearer  {made.text} "), Credentials(api_key=made.text)):
        who = access.guard.principal(brought)
        assert (who.tenant, who.scopes, who.key_id) == ("acme", _READ, made.key.id)
    key_id, secret = split_key(made.text)
    for wrong in (
        "",
        "tv_",
        "nonsense",
        f"tv_{key_id}",
        f"tv_{key_id}_",
        f"tv_{key_id}_{secret}x",
        f"tv_00_{secret}",
        secret,
    ):
        with pytest.raises(Unauthenticated):
            access.guard.principal(_bearing(wrong))


async def test_kept_keys_open_nothing_and_are_their_owners_only(access: Access, tmp_path: Path) -> None:
    made = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"])
    file = tmp_path / "gateway" / "keys.sqlite"
    secret = split_key(made.text)[1]
    assert secret.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_expired_and_revoked_keys_let_nobody_in(access: Access) -> None:
    made = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"], expires_at=4e9)
    assert made.key.principal(split_key(made.text)[1], now=4e9) is None
    await access.keyring.revoke(_OPERATOR, made.key.id)
    with pytest.raises(Unauthenticated):
        access.guard.principal(_bearing(made.text))


async def test_key_is_revoked_while_the_disk_is_full_and_none_is_made(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk") as disk:
        access = Access.kept_in(KeyStore(disk.folder), _NO_AUDIT)
        made = [await access.keyring.create(_OPERATOR, name="a", tenant="acme", scopes=["read"]) for _ in range(3)]
        disk.fill()
        for one in made[:2]:
            await access.keyring.revoke(_OPERATOR, one.key.id)
            with pytest.raises(Unauthenticated):
                access.guard.principal(_bearing(one.text))

        async def make_many() -> None:
            for _ in range(1000):
                await access.keyring.create(_OPERATOR, name="a" * 200, tenant="acme", scopes=["read"])

        with pytest.raises(StorageFull):
            await make_many()
        assert access.guard.principal(_bearing(made[2].text)).tenant == "acme"

        again = Access.kept_in(KeyStore(disk.folder), _NO_AUDIT)  # as a restart finds them
        await again.guard.load()
        assert again.guard.principal(_bearing(made[2].text)).tenant == "acme"
        with pytest.raises(Unauthenticated):
            again.guard.principal(_bearing(made[0].text))


async def test_rotated_key_is_taken_with_both_secrets_for_a_while(access: Access) -> None:
    before = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"])
    after = await access.keyring.rotate(_OPERATOR, before.key.id, grace_seconds=60)
    assert access.guard.principal(_bearing(before.text)) == access.guard.principal(_bearing(after.text))
    late = after.key.former_until
    assert after.key.principal(split_key(before.text)[1], now=late) is None
    assert after.key.principal(split_key(after.text)[1], now=late) is not None
    assert rotated(after.key, 0).key.principal(split_key(after.text)[1], now=late) is None

    short = await access.keyring.create(
        _OPERATOR, name="bot", tenant="acme", scopes=["read"], expires_at=time.time() + 0.05
    )
    await asyncio.sleep(0.06)
    with pytest.raises(FailedPrecondition) as caught:  # its new secret would not be taken either
        await access.keyring.rotate(_OPERATOR, short.key.id, grace_seconds=0)
    assert caught.value.reason == "KEY_EXPIRED"


async def test_revocation_in_another_process_is_known_once_the_keys_are_read_again(tmp_path: Path) -> None:
    one, other = (Access.kept_in(KeyStore(tmp_path), _NO_AUDIT) for _ in range(2))
    made = await one.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"])
    await other.guard.load()
    assert other.guard.principal(_bearing(made.text)).tenant == "acme"
    await one.keyring.revoke(_OPERATOR, made.key.id)
    await other.guard.load()
    with pytest.raises(Unauthenticated):
        other.guard.principal(_bearing(made.text))


async def test_admin_changes_its_own_tenants_keys_only(access: Access) -> None:
    theirs = await access.keyring.create(_OPERATOR, name="theirs", tenant="other", scopes=["read"])
    own = await access.keyring.create(_ADMIN, name="own", tenant="", scopes=["read", "ingest"])
    assert own.key.tenant == "acme"
    assert [key.name for key in await access.keyring.list(_ADMIN)] == ["own"]
    assert [key.name for key in await access.keyring.list(_OPERATOR)] == ["theirs", "own"]
    with pytest.raises(PermissionDenied):
        await access.keyring.create(_ADMIN, name="x", tenant="other", scopes=["read"])
    with pytest.raises(NotFound):
        await access.keyring.revoke(_ADMIN, theirs.key.id)
    with pytest.raises(NotFound):
        await access.keyring.rotate(_ADMIN, theirs.key.id, grace_seconds=0)


async def test_nobody_makes_rotates_or_revokes_a_key_that_may_do_more(access: Access) -> None:
    for scopes in (["operator"], ["read", "act-as"]):
        with pytest.raises(PermissionDenied):
            await access.keyring.create(_ADMIN, name="x", tenant="", scopes=scopes)
    more = await access.keyring.create(_OPERATOR, name="more", tenant="acme", scopes=["act-as"])
    with pytest.raises(PermissionDenied):
        await access.keyring.rotate(_ADMIN, more.key.id, grace_seconds=0)
    with pytest.raises(PermissionDenied):
        await access.keyring.revoke(_ADMIN, more.key.id)
    for weak in (frozenset[Scope](), _READ, frozenset({Scope.INGEST})):
        reader = replace(_ADMIN, scopes=weak)
        for call in (access.keyring.list(reader), access.keyring.create(reader, name="x", tenant="", scopes=["read"])):
            with pytest.raises(PermissionDenied):
                await call


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["root"]}),
        ("tenant", {"tenant": "Acme"}),
        ("tenant", {"tenant": "a.b"}),
        ("tenant", {"tenant": "a" * 65}),
        ("name", {"name": "x" * 201}),
        ("name", {"name": "half \ud800"}),
        ("groups", {"groups": ["x" * 201]}),
        ("groups", {"groups": [str(number) for number in range(101)]}),
        ("expires_at", {"expires_at": 1.0}),
        ("expires_at", {"expires_at": 253402300800.0}),  # the year 10000, of which no list of keys could tell
        ("expires_at", {"expires_at": 2.0**62}),
    ],
)
async def test_key_that_breaks_a_rule_is_refused_by_its_field(
    access: Access, field: str, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidField) as caught:
        await access.keyring.create(_OPERATOR, **({"name": "x", "tenant": "acme", "scopes": ["read"]} | changes))  # type: ignore[arg-type]
    assert caught.value.field == field
    with pytest.raises(InvalidField):
        await access.keyring.rotate(_OPERATOR, "x", grace_seconds=-1)


async def test_user_is_believed_of_keys_that_may_act_for_others_only(access: Access) -> None:
    plain = await access.keyring.create(_OPERATOR, name="p", tenant="acme", scopes=["read"], user="ann", groups=["hr"])
    acting = await access.keyring.create(_OPERATOR, name="a", tenant="acme", scopes=["read", "act-as"])
    assert access.guard.principal(_bearing(plain.text)).user == "ann"
    with pytest.raises(PermissionDenied):
        access.guard.principal(_bearing(plain.text, user="bob"))
    who = access.guard.principal(_bearing(acting.text, user="bob", groups="hr, board,"))
    assert (who.user, who.groups) == ("bob", frozenset({"hr", "board"}))
    with pytest.raises(InvalidField):
        access.guard.principal(_bearing(acting.text, user="b" * 201))


async def test_first_key_is_made_once_and_may_do_everything(access: Access, tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "first-key"
    assert await access.keyring.make_first(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert access.guard.principal(_bearing(path.read_text().strip())).scopes == frozenset(Scope)
    assert not await access.keyring.make_first(path)


async def test_given_key_is_taken_beside_those_that_are_kept(tmp_path: Path) -> None:
    text = make_key(name="", tenant="default", scopes=_READ).text
    access = Access.kept_in(KeyStore(tmp_path), _NO_AUDIT, [given_key(text, "default", frozenset(Scope))])
    await access.guard.load()
    assert Scope.OPERATOR in access.guard.principal(_bearing(text)).scopes
    for none in ("", "secret", "tv_1_short"):
        with pytest.raises(ValueError, match="tv_"):
            given_key(none, "default", _READ)


async def test_where_nobody_needs_a_key_everybody_is_let_in_and_none_is_made() -> None:
    access = Access.kept_in(None, _NO_AUDIT)
    assert access.guard.principal(Credentials()) == EVERYBODY
    with pytest.raises(FailedPrecondition):
        await access.keyring.create(EVERYBODY, name="x", tenant="", scopes=["read"])


async def test_keys_that_cannot_be_read_are_an_error_and_those_known_hold(access: Access, tmp_path: Path) -> None:
    made = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"])
    file = tmp_path / "gateway" / "keys.sqlite"
    file.write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(Unavailable) as caught:
        await access.guard.load()
    assert str(file) not in caught.value.message
    assert access.guard.principal(_bearing(made.text)).tenant == "acme"


async def test_keys_survive_in_their_file(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key = make_key(name="bot", tenant="acme", scopes=_READ, user="ann", groups=frozenset({"hr"}), expires_at=4e9).key
    await store.put(key)
    await store.put(key)
    assert await KeyStore(tmp_path).all() == [key]
    with sqlite3.connect(tmp_path / "gateway" / "keys.sqlite") as database:
        assert [json.loads(kept)["id"] for (kept,) in database.execute("SELECT record FROM records")] == [key.id]
    await store.remove(key.id)
    assert await store.all() == []


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of these tests' own."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    path = tmp_path_factory.mktemp("redis") / "socket"
    flags = ("--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no")
    process = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL, cwd=path.parent)
    while not path.exists():
        assert process.poll() is None, "Redis has ended"
        time.sleep(0.01)
    yield f"unix://{path}"
    process.kill()
    process.wait()


async def test_keys_in_redis_are_those_of_every_gateway(redis_url: str, tmp_path: Path) -> None:
    one, other = (KeyStore(tmp_path, redis_url) for _ in range(2))
    access = Access.kept_in(one, _NO_AUDIT)
    made = await access.keyring.create(_OPERATOR, name="bot", tenant="acme", scopes=["read"], expires_at=4e9)
    assert await other.all() == [made.key]
    await other.remove(made.key.id)
    await access.guard.load()
    with pytest.raises(Unauthenticated):
        access.guard.principal(_bearing(made.text))
    for store in (one, other):
        await store.close()


async def test_feedback_in_redis_is_that_of_every_gateway(redis_url: str, tmp_path: Path) -> None:
    one, other = (FeedbackStore(tmp_path, redis_url) for _ in range(2))
    said = Feedback("r1", "ann", 1.0, 1, "", "", ("heron",), "What?", "default", "Fish.", (), False)
    later = replace(said, request_id="r0", created_at=2.0)
    for kept in (later, said, replace(said, rating=-1)):
        await one.put("acme", kept)
    assert await other.all("acme") == [replace(said, rating=-1), later]
    assert [(await other.size(one))[0] for one in ("acme", "north")] == [2, 0]
    await other.remove("acme", said)
    assert await one.all("acme") == [later]
    for store in (one, other):
        await store.close()


async def test_keys_hold_while_redis_is_away(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, "unix:///nowhere/redis.sock")
    access = Access.kept_in(store, _NO_AUDIT, [given_key(text := _KEY, "default", frozenset(Scope))])
    with pytest.raises(Unavailable) as caught:
        await access.guard.load()
    assert "nowhere" not in caught.value.message
    assert access.guard.principal(_bearing(text)).tenant == "default"
    await store.close()


def test_open_guard_needs_no_store() -> None:
    assert Guard().is_open


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080"])
def test_gateway_that_others_reach_refuses_to_start_without_keys(listen: str) -> None:
    for settings in (GatewaySettings(http_listen=listen), GatewaySettings(grpc_listen=listen)):
        with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_AUTH=keys"):
            check_access(settings)
    check_access(GatewaySettings(http_listen=listen, auth="keys"))
    check_access(GatewaySettings(http_listen=listen, allow_anonymous="yes"))
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_ADMIN_KEY"):
        check_access(GatewaySettings(auth="keys", admin_key="secret"))
    for url in ("secret", "http://h:1", "redis://h:secret@x:y"):
        with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_REDIS_URL") as caught:
            check_access(GatewaySettings(auth="keys", redis_url=url))
        assert "secret" not in str(caught.value)
