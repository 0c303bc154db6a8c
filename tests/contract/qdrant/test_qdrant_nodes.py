"""A collection that grows over the nodes of a cluster: a copy more of each shard, on another node."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from qdrant_client import models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from contract.qdrant_under_test import QdrantServer
    from qdrant_client import AsyncQdrantClient

_SECONDS = 60.0


@pytest.fixture
async def http(server: QdrantServer, is_edge: bool) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a cluster's HTTP API."""
    if is_edge:
        pytest.skip("the embedded engine is one process")
    headers = {"api-key": server.api_key} if server.api_key else {}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
async def nodes(http: httpx.AsyncClient) -> list[int]:
    """The ids of the cluster's nodes, two or more."""
    cluster = (await http.get("/cluster")).raise_for_status().json()["result"]
    nodes = [int(node) for node in cluster.get("peers", {})]
    if len(nodes) < 2:
        pytest.skip("this server is no cluster of several nodes")
    return nodes


async def _shards(http: httpx.AsyncClient, name: str) -> tuple[list[dict[str, Any]], bool]:
    """Where each copy of each shard is, and whether all of them are complete."""
    about = (await http.get(f"/collections/{name}/cluster")).raise_for_status().json()["result"]
    mine = [{**shard, "peer_id": about["peer_id"]} for shard in about["local_shards"]]
    copies = mine + about["remote_shards"]
    return copies, not about["shard_transfers"] and all(copy["state"] == "Active" for copy in copies)


async def test_copy_of_a_shard_on_another_node_has_what_was_written_meanwhile(
    client: AsyncQdrantClient, http: httpx.AsyncClient, nodes: list[int], new_name: Callable[[], str]
) -> None:
    name = new_name()
    await client.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        shard_number=1,
        replication_factor=1,
    )

    async def write(numbers: range) -> None:
        for number in numbers:
            point = models.PointStruct(
                id=number, vector={"dense": [1.0, 0.0, 0.0, float(number)]}, payload={"number": number}
            )
            await client.upsert(name, [point], wait=True)

    await write(range(100))
    ((first,), _) = await _shards(http, name)
    to = next(node for node in nodes if node != first["peer_id"])
    order = {"shard_id": first["shard_id"], "from_peer_id": first["peer_id"], "to_peer_id": to}
    writing = asyncio.ensure_future(write(range(100, 200)))
    (await http.post(f"/collections/{name}/cluster", json={"replicate_shard": order})).raise_for_status()
    await writing
    end = time.monotonic() + _SECONDS
    while not ((copies := await _shards(http, name))[1] and len(copies[0]) == 2):
        assert time.monotonic() < end, copies
        await asyncio.sleep(0.2)
    dropped = {"drop_replica": {"shard_id": first["shard_id"], "peer_id": first["peer_id"]}}
    (await http.post(f"/collections/{name}/cluster", json=dropped)).raise_for_status()

    records, _ = await client.scroll(name, limit=300)
    assert [record.id for record in records] == list(range(200))
    assert (await client.count(name, exact=True)).count == 200
