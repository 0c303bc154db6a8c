"""Nothing of anybody's is reached without a key, on no surface, and nothing of another tenant's with one."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
import trivium.gateway.v1
from google.protobuf import descriptor_pool
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import key_service_pb2 as keys_pb
from trivium.gateway.v1.key_service_pb2_grpc import KeyServiceStub
from trivium_gateway.settings import GatewaySettings

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_OPEN = {"/healthz", "/readyz"}


@dataclass
class Guarded:
    """A gateway that asks for keys, and its first one."""

    stack: Stack
    first_key: str

    async def call(self, method: str, path: str, key: str | None, **more: Any) -> httpx.Response:
        """Calls it over HTTP with a key, or none."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return await self.stack.http.request(method, path, headers=headers, **more)

    async def key(self, tenant: str, *scopes: str) -> str:
        """Makes a key."""
        made = await self.call(
            "POST", "/v1/keys", self.first_key, json={"name": "x", "tenant": tenant, "scopes": list(scopes)}
        )
        assert made.status_code == 201, made.text
        text: str = made.json()["key"]
        return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """A gateway that asks for keys."""
    folder: Path = tmp_path_factory.mktemp("data")
    async with running_stack(qdrant, GatewaySettings(auth="keys", data_dir=folder)) as stack:
        yield Guarded(stack, (folder / "gateway" / "first-key").read_text().strip())


async def _routes(guarded: Guarded) -> list[tuple[str, str]]:
    described = (await guarded.stack.http.get("/openapi.json")).json()
    paths = [
        (method.upper(), re.sub(r"\{[^}]*\}", "x", path))
        for path, methods in described["paths"].items()
        for method in methods
        if path not in _OPEN
    ]
    assert len(paths) > 25
    return [*paths, ("POST", "/mcp"), ("GET", "/nowhere")]


async def test_every_route_asks_for_a_key(guarded: Guarded) -> None:
    for method, path in await _routes(guarded):
        for key in (None, "tv_0011223344_" + "x" * 43):
            response = await guarded.call(method, path, key)
            assert (method, path, response.status_code) == (method, path, 401)
            assert response.json()["error"]["reason"] == "UNAUTHENTICATED"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_page_and_probes_are_there_without_a_key(guarded: Guarded) -> None:
    for path in ("/", "/worker.js", "/healthz", "/readyz", "/docs", "/openapi.json"):
        assert (await guarded.call("GET", path, None)).status_code == 200


async def test_every_rpc_asks_for_a_key(guarded: Guarded) -> None:
    called = 0
    files = [one.name for one in pkgutil.iter_modules(trivium.gateway.v1.__path__) if one.name.endswith("_service_pb2")]
    for service in (
        service
        for file in files
        for service in import_module(f"trivium.gateway.v1.{file}").DESCRIPTOR.services_by_name.values()
    ):
        for method in descriptor_pool.Default().FindServiceByName(service.full_name).methods:
            path = f"/{service.full_name}/{method.name}"
            channel: Any = guarded.stack.channel
            if method.client_streaming:
                call = channel.stream_unary(path)(iter([b""]))
            elif method.server_streaming:
                call = channel.unary_stream(path)(b"").read()
            else:
                call = channel.unary_unary(path)(b"")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert (path, caught.value.code()) == (path, grpc.StatusCode.UNAUTHENTICATED)
            called += 1
    assert called >= 38


