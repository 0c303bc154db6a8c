"""Users with tokens of an issuer, on every surface of the real stack, while the issuer comes, signs anew and goes."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from e2e.stack import Stack, wait_until
from e2e.token_issuer import AUDIENCE, Issuer
from ports import free_port
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

_DOCUMENT = {"id": "pump", "text": "The filter of the pump is replaced after 18 months.", "readers": ["group:hr"]}
_QUESTION = "When is the filter of the pump replaced?"


@dataclass
class House:
    """A gateway that takes an issuer's tokens."""

    stack: Stack
    issuer: Issuer

    def http(self, method: str, path: str, token: str, **more: Any) -> httpx.Response:
        """Calls it over HTTP."""
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return self.stack.http.request(method, path, headers=headers, **more)

    def grpc(self, token: str) -> tuple[str, list[str]]:
        """Asks over gRPC: the status, and the documents."""
        with grpc.insecure_channel(f"127.0.0.1:{self.stack.grpc_port}") as channel:
            request = pb.RetrieveRequest(query=_QUESTION)
            try:
                found = GatewayServiceStub(channel).Retrieve(
                    request, timeout=30, metadata=(("authorization", f"Bearer {token}"),)
                )
            except grpc.RpcError as error:
                return str(error.code().name), []
            return "OK", [one.document_id for one in found.passages]

    def mcp(self, token: str) -> httpx.Response:
        """Asks over MCP."""
        call = {"name": "search", "arguments": {"query": _QUESTION}}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        return self.http("POST", "/mcp", token, headers=headers, json=body)

    def statuses(self, token: str) -> tuple[int, str, int]:
        """How a question ends over HTTP, gRPC and MCP."""
        asked = self.http("POST", "/v1/retrieve", token, json={"query": _QUESTION})
        return asked.status_code, self.grpc(token)[0], self.mcp(token).status_code


