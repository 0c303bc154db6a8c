"""Tokens of an issuer: a small one that serves discovery and keys that it makes over HTTP."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from prometheus_client import CollectorRegistry
from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.guard import Credentials, Guard
from trivium_gateway.access.issuer import IssuerKeys
from trivium_gateway.access.tokens import ClaimNames, TokenVerifier, scopes_named
from trivium_gateway.app.access import access_of, check_access
from trivium_gateway.request.principal import Scope
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import PermissionDenied, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_AUDIENCE = "trivium"
_CLAIMS = ClaimNames(tenant="team", user="sub", groups="realm_access.roles", scopes="scope")


@dataclass
class Issuer:
    """An issuer, and what it signs by."""

    server: ThreadingHTTPServer
    keys: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    is_broken: bool = False

    @property
    def address(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def rotate(self, key_id: str, kind: str = "RSA") -> None:
        """Makes another key, and forgets those before."""
        made = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
        self.keys = {key_id: made}

    def described(self) -> dict[str, Any]:
        """Its keys, the public halves."""
        listed = []
        for key_id, key in self.keys.items():
            algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            name = "RS256" if algorithm is RSAAlgorithm else "ES256"
            listed.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig", "alg": name})
        return {"keys": listed}

    def token(self, **changes: Any) -> str:
        """A token, good but for what is changed; None leaves a claim out."""
        key_id, key = next(iter(self.keys.items()))
        now = time.time()
        claims = {
            "iss": self.address,
            "aud": _AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "sub": "ann",
            "team": "legal",
            "realm_access": {"roles": ["hr", "board"]},
            "scope": "openid trivium:ingest trivium:operator",
            **changes,
        }
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers={"kid": key_id})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.calls += 1
            described = {"issuer": made.address, "jwks_uri": f"{made.address}/keys"}
            answer = made.described() if self.path == "/keys" else described
            self.send_response(503 if made.is_broken else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    made = Issuer(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    made.rotate("first")
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _bearing(token: str, **more: str) -> Credentials:
    return Credentials(authorization=f"Bearer {token}", **more)


async def _guard(issuer: Issuer, clock: _Clock | None = None, claims: ClaimNames = _CLAIMS) -> Guard:
    keys = IssuerKeys(issuer.address, clock or _Clock())
    assert await keys.load()
    tokens = TokenVerifier(keys, _AUDIENCE, claims, frozenset({Scope.READ}))
    audit = AuditLog(None, CollectorRegistry())
    guard = access_of(GatewaySettings(), audit).guard
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
        "too long": "x" * 20_000,
    }
    for token in bad.values():
        with pytest.raises(Unauthenticated):
            guard.principal(_bearing(token))
    assert guard.principal(_bearing(issuer.token(exp=now - 30)))  # clocks differ
    for changes in ({"team": None}, {"team": "A.b"}, {"sub": None}, {"sub": "x" * 201}):
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
    issuer.is_broken = True
    for _ in range(3):
        assert not await keys.load()
    assert guard.principal(_bearing(issuer.token())).user == "ann"
    assert caplog.text.count("cannot be fetched, and those known hold") == 1

    unknown = IssuerKeys(issuer.address)
    assert not await unknown.load()
    with pytest.raises(Unavailable) as caught:
        unknown.get("first")
    assert issuer.address in caught.value.message
    assert "no token of it is taken" in caplog.text


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