async def test_key_does_what_its_scopes_allow_and_no_more(guarded: Guarded) -> None:
    reader, writer = await guarded.key("scopes", "read"), await guarded.key("scopes", "ingest")
    admin, nobody = await guarded.key("scopes", "admin"), await guarded.key("scopes", "act-as")
    document = {"documents": [{"id": "a", "text": "Herons eat fish."}]}
    allowed: tuple[tuple[str, str, dict[str, Any], str], ...] = (
        ("POST", "/v1/collections", {"json": {"name": "c"}}, admin),
        ("POST", "/v1/documents", {"json": document}, writer),
        ("GET", "/v1/documents", {}, reader),
        ("POST", "/v1/documents", {"json": {**document, "wait": False}}, writer),
        ("GET", "/v1/jobs", {}, writer),
        ("GET", "/v1/documents/a", {}, reader),
        ("GET", "/v1/collections", {}, reader),
        ("POST", "/v1/retrieve", {"json": {"query": "herons"}}, reader),
        ("POST", "/v1/answer", {"json": {"question": "What do herons eat?"}}, reader),
        ("GET", "/v1/feedback", {}, reader),
        ("POST", "/v1/feedback", {"json": {"request_id": "r", "rating": 1, "question": "herons?"}}, reader),
        ("DELETE", "/v1/feedback/r", {}, reader),
        ("POST", "/v1/embeddings", {"json": {"model": "trivium", "input": "herons"}}, reader),
        ("POST", "/v1/rerank", {"json": {"query": "herons", "documents": ["fish"]}}, reader),
        ("DELETE", "/v1/documents/a", {}, writer),
        ("POST", "/v1/collections/c/reindex", {}, admin),
        ("DELETE", "/v1/collections/c", {}, admin),
        ("GET", "/v1/keys", {}, admin),
        ("GET", "/metrics", {}, guarded.first_key),
    )
    for method, path, more, key in allowed:
        for other in {reader, writer, admin, nobody} - {key}:
            refused = await guarded.call(method, path, other, **more)
            assert (path, refused.status_code) == (path, 403), refused.text
        response = await guarded.call(method, path, key, **more)
        assert (path, response.status_code) in {(path, 200), (path, 201), (path, 202)}, response.text
    for path in ("reindex/estimate", "rollback", "discard"):  # there is nothing to do it to, which an admin is told
        told = [
            (await guarded.call("POST", f"/v1/collections/c/{path}", key, json={"model": "m"})).status_code
            for key in (reader, writer, nobody, admin)
        ]
        assert told == [403, 403, 403, 404], path


