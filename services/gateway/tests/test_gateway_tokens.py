"""Tokens of an issuer: whom they let in, and what an issuer may answer."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from e2e.token_issuer import AUDIENCE, Issuer
from prometheus_client import CollectorRegistry
from trivium_gateway.access import issuer as issuer_module
from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.guard import Credentials, Guard
from trivium_gateway.access.issuer import IssuerKeys
from trivium_gateway.access.tokens import ClaimNames, TokenVerifier, scopes_named
from trivium_gateway.app.access import access_of, check_access
from trivium_gateway.request.principal import Scope
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import InvalidField, PermissionDenied, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLAIMS = ClaimNames(tenant="team", user="sub", groups="realm_access.roles", scopes="scope")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that answers."""
    made = Issuer()
    made.rotate("first")
    with made.answering():
        yield made


_BROKEN = (
    b"HTTP/1.0 503 Service Unavailable\r\n\r\n",
    b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
    b"no HTTP at all\r\n\r\n",
    b"",
    b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{",
    *(
        b"HTTP/1.0 200 OK\r\n\r\n" + body
        for body in (b"", b"[]", b"\xff", b"[" * 5_000, b'{"issuer": "another"}', b"{" + b" " * 2_000_000 + b"}")
    ),
)
"""What an issuer may say that is of no use: none of it ends the gateway."""
_NO_KEYS = (b'{"keys": {}}', b'{"keys": 5}', b'{"keys": [5, {}, {"kty": "RSA"}, {"kty": "RSA", "n": 5, "e": []}]}')


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _nobody(is_up: bool) -> None:
    """Is told whether the issuer is there, and does not care."""


def _bearing(token: str, **more: str) -> Credentials:
    return Credentials(authorization=f"Bearer {token}", **more)


async def _guard(issuer: Issuer, clock: _Clock | None = None, claims: ClaimNames = _CLAIMS) -> Guard:
    keys = IssuerKeys(issuer.address, _nobody, clock or _Clock())
    assert await keys.load()
    tokens = TokenVerifier(keys, AUDIENCE, claims, frozenset({Scope.READ}))
    audit = AuditLog(None, CollectorRegistry())
    guard = access_of(GatewaySettings(), audit, CollectorRegistry()).guard
    guard._store, guard.tokens = object(), tokens  # type: ignore[assignment]  # it is not open to everybody
    return guard


async def test_token_lets_in_whom_it_names_with_what_it_grants(issuer: Issuer) -> None:
    for kind in ("RSA", "EC"):
        issuer.rotate(kind, kind)
        guard = await _guard(issuer)
        who = guard.principal(_bearing(issuer.token()))
        assert (who.tenant, who.user, sorted(who.groups)) == ("legal", "ann", ["board", "hr"])
        assert who.scopes == frozenset({Scope.READ, Scope.INGEST})  # an operator of all tenants is made by no token
        assert who.reader.names == frozenset({"user:ann", "group:hr", "group:board"})


async def test_token_without_a_claim_of_a_tenant_is_of_the_default_one_where_none_is_asked_for(issuer: Issuer) -> None:
    guard = await _guard(issuer, claims=ClaimNames("", "sub", "groups", "scp"))
    who = guard.principal(_bearing(issuer.token(groups="a b", scp=["trivium:admin"])))
    assert (who.tenant, sorted(who.groups), sorted(who.scopes)) == ("default", ["a", "b"], ["admin", "read"])


async def test_token_that_is_not_good_is_refused(issuer: Issuer) -> None:
    guard, now = await _guard(issuer), time.time()
    other = rsa.generate_private_key(65537, 2048)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    public = issuer.described()["keys"][0]["n"]
    bad = {
        "expired": issuer.token(exp=now - 120),
        "not yet": issuer.token(nbf=now + 120),
        "for somebody else": issuer.token(aud="other"),
        "of somebody else": issuer.token(iss="https://evil.example"),
        "without an end": issuer.token(exp=None),
        "without an audience": issuer.token(aud=None),
        "signed by another": jwt.encode(claims, other, "RS256", headers={"kid": "first"}),
        "by another algorithm": jwt.encode(claims, other, "RS512", headers={"kid": "first"}),
        "unsigned": jwt.encode(claims, "", "none", headers={"kid": "first"}),
        "by a secret that all know": jwt.encode(claims, public, "HS256", headers={"kid": "first"}),
        "no token": "nothing",
        "nested too deep": f"{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.e30.c2ln",
        "too long": "x" * 20_000,
    }
    for token in bad.values():
        with pytest.raises(Unauthenticated):
            guard.principal(_bearing(token))
    assert guard.principal(_bearing(issuer.token(exp=now - 30)))  # clocks differ
    for changes in (
        {"team": None},
        {"team": "A.b"},
        {"sub": None},
        {"sub": "x" * 201},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
    ):
        with pytest.raises(PermissionDenied):
            guard.principal(_bearing(issuer.token(**changes)))
    with pytest.raises(PermissionDenied):
        guard.principal(_bearing(issuer.token(), user="bob"))
    acting = guard.principal(_bearing(issuer.token(scope="trivium:act-as"), user="bob"))
    assert (acting.user, acting.is_acting) == ("bob", True)


async def test_keys_of_the_issuer_are_fetched_anew_when_it_signs_by_others(issuer: Issuer) -> None:
    clock = _Clock()
    guard = await _guard(issuer, clock)
    keys = guard.tokens.keys if guard.tokens else None
    assert keys is not None
    before = issuer.token()
    issuer.rotate("second")
    with pytest.raises(Unauthenticated):  # nobody makes it ask all the time
        guard.principal(_bearing(issuer.token()))
    clock.now = 10
    with pytest.raises(Unavailable) as caught:
        guard.principal(_bearing(issuer.token()))
    assert caught.value.reason == "ISSUER_UNAVAILABLE"
    assert keys._wanted.is_set()
    assert await keys.load()
    assert guard.principal(_bearing(issuer.token())).user == "ann"
    with pytest.raises(Unauthenticated):
        guard.principal(_bearing(before))


async def test_issuer_that_is_away_changes_nothing_for_those_whose_key_is_known(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    guard = await _guard(issuer)
    keys = guard.tokens.keys if guard.tokens else None
    assert keys is not None
    for said in _BROKEN:
        issuer.said = said
        assert not await keys.load(), said
    assert guard.principal(_bearing(issuer.token())).user == "ann"
    assert caplog.text.count("cannot be fetched, and those known hold") == 1

    issuer.said = _BROKEN[0]
    seen: list[bool] = []
    unknown = IssuerKeys(issuer.address, seen.append)
    assert not await unknown.load()
    assert seen == [False]
    with pytest.raises(Unavailable) as caught:
        unknown.get("first")
    assert issuer.address in caught.value.message
    assert "no token of it is taken" in caplog.text


async def test_keys_of_which_none_can_be_read_are_none(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = IssuerKeys(issuer.address, _nobody)
    for listed in _NO_KEYS:
        monkeypatch.setattr(issuer, "described", lambda listed=listed: json.loads(listed))
        assert not await keys.load(), listed


async def test_user_with_a_token_is_counted_by_its_name_or_by_a_hash_of_it(issuer: Issuer) -> None:
    guard = await _guard(issuer)
    ids = [
        guard.principal(_bearing(issuer.token(sub=sub))).key_id for sub in ("ann", "a.b@c.org", "Zoë", "a b", "x" * 65)
    ]
    assert ids[:2] == ["oidc:ann", "oidc:a.b@c.org"]
    assert all(re.fullmatch(r"oidc:~[0-9a-f]{32}", one) for one in ids[2:])
    assert len(set(ids)) == 5
    hashed = ids[2].removeprefix("oidc:")  # nobody takes another's name by having its hash as one
    assert guard.principal(_bearing(issuer.token(sub=hashed))).key_id not in ids
    assert all(guard.knows(one, "legal") for one in ids)
    assert not any(guard.knows(one, "legal") for one in ("oidc:", "oidc:a b", "oidc:~x", "0123456789"))
    guard.tokens = None
    assert not guard.knows("oidc:ann", "legal")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("ann", "ann"),
        ("Zo%C3%AB", "Zoë"),
        ("Zoë".encode().decode("latin-1"), "Zoë"),  # UTF-8 as it is, as a server reads the bytes of a header
        ("%E7%94%B0%E4%B8%AD", "田中"),
        ("100%", "100%"),
        ("a%2Cb", "a,b"),
    ],
)
async def test_name_of_whom_one_asks_for_has_any_letters(issuer: Issuer, sent: str, read: str) -> None:
    guard, token = await _guard(issuer), issuer.token(scope="trivium:act-as")
    who = guard.principal(_bearing(token, user=sent, groups=f"{sent}, hr"))
    assert (who.user, who.groups, who.key_id) == (read, frozenset({read, "hr"}), "oidc:ann")


@pytest.mark.parametrize("sent", ["Zo\xeb", "Zo%EB", "a%0Ab", "%20a", "%00", "x" * 201])
async def test_name_of_whom_one_asks_for_that_can_be_nobodys_is_refused(issuer: Issuer, sent: str) -> None:
    guard, token = await _guard(issuer), issuer.token(scope="trivium:act-as")
    for more in ({"user": sent}, {"groups": f"hr,{sent}"}):
        with pytest.raises(InvalidField):
            guard.principal(_bearing(token, **more))


def test_settings_of_an_issuer_that_cannot_be_are_refused() -> None:
    good = {"auth": "oidc", "oidc_issuer": "https://issuer.example", "oidc_audience": "trivium"}
    check_access(GatewaySettings(**good))  # type: ignore[arg-type]
    for changes in (
        {"oidc_issuer": ""},
        {"oidc_audience": ""},
        {"oidc_issuer": "http://issuer.example"},
        {"oidc_issuer": "file:///etc"},
        {"oidc_scopes": "read,operator"},
    ):
        with pytest.raises(ValueError):  # noqa: PT011  # which of them, the messages say
            check_access(GatewaySettings(**(good | changes)))  # type: ignore[arg-type]
    assert scopes_named("read, ingest") == frozenset({Scope.READ, Scope.INGEST})


async def test_issuer_that_answers_without_end_is_given_up_and_keeps_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)

    monkeypatch.setattr(issuer_module, "_FETCH_SECONDS", 0.3)
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        keys = IssuerKeys(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", _nobody)
        assert not await keys.load()
        with pytest.raises(Unavailable, match="longer than"):
            keys.get("first")
