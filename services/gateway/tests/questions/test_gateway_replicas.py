"""Several replicas of the generate service, some of which have no language model yet."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.models.generate import MODEL_HEALTH_NAME, GenerateClient
from trivium_gateway.models.generate_answers import GeneratedEnd
from trivium_serving.channels import open_channel

from .conftest import GeneratePeer, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSAGE = Passage("", Chunk("", 0, "", "", "Herons eat fish.", 0, 16, "", 1, {}), 1.0, Scores())


class Replicas:
    """Two of them behind one name, and a client."""

    def __init__(self, peers: list[GeneratePeer], client: GenerateClient) -> None:
        self.peers = peers
        self._client = client

    async def set_model(self, number: int, has_model: bool) -> None:
        server = self.peers[number].server
        assert server is not None
        await server.health.set(MODEL_HEALTH_NAME, has_model)

    async def ask(self) -> str:
        """Which one answered."""
        answer = self._client.generate("q", [PASSAGE], history=(), mode=AnswerMode.AUTO, timeout_seconds=20)
        return "".join([piece.model async for piece in answer if isinstance(piece, GeneratedEnd)])

    async def ask_until(self, expected: set[str]) -> None:
        """Asks until those and no others answer twenty questions."""
        async with asyncio.timeout(30):
            while {await self.ask() for _ in range(20)} != expected:  # noqa: ASYNC110  # health travels by itself
                await asyncio.sleep(0.05)


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    peers = [GeneratePeer(), GeneratePeer()]
    async with AsyncExitStack() as stack:
        for number, peer in enumerate(peers):
            peer.script = [finish(model={"name": f"replica {number}"})]
            await peer.start()
            stack.push_async_callback(peer.stop)
        target = "ipv4:" + ",".join(f"127.0.0.1:{peer.port}" for peer in peers)
        channels = (open_channel(target), open_channel(target, health=MODEL_HEALTH_NAME))
        for channel in channels:
            stack.push_async_callback(channel.close)
        yield Replicas(peers, GenerateClient(*channels))


async def test_replicas_with_the_model_get_all_questions_while_others_load(replicas: Replicas) -> None:
    await replicas.set_model(0, False)
    await replicas.set_model(1, True)
    await replicas.ask_until({"replica 1"})
    assert [await replicas.ask() for _ in range(20)] == ["replica 1"] * 20

    await replicas.set_model(0, True)
    await replicas.ask_until({"replica 0", "replica 1"})

    await replicas.set_model(1, False)
    await replicas.ask_until({"replica 0"})


async def test_replicas_all_without_the_model_answer_all_the_same(replicas: Replicas) -> None:
    await replicas.set_model(0, True)
    await replicas.ask_until({"replica 0"})
    await replicas.set_model(0, False)
    await replicas.ask_until({"replica 0", "replica 1"})
