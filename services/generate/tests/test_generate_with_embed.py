"""Extractive answers with the vectors of the real embedding service."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from trivium.embed.v1 import embed_service_pb2_grpc
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium_generate.clients import EmbedClient
from trivium_serving.channels import open_channel
from trivium_serving.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytest.importorskip("trivium_embed", reason="the embedding service is not installed here")

# By its words the right sentence is no better than the one before it.
QUESTION = "Which pet purrs?"
PASSAGE = pb.Passage(text="An engine purrs. The feline purrs. Oil is sold in the shop.")


async def start_embed(port: int) -> asyncio.subprocess.Process:
    """Starts the embedding service and waits until it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trivium_embed", "--listen", f"127.0.0.1:{port}", "--metrics-port", "0",
        env={**os.environ, "TRIVIUM_LOG_LEVEL": "warning"},
    )  # fmt: skip
    request = health_pb2.HealthCheckRequest(service="trivium.embed.v1.EmbedService")
    async with open_channel(f"127.0.0.1:{port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(request, wait_for_ready=True, timeout=240)
        async for response in watch:
            if response.status == health_pb2.HealthCheckResponse.SERVING:
                break
    return process


@pytest.fixture
async def embed_port(free_port: int) -> AsyncIterator[int]:
    """The port of an embedding service that runs."""
    process = await start_embed(free_port)
    yield free_port
    process.terminate()
    await process.wait()


async def test_generate_with_the_embed_service_goes_by_meaning(service: Any, embed_port: Any) -> None:
    target = f"127.0.0.1:{embed_port}"
    client = EmbedClient(target, timeout_seconds=30)
    similarities = await client.similarities(QUESTION, ["The feline naps.", "Oil is sold.", "word " * 1000], None)
    await client.close()
    assert similarities.shape == (3,)
    assert similarities.argmax() == 0
    assert abs(similarities).max() <= 1 + 1e-3
    async with service(embed_target=target, embed_timeout_seconds=30.0) as running:
        answer = await running.answer(pb.GenerateRequest(question=QUESTION, passages=[PASSAGE]))
    assert not answer.finish.HasField("degradation")
    assert answer.finish.timing.compute_ms > 0


async def test_generate_when_the_embed_service_comes_back_uses_it_again(service: Any, free_port: Any) -> None:
    request = pb.GenerateRequest(question=QUESTION, passages=[PASSAGE])
    async with service(embed_target=f"127.0.0.1:{free_port}", embed_timeout_seconds=30.0) as running:
        assert (await running.answer(request)).finish.degradation.fallback == "lexical"
        process = await start_embed(free_port)
        try:
            async with asyncio.timeout(30):
                while (await running.answer(request)).finish.HasField("degradation"):
                    pass
        finally:
            process.kill()
            await process.wait()
        assert (await running.answer(request)).finish.degradation.fallback == "lexical"


async def test_embed_client_without_a_service_fails_at_once(free_port: Any) -> None:
    client = EmbedClient(f"127.0.0.1:{free_port}", timeout_seconds=30)
    with pytest.raises(Unavailable) as raised:
        await client.similarities("q", ["s"], None)
    assert isinstance(raised.value.__cause__, grpc.aio.AioRpcError)
    await client.close()


class SilentEmbed(embed_service_pb2_grpc.EmbedServiceServicer):
    """Takes calls, and never answers."""

    async def Embed(self, request: Any, context: Any) -> Any:
        await asyncio.Event().wait()


async def test_generate_extractive_waits_for_a_silent_embed_service_only_as_long_as_the_caller_has(
    service: Any,
) -> None:
    silent = grpc.aio.server()
    servicer: Any = SilentEmbed()  # type: ignore[abstract]
    embed_service_pb2_grpc.add_EmbedServiceServicer_to_server(servicer, silent)
    port = silent.add_insecure_port("127.0.0.1:0")
    await silent.start()
    async with service(embed_target=f"127.0.0.1:{port}", embed_timeout_seconds=60.0) as running:
        request = pb.GenerateRequest(question=QUESTION, passages=[PASSAGE], mode=pb.GENERATE_MODE_EXTRACTIVE)
        answer = [response async for response in running.stub.Generate(request, timeout=3)]
    await silent.stop(None)
    assert answer[-1].finish.degradation.fallback == "lexical"
