"""A collection that the engine cannot read is shown, refused by name and deleted; all others go on."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant_under_test import given
from prometheus_client import CollectorRegistry
from qdrant_client import grpc as qdrant_pb
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.health import probes
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_qdrant_edge.collections_servicer import CollectionsServicer
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.schema import CollectionSchema, DenseSchema
from trivium_serving.errors import Unavailable
from trivium_serving.server import GrpcServer

from .conftest import DOCUMENTS, running_stack
from .relay import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Qdrant, Stack

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(given()), reason="damages the files of the embedded engine"),
]


@asynccontextmanager
async def _two_collections(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway whose own collection, and `whole`, have documents; at the end both are gone."""
    async with running_stack(qdrant) as stack:
        await stack.create_collection()
        await stack.http.post("/v1/collections", json={"name": "whole"})
        await stack.add(*DOCUMENTS)
        added = await stack.http.post("/v1/documents", json={"documents": DOCUMENTS, "collection": "whole"})
        assert added.status_code == 200, added.text
        yield stack
        for name in (stack.collection, "whole"):
            await stack.http.delete(f"/v1/collections/{name}")


async def _damage(qdrant: Qdrant, *collections: str) -> None:
    """Kill the engine, cut off the logs of some collections, and start it again."""
    qdrant.kill()
    catalog = json.loads((qdrant.folder / "qdrant/catalog.json").read_text())
    for name in collections:
        physical = catalog["aliases"][name]
        (log,) = (qdrant.folder / "qdrant/collections" / catalog["collections"][physical]["id"]).glob("*/wal/open-1")
        with log.open("r+b") as file:
            file.truncate(100)
    await asyncio.to_thread(qdrant.start)


async def _until_known(stack: Stack, name: str) -> dict[str, Any]:
    """What the gateway says of a collection, once it no longer believes what it knew before the damage."""
    async with asyncio.timeout(30):
        while True:
            response = await stack.http.get(f"/v1/collections/{name}")
            if response.status_code == 200 and response.json()["state"] == "damaged":
                described: dict[str, Any] = response.json()
                return described
            await asyncio.sleep(0.05)


async def _ids(stack: Stack, collection: str) -> list[str]:
    found = await stack.http.post("/v1/retrieve", json={"query": "What do herons eat?", "collection": collection})
    assert found.status_code == 200, found.text
    return [passage["document_id"] for passage in found.json()["passages"]]


async def test_damaged_collection_is_listed_with_its_state_beside_those_that_work(own_qdrant: Qdrant) -> None:
    async with _two_collections(own_qdrant) as stack:
        await _damage(own_qdrant, stack.collection)
        described = await _until_known(stack, stack.collection)
        listed = await stack.http.get("/v1/collections")
        by_grpc = {one.name: one for one in (await stack.stub.ListCollections(pb.ListCollectionsRequest())).collections}
        stores = {one["id"]: one for one in (await stack.http.get("/v1/vector_stores")).json()["data"]}

        assert described == {
            "name": stack.collection,
            "state": "damaged",
            "chunk_count": None,
            "model": "",
            "model_fingerprint": "",
            "dimension": 0,
            "metadata_keys": [],
            "needs_reindex": False,
            "coded_chunk_count": None,
            "settings": None,
            "earlier_settings": [],
            "index_beside": None,
            "comparison": None,
            "sparse_fingerprint": "",
        }
        assert listed.status_code == 200
        shown = {one["name"]: (one["state"], one["chunk_count"]) for one in listed.json()["collections"]}
        assert shown == {stack.collection: ("damaged", None), "whole": ("ready", 3)}
        assert by_grpc[stack.collection].state == pb.COLLECTION_STATE_DAMAGED
        assert (by_grpc["whole"].state, by_grpc["whole"].chunk_count) == (pb.COLLECTION_STATE_READY, 3)
        assert {name: store["status"] for name, store in stores.items()} == {
            stack.collection: "expired",
            "whole": "completed",
        }


async def test_damaged_collection_refuses_every_question_by_name_and_others_answer(own_qdrant: Qdrant) -> None:
    async with _two_collections(own_qdrant) as stack:
        await _damage(own_qdrant, stack.collection)
        await _until_known(stack, stack.collection)
        refused = [
            await stack.ask(),
            await stack.retrieve(),
            await stack.http.get("/v1/documents", params={"collection": stack.collection}),
            await stack.http.post("/v1/documents", json={"documents": DOCUMENTS, "collection": stack.collection}),
            await stack.http.post("/v1/collections", json={"name": stack.collection}),
        ]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stack.stub.Retrieve(pb.RetrieveRequest(query="herons", collection=stack.collection))

        for response in refused:
            error = response.json()["error"]
            assert (response.status_code, error["reason"]) == (409, "COLLECTION_DAMAGED")
            assert f"'{stack.collection}' is damaged" in error["message"]
            assert "backup, or delete the collection" in error["message"]
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "heron" in await _ids(stack, "whole")