async def test_key_that_may_not_ask_is_told_so_where_no_question_has_a_place(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await guarded.key("full", "read"), await guarded.key("full", "ingest")
    monkeypatch.setattr(guarded.stack.process.gateway.questions._admission, "_most", 0)

    for path in ("/v1/answer", "/v1/retrieve", "/v1/rerank", "/v1/embeddings"):
        assert (await guarded.call("POST", path, reader, json={})).status_code == 429
        refused = await guarded.call("POST", path, writer, json={"question": "q", "query": "q"})
        assert refused.status_code in {400, 403}, refused.text  # what is wrong with it, and never an error of ours


async def test_tenants_share_nothing(guarded: Guarded) -> None:
    keys = {tenant: await guarded.key(tenant, "read", "ingest", "admin") for tenant in ("north", "south")}
    for tenant, key in keys.items():
        assert (await guarded.call("POST", "/v1/collections", key, json={"name": "plans"})).status_code == 201
        body = {"collection": "plans", "documents": [{"id": "plan", "text": f"The plan of {tenant} is secret."}]}
        assert (await guarded.call("POST", "/v1/documents", key, json=body)).status_code == 200
    for tenant, key in keys.items():
        found = await guarded.call("POST", "/v1/retrieve", key, json={"query": "secret plan", "collection": "plans"})
        assert [one["text"] for one in found.json()["passages"]] == [f"The plan of {tenant} is secret."]
        collections = (await guarded.call("GET", "/v1/collections", key)).json()["collections"]
        assert [one["name"] for one in collections] == ["plans"]
        models = (await guarded.call("GET", "/v1/models", key)).text
        assert "north" not in models.replace(tenant, "")
        assert (await guarded.call("GET", "/v1/collections/south.plans", key)).status_code == 404
        request_id = found.json()["request_id"]
        said = {"request_id": request_id, "rating": 1}
        for who in keys.values():
            trace = await guarded.call("GET", f"/v1/traces/{request_id}", who)
            again = await guarded.call("POST", f"/v1/traces/{request_id}/replay", who, json={})
            feedback = await guarded.call("POST", "/v1/feedback", who, json=said)
            status = 200 if who == key else 404
            assert [one.status_code for one in (trace, again, feedback)] == [status] * 3
        listed = (await guarded.call("GET", "/v1/feedback", key)).json()["feedback"]
        assert [one["request_id"] for one in listed] == [request_id]
    assert (await guarded.call("DELETE", "/v1/collections/plans", keys["north"])).status_code == 200
    assert (await guarded.call("GET", "/v1/collections/plans", keys["south"])).json()["chunk_count"] == 1


async def test_jobs_of_another_tenant_are_not_there(guarded: Guarded) -> None:
    keys = {tenant: await guarded.key(tenant, "read", "ingest") for tenant in ("east", "west")}
    body = {"documents": [{"id": "plan", "text": "The plan."}], "wait": False}
    job = (await guarded.call("POST", "/v1/documents", keys["east"], json=body)).json()["job"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/retry")):
        gone = await guarded.call(method, f"/v1/jobs/{job}{path}", keys["west"])
        assert (gone.status_code, gone.json()["error"]["reason"]) == (404, "JOB_NOT_FOUND")
    into = await guarded.call("POST", "/v1/documents", keys["west"], json={**body, "job": job})
    assert (into.status_code, into.json()["error"]["reason"]) == (404, "JOB_NOT_FOUND")
    assert (await guarded.call("GET", "/v1/jobs", keys["west"])).json()["jobs"] == []
    assert [one["id"] for one in (await guarded.call("GET", "/v1/jobs", keys["east"])).json()["jobs"]] == [job]


async def test_keys_are_made_listed_rotated_and_revoked_over_http(guarded: Guarded) -> None:
    body = {"name": "bot", "tenant": "acme", "scopes": ["read"], "expires_at": "2126-01-31T00:00:00Z"}
    made = (await guarded.call("POST", "/v1/keys", guarded.first_key, json=body)).json()
    assert (made["tenant"], made["scopes"], made["expires_at"]) == ("acme", ["read"], "2126-01-31T00:00:00Z")
    listed = await guarded.call("GET", "/v1/keys", guarded.first_key)
    assert made["id"] in [one["id"] for one in listed.json()["keys"]]
    assert made["key"] not in listed.text

    anew = await guarded.call("POST", f"/v1/keys/{made['id']}/rotate", guarded.first_key, json={"grace_seconds": 0})
    assert (await guarded.call("GET", "/v1/collections", made["key"])).status_code == 401
    assert (await guarded.call("GET", "/v1/collections", anew.json()["key"])).status_code == 200
    assert (await guarded.call("DELETE", f"/v1/keys/{made['id']}", guarded.first_key)).status_code == 200
    assert (await guarded.call("GET", "/v1/collections", anew.json()["key"])).status_code == 401
    bad = await guarded.call("POST", "/v1/keys", guarded.first_key, json={**body, "expires_at": "tomorrow"})
    assert (bad.status_code, bad.json()["error"]["field"]) == (400, "expires_at")
    gone = await guarded.call("DELETE", f"/v1/keys/{made['id']}", guarded.first_key)
    assert (gone.status_code, gone.json()["error"]["reason"]) == (404, "KEY_NOT_FOUND")


async def test_keys_are_made_listed_rotated_and_revoked_over_grpc(guarded: Guarded) -> None:
    stub = KeyServiceStub(guarded.stack.channel)
    by_first = (("authorization", f"Bearer {guarded.first_key}"),)
    made = await stub.CreateKey(keys_pb.CreateKeyRequest(name="bot", tenant="acme", scopes=["read"]), metadata=by_first)
    by_it = (("x-api-key", made.text),)
    assert (
        list((await guarded.stack.stub.ListCollections(pb.ListCollectionsRequest(), metadata=by_it)).collections) == []
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListKeys(keys_pb.ListKeysRequest(), metadata=by_it)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert made.key in (await stub.ListKeys(keys_pb.ListKeysRequest(), metadata=by_first)).keys
    anew = await stub.RotateKey(keys_pb.RotateKeyRequest(id=made.key.id), metadata=by_first)
    for text in (made.text, anew.text):
        await guarded.stack.stub.ListCollections(pb.ListCollectionsRequest(), metadata=(("x-api-key", text),))
    await stub.RevokeKey(keys_pb.RevokeKeyRequest(id=made.key.id), metadata=by_first)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await guarded.stack.stub.ListCollections(pb.ListCollectionsRequest(), metadata=by_it)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
