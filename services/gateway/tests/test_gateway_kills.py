"""A gateway that is killed at any moment: each document is one of the versions that were sent, whole, or not there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING

import httpx
from ports import free_port

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Addresses, Storage

_KILLS = 3
_IDS = ["a", "b", "c", "d"]


def _text(document_id: str, version: int) -> str:
    return f"Harbour {document_id} of version {version}. " * 150


def _version_of(text: str) -> int:
    return int(text.split(" of version ")[1].split(".")[0])


def _start(environment: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "trivium_gateway"], env=environment, stdout=output, stderr=output)


@asynccontextmanager
async def _gateway(addresses: Addresses, log: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], httpx.AsyncClient]]:
    port = free_port()
    environment = os.environ | {
        "TRIVIUM_DATA_DIR": str(log.parent / "data"),
        "TRIVIUM_GATEWAY_GRPC_LISTEN": "127.0.0.1:0",
        "TRIVIUM_GATEWAY_HTTP_LISTEN": f"127.0.0.1:{port}",
        "TRIVIUM_GATEWAY_EMBED_TARGET": addresses.embed_target,
        "TRIVIUM_GATEWAY_QDRANT_URL": addresses.qdrant_url,
        "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT": str(addresses.qdrant_grpc_port),
    }
    with log.open("ab") as output:
        process = _start(environment, output)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(120):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/healthz")).status_code == 200:
                            break
                    await asyncio.sleep(0.05)
            yield process, client
    finally:
        process.kill()
        process.wait()


async def _check(storage: Storage, acknowledged: dict[str, int], sent: dict[str, int]) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    shown = {}
    for document_id in acknowledged:
        text = (await storage.documents.get(collection, document_id, reader=WHOLE)).text
        shown[document_id] = _version_of(text)
        assert text == _text(document_id, shown[document_id])
        assert acknowledged[document_id] <= shown[document_id] <= sent[document_id]
    found = await storage.chunk_search.search(
        collection, vector=None, text="harbour", limit=1000, timeout_seconds=30, reader=WHOLE
    )
    versions: dict[str, set[int]] = {}
    for one in found.candidates:
        versions.setdefault(one.chunk.document_id, set()).add(_version_of(one.chunk.text))
    listed, _ = await storage.documents.list(collection, page_size=100, reader=WHOLE)
    assert {one.id: {shown[one.id]} for one in listed} == versions
    chunk_count = sum(one.chunk_count for one in listed)
    assert len(found.candidates) == chunk_count
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == chunk_count


async def test_gateway_killed_at_random_moments_shows_each_document_whole_in_one_version(
    storage: Storage, addresses: Addresses, tmp_path: Path
) -> None:
    moments = random.Random(12)
    sent = dict.fromkeys(_IDS, 0)
    acknowledged: dict[str, int] = {}

    async def write(client: httpx.AsyncClient, first: asyncio.Event) -> None:
        while True:
            for document_id in _IDS:
                sent[document_id] += 1
            documents = [{"id": one, "text": _text(one, sent[one])} for one in _IDS]
            results = (await client.post("/v1/documents", json={"documents": documents})).json()["documents"]
            acknowledged.update({one["id"]: sent[one["id"]] for one in results if one["status"] != "failed"})
            first.set()

    for _ in range(_KILLS):
        async with _gateway(addresses, tmp_path / "gateway.log") as (process, client):
            first = asyncio.Event()
            writing = asyncio.create_task(write(client, first))
            async with asyncio.timeout(120):
                await first.wait()
            await asyncio.sleep(moments.uniform(0, 1.5))  # the moment is what is tried
            process.kill()
            with contextlib.suppress(httpx.TransportError):
                await writing
        await _check(storage, acknowledged, sent)
    assert set(acknowledged) == set(_IDS)
