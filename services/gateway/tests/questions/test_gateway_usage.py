"""What is counted of real calls, and how a caller that has used what it may is told on each surface."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pypdf
import pytest
import pytest_asyncio
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import usage_service_pb2 as usage_pb
from trivium.gateway.v1.usage_service_pb2_grpc import UsageServiceStub
from trivium_gateway.models.generate import MODEL_HEALTH_NAME
from trivium_gateway.settings import GatewaySettings
from trivium_serving.rpc_errors import error_from_rpc

from .conftest import DOCUMENTS, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_QUESTION = {"question": "What do herons eat?"}


_FONT = {
    NameObject("/Type"): NameObject("/Font"),
    NameObject("/Subtype"): NameObject("/Type1"),
    NameObject("/BaseFont"): NameObject("/Helvetica"),
}


@dataclass
class Metered:
    """A gateway that asks for keys, and its first one."""

    stack: Stack
    folder: Path
    first_key: str

    async def call(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        """Calls it over HTTP with a key."""
        return await self.stack.http.request(method, path, headers={"Authorization": f"Bearer {key}"}, **more)

    async def tenant(self, name: str, *scopes: str) -> str:
        """Makes a tenant with documents; returns its key."""
        made = await self.call(
            "POST", "/v1/keys", self.first_key, json={"name": name, "tenant": name, "scopes": list(scopes)}
        )
        key: str = made.json()["key"]
        assert (await self.call("POST", "/v1/documents", key, json={"documents": DOCUMENTS})).status_code == 200
        return key

    async def limit(self, tenant: str, **limits: str) -> None:
        """Sets what a tenant may use."""
        body = {"tenant": tenant, "limits": limits}
        assert (await self.call("PUT", "/v1/quotas", self.first_key, json=body)).status_code == 200

    def audited(self) -> list[dict[str, Any]]:
        """What stands in the audit log."""
        files = (self.folder / "gateway" / "audit").iterdir()
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    async def used(self, key: str) -> dict[str, int]:
        """What the keys of a tenant used, all together."""
        body = (await self.call("GET", "/v1/usage", key)).json()
        kinds = [kind for kind in body["usage"][0] if kind not in ("tenant", "key")]
        return {kind: sum(one[kind] for one in body["usage"]) for kind in kinds}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metered(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Metered]:
    """A gateway that asks for keys."""
    folder: Path = tmp_path_factory.mktemp("data")
    async with running_stack(qdrant, GatewaySettings(auth="keys", data_dir=folder)) as stack:
        yield Metered(stack, folder, (folder / "gateway" / "first-key").read_text().strip())


async def test_calls_are_counted_with_what_the_services_report(metered: Metered) -> None:
    key = await metered.tenant("counted", "read", "ingest", "admin")
    before = await metered.used(key)
    assert before["requests"] == 1
    assert before["embedded_tokens"] > 0
    assert (before["documents"], before["prompt_tokens"], before["pages"]) == (3, 0, 0)
    assert before["bytes"] == sum(len(one["text"].encode()) for one in DOCUMENTS)
    answered = await metered.call("POST", "/v1/answer", key, json=_QUESTION)
    assert answered.json()["usage"]["prompt_tokens"] == 90
    after = await metered.used(key)
    assert (after["requests"], after["prompt_tokens"], after["completion_tokens"]) == (2, 90, 7)
    assert after["embedded_tokens"] > before["embedded_tokens"]
    assert after["reranked_tokens"] > 0
    again = await metered.call("POST", "/v1/documents", key, json={"documents": DOCUMENTS})
    assert {one["status"] for one in again.json()["documents"]} == {"unchanged"}
    assert (await metered.used(key)) == {**after, "requests": 3}  # nothing was embedded, nothing written


async def test_each_page_of_a_file_is_counted_also_where_one_piece_has_several(metered: Metered) -> None:
    key = await metered.tenant("paged", "read", "ingest", "admin")
    before = await metered.used(key)
    writer = pypdf.PdfWriter()
    font = DictionaryObject({NameObject("/F1"): DictionaryObject(_FONT)})
    for number in range(1, 4):
        page, drawn = writer.add_blank_page(612, 792), DecodedStreamObject()
        drawn.set_data(f"BT /F1 12 Tf 72 720 Td (Page {number} of the manual.) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(drawn)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): font})
    pdf = io.BytesIO()
    writer.write(pdf)
    files = {"file": ("manual.pdf", pdf.getvalue(), "application/pdf")}
    headers = {"Authorization": f"Bearer {key}"}
    sent = await metered.stack.http.post("/v1/documents", headers=headers, files=files)
    assert [(one["status"], one["chunks"]) for one in sent.json()["documents"]] == [("indexed", 1)], sent.text
    assert (await metered.used(key))["pages"] == before["pages"] + 3


async def test_what_rewrites_a_question_is_counted_beside_what_answers_it(metered: Metered) -> None:
    key = await metered.tenant("rewriting", "read", "ingest", "admin")
    assert metered.stack.generate.server is not None
    await metered.stack.generate.server.health.set(MODEL_HEALTH_NAME, True)
    history = [{"role": "user", "content": "What do otters eat?"}, {"role": "assistant", "content": "Fish."}]
    body = {"query": "Where do they sleep?", "history": history, "expand": ["queries", "hyde"]}
    async with asyncio.timeout(20):
        while not metered.stack.generate.called("Rewrite"):
            await metered.call("POST", "/v1/retrieve", key, json=body)
    before, called = await metered.used(key), len(metered.stack.generate.called("Rewrite"))
    found = await metered.call("POST", "/v1/retrieve", key, json=body)
    assert (found.status_code, found.json()["degraded"]) == (200, [])
    calls = len(metered.stack.generate.called("Rewrite")) - called
    assert calls == 3
    after = await metered.used(key)
    assert after["prompt_tokens"] - before["prompt_tokens"] == 40 * calls
    assert after["completion_tokens"] - before["completion_tokens"] == 3 * calls


async def test_job_is_its_starters_in_usage_audit_and_quota(metered: Metered) -> None:
    key = await metered.tenant("jobs", "read", "ingest", "admin")
    key_id = key.split("_")[1]
    body = {"documents": [{"id": "later", "text": "Herons eat frogs."}], "wait": False}
    job = (await metered.call("POST", "/v1/documents", key, json=body)).json()["job"]
    async with asyncio.timeout(60):
        while (await metered.call("GET", f"/v1/jobs/{job}", key)).json()["state"] != "done":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    [used] = (await metered.call("GET", "/v1/usage", key)).json()["usage"]
    assert (used["key"], used["documents"]) == (key_id, len(DOCUMENTS) + 1)
    noted = [one for one in metered.audited() if one["tenant"] == "jobs" and "later" in one.get("documents", {})]
    assert [(one["action"], one["key"]) for one in noted] == [("documents.ingest", key_id)]

    quota = {"tenant": "jobs", "key": key_id, "limits": {"documents": "0/d"}}
    assert (await metered.call("PUT", "/v1/quotas", metered.first_key, json=quota)).status_code == 200
    refused = await metered.call("POST", "/v1/documents", key, json=body)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (429, "QUOTA_EXCEEDED")


async def test_what_does_not_fit_is_refused_document_by_document_and_a_job_waits_for_room(metered: Metered) -> None:
    key = await metered.tenant("full", "read", "ingest", "admin")
    size = sum(len(one["text"].encode()) for one in DOCUMENTS)
    told = (await metered.call("GET", "/v1/usage", key)).json()["stored"]
    assert told == [{"tenant": "full", "documents": 3, "bytes": size}]
    await metered.limit("full", stored_documents="4", stored_bytes=str(size + 20))

    async def add(*documents: dict[str, Any], **more: Any) -> httpx.Response:
        return await metered.call("POST", "/v1/documents", key, json={"documents": documents, **more})

    sent = [{"id": "long", "text": "x" * 21}, {"id": "short", "text": "x" * 11}, {"id": "fifth", "text": "x"}]
    long, short, fifth = (await add(*DOCUMENTS, *sent)).json()["documents"][3:]
    assert (short["status"], long["error"]["reason"], fifth["error"]["reason"]) == (
        "indexed",
        "STORED_QUOTA_EXCEEDED",
        "STORED_QUOTA_EXCEEDED",
    )
    assert f"may have {size + 20} stored_bytes" in long["error"]["message"]
    assert "may have 4 stored_documents, and has 4" in fifth["error"]["message"]
    [longer] = (await add({**DOCUMENTS[0], "text": DOCUMENTS[0]["text"] + "x" * 10})).json()["documents"]
    [smaller] = (await add({**DOCUMENTS[0], "text": "Less."})).json()["documents"]
    assert (longer["error"]["reason"], smaller["status"]) == ("STORED_QUOTA_EXCEEDED", "updated")

    job = (await add({"id": "fifth", "text": "x"}, wait=False)).json()["job"]
    async with asyncio.timeout(60):
        while not (waiting := (await metered.call("GET", f"/v1/jobs/{job}", key)).json()["waiting"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert waiting["reason"] == "STORED_QUOTA_EXCEEDED"
        assert (await metered.call("DELETE", "/v1/documents/short", key)).status_code == 200
        while (await metered.call("GET", f"/v1/jobs/{job}", key)).json()["state"] != "done":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    refusals = metered.stack.metric("trivium_gateway_quota_refused_total", tenant="full", kind="stored_documents")
    assert refusals >= 2

    [key_id] = {one["key"] for one in (await metered.call("GET", "/v1/usage", key)).json()["usage"]}
    body = {"tenant": "full", "key": key_id, "limits": {"stored_bytes": "5"}}
    assert (await metered.call("PUT", "/v1/quotas", metered.first_key, json=body)).status_code == 400


async def test_usage_of_others_is_for_operators_only(metered: Metered) -> None:
    key, other = (
        await metered.tenant("mine", "read", "ingest", "admin"),
        await metered.tenant("theirs", "read", "ingest"),
    )
    seen = (await metered.call("GET", "/v1/usage", key)).json()["usage"]
    assert {one["tenant"] for one in seen} == {"mine"}
    assert (await metered.call("GET", "/v1/usage?tenant=theirs", key)).status_code == 403
    assert (await metered.call("GET", "/v1/usage", other)).status_code == 403
    everybody = (await metered.call("GET", "/v1/usage", metered.first_key)).json()["usage"]
    assert {"mine", "theirs"} <= {one["tenant"] for one in everybody}
    assert (await metered.call("GET", "/v1/usage?from=monday", key)).status_code == 400


async def test_answer_says_what_is_left_and_a_refusal_when_to_come_back(metered: Metered) -> None:
    key = await metered.tenant("limited", "read", "ingest")
    await metered.limit("limited", requests="2/h")
    for left in (1, 0):
        answered = await metered.call("POST", "/v1/retrieve", key, json={"query": "herons"})
        assert answered.status_code == 200
        assert answered.headers["X-RateLimit-Limit"] == "2"
        assert answered.headers["X-RateLimit-Remaining"] == str(left)
    refused = await metered.call("POST", "/v1/answer", key, json=_QUESTION)
    assert refused.status_code == 429
    assert refused.json()["error"]["reason"] == "QUOTA_EXCEEDED"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert 3500 <= int(refused.headers["X-RateLimit-Reset"]) * 1 <= 7200
    assert 1700 <= int(refused.headers["Retry-After"]) <= 1800
    assert (await metered.call("GET", "/v1/documents", key)).status_code == 429
    assert (await metered.call("GET", "/v1/jobs", key)).status_code == 429
    refusals = metered.stack.metric("trivium_gateway_quota_refused_total", tenant="limited", kind="requests")
    assert refusals == 3


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (
            "/v1/chat/completions",
            {"model": "trivium", "messages": [{"role": "user", "content": "What do herons eat?"}]},
            lambda told: (told["error"]["type"], told["error"]["code"]) == ("rate_limit_error", "quota_exceeded"),
        ),
        ("/rerank", {"query": "x", "texts": ["y"]}, lambda told: told["error_type"] == "Overloaded"),
        ("/v2/rerank", {"query": "x", "documents": ["y"]}, lambda told: "may use 0/d" in told["message"]),
        (
            "/v1/embeddings",
            {"model": "trivium", "input": "x"},
            lambda told: told["error"]["type"] == "rate_limit_error",
        ),
    ],
)
async def test_surfaces_of_others_refuse_in_their_own_form(metered: Metered, path: str, body: Any, reason: Any) -> None:
    key = await metered.tenant("forms", "read", "ingest")
    await metered.limit("forms", requests="0/d")
    refused = await metered.call("POST", path, key, json=body)
    await metered.limit("forms")
    assert refused.status_code == 429, refused.text
    assert refused.headers["X-RateLimit-Limit"] == "0"
    assert int(refused.headers["Retry-After"]) > 0
    assert reason(refused.json()), refused.text


async def test_tool_of_mcp_says_that_nothing_is_left(metered: Metered) -> None:
    key = await metered.tenant("tools", "read", "ingest")
    await metered.limit("tools", requests="0/d")
    call = {"name": "search", "arguments": {"query": "herons"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
    }
    answered = await metered.stack.http.post("/mcp", json=request, headers=headers)
    assert answered.status_code == 200, answered.text
    assert "QUOTA_EXCEEDED" in answered.text
    assert '"isError":true' in answered.text.replace(" ", "")


async def test_refusal_over_grpc_has_the_same_in_its_trailers(metered: Metered) -> None:
    key = await metered.tenant("remote", "read", "ingest")
    await metered.limit("remote", requests="0/d")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await metered.stack.stub.Retrieve(pb.RetrieveRequest(query="herons"), metadata=(("x-api-key", key),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(caught.value.trailing_metadata() or ())
    assert (trailers["x-ratelimit-limit"], trailers["x-ratelimit-remaining"]) == ("0", "0")
    assert int(str(trailers["x-ratelimit-reset"])) > 0
    assert int(str(trailers["grpc-retry-pushback-ms"])) > 0
    assert error_from_rpc(caught.value).reason == "QUOTA_EXCEEDED"


async def test_answer_that_wrote_too_much_lets_its_tenant_wait(metered: Metered) -> None:
    key = await metered.tenant("writing", "read", "ingest")
    await metered.limit("writing", completion_tokens="5/h")
    assert (
        await metered.call("POST", "/v1/answer", key, json=_QUESTION)
    ).status_code == 200  # 7 tokens, told afterwards
    refused = await metered.call("POST", "/v1/answer", key, json=_QUESTION)
    assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (429, "0")
    embedded = await metered.call("POST", "/v1/embeddings", key, json={"model": "trivium", "input": "herons"})
    assert embedded.status_code == 200  # nothing of what is used up


async def test_changed_quota_is_in_the_audit_log(metered: Metered) -> None:
    await metered.limit("audited", requests="5/m")
    lines = metered.audited()
    assert [one["outcome"] for one in lines if (one["action"], one.get("subject")) == ("quotas.set", "audited")] == [
        "OK"
    ]


async def test_usage_and_quotas_are_asked_for_over_grpc(metered: Metered) -> None:
    await metered.limit("asked", requests="5/m")
    stub, metadata = UsageServiceStub(metered.stack.channel), (("x-api-key", metered.first_key),)
    quotas = (await stub.ListQuotas(usage_pb.ListQuotasRequest(tenant="asked"), metadata=metadata)).quotas
    assert [dict(one.limits) for one in quotas] == [{"requests": "5/m"}]
    request = usage_pb.SetQuotaRequest(tenant="asked", weight=4)
    changed = (await stub.SetQuota(request, metadata=metadata)).quota
    assert (changed.weight, dict(changed.limits)) == (4, {})
    report = await stub.GetUsage(usage_pb.GetUsageRequest(), metadata=metadata)
    assert report.begin.seconds < report.end.seconds