async def test_damaged_collection_is_deleted_and_made_anew_and_others_stay(own_qdrant: Qdrant) -> None:
    async with _two_collections(own_qdrant) as stack:
        await _damage(own_qdrant, stack.collection)
        await _until_known(stack, stack.collection)

        deleted = await stack.http.delete(f"/v1/collections/{stack.collection}")

        assert (deleted.status_code, deleted.json()) == (200, {"deleted": stack.collection})
        assert (await stack.http.get(f"/v1/collections/{stack.collection}")).status_code == 404
        await stack.create_collection()
        assert [result["status"] for result in await stack.add(*DOCUMENTS)] == ["indexed"] * 3
        assert "heron" in await _ids(stack, stack.collection)
        assert "heron" in await _ids(stack, "whole")


async def test_damaged_collection_that_no_alias_vouches_for_is_neither_shown_nor_deleted(own_qdrant: Qdrant) -> None:
    async with _two_collections(own_qdrant) as stack:
        connection = QdrantConnection(f"http://127.0.0.1:{own_qdrant.http_port}", own_qdrant.port)
        collections = QdrantCollections(connection)
        physical = (await collections.aliases())[stack.collection]
        await _damage(own_qdrant, stack.collection)
        await _until_known(stack, stack.collection)
        drop = qdrant_pb.AliasOperations(delete_alias=qdrant_pb.DeleteAlias(alias_name=stack.collection))
        await connection.call(
            connection.collections.UpdateAliases, qdrant_pb.ChangeAliases(actions=[drop]), timeout_seconds=5
        )

        listed = await stack.http.get("/v1/collections")
        described = await stack.http.get(f"/v1/collections/{stack.collection}")
        deleted = await stack.http.delete(f"/v1/collections/{stack.collection}")
        left = await collections.names()
        await collections.delete(physical)
        await connection.close()

        assert [one["name"] for one in listed.json()["collections"]] == ["whole"]
        for response in (described, deleted):
            assert (response.status_code, response.json()["error"]["reason"]) == (409, "COLLECTION_DAMAGED")
        assert physical in left


async def test_gateway_stays_ready_while_collections_are_damaged_and_says_so_once_all_are(
    own_qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_SEARCH_EVERY_SECONDS", 0.0)
    async with _two_collections(own_qdrant) as stack:

        async def search_stage() -> dict[str, Any]:
            stages = (await stack.http.get("/readyz")).json()["stages"]
            return next(one for one in stages if one["stage"] == "search")

        await _damage(own_qdrant, stack.collection)
        await stack.until(lambda: stack.stage("search"))
        assert (await search_stage())["detail"] == ""

        await _damage(own_qdrant, "whole")
        async with asyncio.timeout(30):
            while "is damaged" not in (stage := await search_stage())["detail"]:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.05)

        assert stage["ready"]
        assert (await stack.http.get("/readyz")).status_code == 200


async def test_collection_with_which_qdrant_fails_is_listed_as_unavailable(own_qdrant: Qdrant) -> None:
    async with _two_collections(own_qdrant) as whole, relayed(own_qdrant) as (relay, before):
        async with running_stack(before) as stack:
            relay.methods, relay.fault = ("Collections/Get",), grpc.StatusCode.INTERNAL
            listed = await stack.http.get("/v1/collections")
            asked = await stack.retrieve(collection=whole.collection)

        assert listed.status_code == 200
        assert {one["name"]: one["state"] for one in listed.json()["collections"]} == {
            whole.collection: "unavailable",
            "whole": "unavailable",
        }
        assert (asked.status_code, asked.json()["error"]["reason"]) == (503, "UPSTREAM_FAILED")


async def test_collection_that_the_engine_is_opening_is_not_available_yet(tmp_path: Path) -> None:
    database = Database(tmp_path / "qdrant", max_collections=8)
    await database.open()
    await database.create("docs__0123456789ab", CollectionSchema(dense={"dense": DenseSchema(4, "Cosine")}, sparse={}))
    await database.close()
    opening = Database(tmp_path / "qdrant", max_collections=8)
    server = GrpcServer(
        service="engine", listen="127.0.0.1:0", full_names=("qdrant.Collections",), registry=CollectorRegistry()
    )
    qdrant_pb.add_CollectionsServicer_to_server(CollectionsServicer(opening), server.grpc)  # type: ignore[no-untyped-call]
    connection = QdrantConnection("http://127.0.0.1:1", await server.start())

    with pytest.raises(Unavailable, match="'docs' and cannot open it now") as caught:
        await QdrantCollections(connection).describe("docs__0123456789ab")

    assert caught.value.reason == "COLLECTION_UNAVAILABLE"
    await connection.close()
    await server.stop(0)
    await opening.close()
