"""Who may export and import: one's own tenant, what one may read, and only who may know the readers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.gateway.v1 import transfer_service_pb2 as pb
from trivium.gateway.v1.transfer_service_pb2_grpc import TransferServiceStub
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.settings import GatewaySettings

from .conftest import running_stack
from .test_gateway_readers import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from .conftest import Qdrant

pytestmark = pytest.mark.asyncio(loop_scope="module")

_EXPORT, _IMPORT = "/v1/collections/default/export", "/v1/collections/default/import"
_DOCUMENTS = [
    {"id": "open", "text": "The otter vault opens at noon."},
    {"id": "hidden", "text": "The otter vault opens at zanzibar.", "readers": ["group:hr"]},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway with two tenants, of which the first has two documents, one of them for `hr` alone."""
    folder: Path = tmp_path_factory.mktemp("data")
    async with running_stack(qdrant, GatewaySettings(auth="keys", data_dir=folder)) as stack:
        house = House(stack, {"first": (folder / "gateway" / "first-key").read_text().strip()})
        for name, tenant, scopes, more in (
            ("admin", "moved", ["read", "ingest", "admin"], {}),
            ("ann", "moved", ["read", "ingest"], {"user": "ann", "groups": ["hr"]}),
            ("bob", "moved", ["read", "ingest"], {"user": "bob"}),
            ("eve", "moved", ["read"], {"user": "eve", "groups": ["hr"]}),
            ("feeder", "moved", ["ingest"], {}),
            ("other", "others", ["read", "ingest", "admin"], {}),
        ):
            body = {"name": name, "tenant": tenant, "scopes": scopes, **more}
            house.keys[name] = (await house.call("first", "POST", "/v1/keys", json=body)).json()["key"]
        added = await house.call("admin", "POST", "/v1/documents", json={"documents": _DOCUMENTS})
        assert [one["status"] for one in added.json()["documents"]] == ["indexed", "indexed"]
        yield house


@pytest.fixture
def noted(house: House) -> Callable[[], list[dict[str, Any]]]:
    """What that gateway has noted in its audit log."""
    folder = house.stack.process._settings.data_dir / "gateway" / "audit"
    return lambda: [json.loads(line) for file in folder.iterdir() for line in file.read_text().splitlines()]


def _exported(lines: str) -> dict[str, list[str]]:
    documents = [json.loads(line)["document"] for line in lines.splitlines() if line.startswith('{"document"')]
    return {one["id"]: one["readers"] for one in documents}


@pytest.mark.parametrize(
    ("who", "documents"),
    [
        ("admin", {"open": ["*"], "hidden": ["group:hr"]}),
        ("ann", {"open": ["*"], "hidden": ["group:hr"]}),
        ("bob", {"open": ["*"]}),
    ],
)
async def test_export_has_the_documents_that_one_may_read(
    house: House, who: str, documents: dict[str, list[str]]
) -> None:
    response = await house.call(who, "GET", _EXPORT)

    assert response.status_code == 200
    assert _exported(response.text) == documents
    assert ("zanzibar" in response.text) == ("hidden" in documents)


@pytest.mark.parametrize(("who", "scope"), [("eve", "ingest"), ("feeder", "read")])
async def test_export_takes_a_key_that_reads_and_may_know_the_readers(house: House, who: str, scope: str) -> None:
    response = await house.call(who, "GET", _EXPORT)

    assert response.status_code == 403
    assert f"`{scope}`" in response.json()["error"]["message"]


async def test_other_tenant_has_neither_the_documents_nor_the_collection(house: House) -> None:
    mine = (await house.call("admin", "GET", _EXPORT)).text
    theirs = await house.call("other", "GET", _EXPORT)
    named = await house.call("other", "GET", "/v1/collections/moved.default/export")
    put = await house.call("other", "POST", _IMPORT, content=mine)

    assert (theirs.status_code, named.status_code) == (404, 404)
    assert {one["status"] for one in put.json()["documents"]} == {"indexed"}  # into a collection of their own
    listed = (await house.call("admin", "GET", "/v1/documents")).json()["documents"]
    assert {one["id"]: one["content_hash"] for one in listed}.keys() == {"open", "hidden"}
    assert (await house.call("admin", "GET", _EXPORT)).text == mine
    await house.call("other", "DELETE", "/v1/collections/default")
    assert (await house.call("admin", "GET", _EXPORT)).text == mine


async def test_import_takes_the_right_to_ingest_and_replaces_nothing_that_one_may_not_read(house: House) -> None:
    mine = (await house.call("admin", "GET", _EXPORT)).text
    changed = mine.replace("zanzibar", "midnight")

    refused = await house.call("eve", "POST", _IMPORT, content=mine)
    put = await house.call("bob", "POST", _IMPORT, content=changed)

    assert refused.status_code == 403
    outcomes = {one["id"]: one.get("error", {}).get("reason", one["status"]) for one in put.json()["documents"]}
    assert outcomes == {"open": "unchanged", "hidden": "DOCUMENT_ID_TAKEN"}
    assert (await house.call("admin", "GET", _EXPORT)).text == mine


async def test_exports_that_nobody_reads_on_refuse_none_of_another_tenant_and_are_noted(
    house: House, noted: Callable[[], list[dict[str, Any]]]
) -> None:
    transfers = house.stack.process.gateway.transfers
    ann = replace(EVERYBODY, tenant="moved", user="ann", key_id="k1")
    begun = [transfers.export(ann, "default") for _ in range(4)]
    for one in begun:
        await anext(one)

    mine = await house.call("admin", "GET", _EXPORT)
    await house.call("other", "POST", "/v1/documents", json={"documents": _DOCUMENTS})
    theirs = await house.call("other", "GET", _EXPORT)
    for one in begun:
        await one.aclose()

    assert (mine.status_code, mine.json()["error"]["message"][:13]) == (429, "4 exports run")
    assert _exported(theirs.text).keys() == {"open", "hidden"}
    assert (await house.call("admin", "GET", _EXPORT)).status_code == 200
    exports = [
        (one["tenant"], one.get("user", ""), one["outcome"]) for one in noted() if one["action"].endswith("export")
    ]
    assert exports.count(("moved", "ann", "OK")) >= 4
    assert ("others", "", "OK") in exports


async def test_grpc_asks_for_a_key_too(house: House) -> None:
    stub: Any = TransferServiceStub(house.stack.channel)

    with pytest.raises(grpc.aio.AioRpcError) as export:
        [one async for one in stub.ExportDocuments(pb.ExportDocumentsRequest())]
    with pytest.raises(grpc.aio.AioRpcError) as taken:
        await stub.ImportDocuments(iter([pb.ImportDocumentsRequest()]))

    assert {one.value.code() for one in (export, taken)} == {grpc.StatusCode.UNAUTHENTICATED}
