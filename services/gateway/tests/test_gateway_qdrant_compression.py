"""What travels between the gateway and a Qdrant that compresses, as a Qdrant server does."""

from __future__ import annotations

import pytest
from faults.compressing_qdrant import VERSION, CompressingQdrant
from trivium_gateway.qdrant.connection import QdrantConnection


@pytest.mark.parametrize(("setting", "encoding"), [({}, "identity"), ({"compression": "gzip"}, "gzip")], ids=str)
async def test_qdrant_that_compresses_does_so_only_where_the_setting_says_so(
    setting: dict[str, str], encoding: str
) -> None:
    async with CompressingQdrant().serving() as qdrant:
        connection = QdrantConnection(f"http://127.0.0.1:{qdrant.port}", qdrant.port, **setting)
        try:
            assert await connection.version(timeout_seconds=10) == VERSION
        finally:
            await connection.close()
    assert set(qdrant.answer_encodings) == {encoding}
    assert set(qdrant.request_encodings) == {encoding}
