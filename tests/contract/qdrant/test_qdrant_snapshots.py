"""Snapshots of a collection: what a backup of a server by its own means rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from qdrant_client import models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from contract.qdrant_under_test import QdrantServer
    from qdrant_client import AsyncQdrantClient


@pytest.fixture
async def http(server: QdrantServer, is_edge: bool) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server's HTTP API, which the embedded engine does not have."""
    if is_edge:
        pytest.skip("the embedded engine has no snapshots: its folder is copied")
    headers = {"api-key": server.api_key} if server.api_key else {}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


async def test_snapshot_taken_into_another_collection_has_every_point(
    client: AsyncQdrantClient, http: httpx.AsyncClient, collection: str, new_name: Callable[[], str]
) -> None:
    points = [
        models.PointStruct(
            id=number,
            vector={
                "dense": [1.0, 0.0, 0.0, float(number)],
                "bm25": models.SparseVector(indices=[number], values=[1.5]),
            },
            payload={"text": f"text {number}"},
        )
        for number in range(200)
    ]
    await client.upsert(collection, points, wait=True)
    other = new_name()

    made = (await http.post(f"/collections/{collection}/snapshots")).raise_for_status().json()["result"]
    await client.delete(collection, points_selector=models.PointIdsList(points=[0]), wait=True)  # is not in it
    address = f"/collections/{collection}/snapshots/{made['name']}"
    packed = (await http.get(address)).raise_for_status().content
    taken = await http.post(
        f"/collections/{other}/snapshots/upload", params={"priority": "snapshot"}, files={"snapshot": packed}
    )
    taken.raise_for_status()
    (await http.delete(address)).raise_for_status()

    async def all_of(name: str) -> list[models.Record]:
        return (await client.scroll(name, limit=300, with_payload=True, with_vectors=True))[0]

    assert [point.id for point in await all_of(other)] == list(range(200))
    assert (await all_of(other))[1:] == await all_of(collection)