_TAKEN, _REFUSED = (200, "OK", 200), (401, "UNAUTHENTICATED", 401)
_NOT_NOW = (503, "UNAVAILABLE", 503)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway that started while its issuer was away, and the issuer, which is there now."""
    folder: Path = tmp_path_factory.mktemp("tokens")
    issuer = Issuer(free_port())
    issuer.rotate("first")
    environ = {
        "TRIVIUM_GATEWAY_AUTH": "oidc",
        "TRIVIUM_GATEWAY_OIDC_ISSUER": issuer.address,
        "TRIVIUM_GATEWAY_OIDC_AUDIENCE": AUDIENCE,
        "TRIVIUM_GATEWAY_OIDC_TENANT_CLAIM": "team",
        "TRIVIUM_GATEWAY_OIDC_GROUPS_CLAIM": "realm_access.roles",
    }
    stack, house = Stack(folder, environ), None
    stack.start()
    with ExitStack() as running:
        running.callback(stack.http.close)
        running.callback(stack.end)
        stack.wait_ready()
        house = House(stack, issuer)
        assert house.statuses(issuer.token()) == _NOT_NOW
        refused = house.http("GET", "/v1/documents", issuer.token()).json()["error"]
        assert refused["reason"] == "ISSUER_UNAVAILABLE"
        assert issuer.address in refused["message"]
        running.enter_context(issuer.answering())
        wait_until(lambda: house.statuses(issuer.token()) == _TAKEN, "issuer that is followed")
        added = house.http("POST", "/v1/documents", issuer.token(), json={"documents": [_DOCUMENT]})
        assert added.json()["documents"][0]["status"] == "indexed", added.text
        yield house


def test_token_is_taken_on_every_surface_and_reads_what_its_groups_may(house: House) -> None:
    token, other = house.issuer.token(), house.issuer.token(sub="bob", realm_access={"roles": ["sales"]})
    for who, is_there in ((token, True), (other, False), (house.issuer.token(team="others"), False)):
        answered = house.http("POST", "/v1/answer", who, json={"question": _QUESTION})
        assert answered.status_code == 200, answered.text
        shown = [one["document_id"] for one in answered.json()["passages"]], house.grpc(who)[1]
        assert shown == ((["pump"], ["pump"]) if is_there else ([], []))
        assert ("pump" in house.mcp(who).text) is is_there


def test_token_that_does_not_hold_is_refused_on_every_surface(house: House) -> None:
    now = time.time()
    for changes in ({"exp": now - 120}, {"aud": "another"}, {"iss": "https://another.example"}, {"nbf": now + 120}):
        assert house.statuses(house.issuer.token(**changes)) == _REFUSED, changes


def test_users_with_tokens_are_told_apart_in_usage_audit_and_quota(house: House) -> None:
    admin = house.issuer.token(sub="root", team="apart", scope="trivium:admin")
    tokens = {sub: house.issuer.token(sub=sub, team="apart") for sub in ("ann", "Zoë Ö")}
    for sub, token in tokens.items():
        body = {"documents": [{"id": sub, "text": f"A note of {sub}."}]}
        assert house.http("POST", "/v1/documents", token, json=body).status_code == 200
    used = {one["key"]: one["documents"] for one in house.http("GET", "/v1/usage", admin).json()["usage"]}
    ids = sorted(used)
    assert (len(ids), ids[0], ids[1][:6]) == (2, "oidc:ann", "oidc:~")
    assert set(used.values()) == {1}
    files = (house.stack.folder / "data" / "gateway" / "audit").iterdir()
    noted = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {(one["key"], one["user"]) for one in noted if one["tenant"] == "apart"} == {
        (ids[0], "ann"),
        (ids[1], "Zoë Ö"),
    }

    quota = {"key": ids[1], "limits": {"requests": "0/d"}}
    assert house.http("PUT", "/v1/quotas", admin, json=quota).status_code == 200
    assert house.statuses(tokens["Zoë Ö"])[0] == 429
    assert house.statuses(tokens["ann"]) == _TAKEN


def test_application_with_a_token_asks_for_people_whose_names_have_any_letters(house: House) -> None:
    app = house.issuer.token(sub="app", team="names", scope="trivium:ingest trivium:act-as")
    body = {"documents": [{"id": "note", "text": "A note.", "readers": ["user:Zoë", "group:田中, und Söhne"]}]}
    assert house.http("POST", "/v1/documents", app, json=body).status_code == 200
    for headers, is_there in (
        ({"X-Trivium-User": "Zo%C3%AB"}, True),
        ({"X-Trivium-User": "Zoë".encode()}, True),
        ({"X-Trivium-Groups": "hr,%E7%94%B0%E4%B8%AD%2C und S%C3%B6hne"}, True),
        ({"X-Trivium-User": "Zoe"}, False),
    ):
        shown = house.http("GET", "/v1/documents/note", app, headers=headers)
        assert shown.status_code == (200 if is_there else 404), headers
    assert (
        house.http("GET", "/v1/documents", app, headers={"X-Trivium-User": "Zoë".encode("latin-1")}).status_code == 400
    )


def test_issuer_that_signs_anew_is_followed_and_one_that_is_away_changes_nothing(house: House) -> None:
    before = house.issuer.token()
    house.issuer.rotate("second", "EC")
    wait_until(lambda: house.statuses(house.issuer.token()) == _TAKEN, "new key")
    assert house.statuses(before) == _REFUSED
    house.issuer.said = b"HTTP/1.0 200 OK\r\n\r\n{]"
    stranger = Issuer(house.issuer.port)
    stranger.rotate("third")

    def is_asked_in_vain() -> bool:
        assert house.statuses(stranger.token())[0] in (401, 503)
        return "those known hold" in house.stack.log("gateway")

    wait_until(is_asked_in_vain, "look for a key that the issuer does not have")
    assert house.statuses(house.issuer.token()) == _TAKEN
    house.issuer.said = None
