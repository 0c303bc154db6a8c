"""Two embed services at once: each collection is embedded by the one that runs its model, whichever that is now."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from trivium.type.v1.model_info_pb2 import ModelInfo
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.settings import GatewaySettings
from trivium_serving.channels import open_channel
from trivium_serving.errors import Unavailable

from .conftest import DOCUMENTS, EmbedPeer, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant, Stack

_LARGE = ModelInfo(name="words-48", fingerprint="fedcba9876543210" * 4, backend="test", max_input_tokens=256)


@asynccontextmanager
async def _two_embedders(qdrant: Qdrant) -> AsyncIterator[tuple[Stack, EmbedPeer]]:
    """A gateway whose first embed service runs one model, and whose further one `large` another; and the latter."""
    large = EmbedPeer(_LARGE, 48)
    await large.start()
    try:
        async with running_stack(qdrant, GatewaySettings(embed_targets=f"large=127.0.0.1:{large.port}")) as stack:
            await stack.until(lambda: stack.stage("embed.large"))
            await stack.create_collection()
            await stack.add(*DOCUMENTS)
            yield stack, large
    finally:
        await large.stop()


def _swap(one: EmbedPeer, other: EmbedPeer) -> None:
    """Have two services run each other's model, as when the first is replaced and the old one kept beside it."""
    one.model, other.model = other.model, one.model
    one.dimension, other.dimension = other.dimension, one.dimension
    for peer in (one, other):
        peer.reset()


async def _description(stack: Stack, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = (await stack.http.get(f"/v1/collections/{name or stack.collection}")).json()
    return found


async def test_collection_is_asked_and_written_by_the_service_that_runs_its_model(qdrant: Qdrant) -> None:
    async with _two_embedders(qdrant) as (stack, other):
        assert (await stack.retrieve("What do herons eat?")).json()["degraded"] == []
        assert not [one for one in other.called("Embed") if "herons" in one.request.texts[0]]
        _swap(stack.embed, other)

        seen = [(await stack.retrieve(f"What do herons eat in {year}?")).json() for year in range(2000, 2003)]
        added = await stack.add({"id": "ibis", "text": "An ibis wades. It probes the mud for crabs."})
        found = (await stack.retrieve("Who probes the mud for crabs?", filter={"document_id": "ibis"})).json()
        fresh = f"fresh-{os.urandom(4).hex()}"
        await stack.http.post("/v1/collections", json={"name": fresh})

        # One question may meet the change; none after it does.
        assert [one["degraded"] for one in seen[1:]] == [[], []]
        assert other.called("Embed")
        assert [one["status"] for one in added] == ["indexed"]
        assert other.called("EmbedStream")
        assert other.called("Tokenize")
        assert not stack.embed.called("EmbedStream")
        assert found["passages"][0]["document_id"] == "ibis"
        assert (await _description(stack))["model"] == "words"
        assert (await _description(stack, fresh))["model"] == "words-48"  # that of the first service


async def test_collection_whose_service_is_gone_is_searched_by_words_and_the_others_are_not_affected(
    qdrant: Qdrant,
) -> None:
    async with _two_embedders(qdrant) as (stack, other):
        _swap(stack.embed, other)
        fresh = f"fresh-{os.urandom(4).hex()}"
        await stack.http.post("/v1/collections", json={"name": fresh})
        await stack.retrieve()
        await other.stop()
        await stack.until(lambda: not stack.stage("embed.large"))

        without = (await stack.retrieve("Which frogs do herons eat?")).json()
        body = {"query": "anything", "collection": fresh}
        untouched = (await stack.http.post("/v1/retrieve", json=body)).json()
        ready = await stack.http.get("/readyz")

        assert [(one["stage"], one["fallback"]) for one in without["degraded"]] == [("embed", "sparse")]
        assert without["passages"]
        assert untouched["degraded"] == []
        assert ready.status_code == 200
        stages = {one["stage"]: one for one in ready.json()["stages"]}
        assert stages["embed"]["ready"]
        assert not stages["embed.large"]["ready"]
        assert "TRIVIUM_GATEWAY_EMBED_TARGETS" in stages["embed.large"]["detail"]


async def test_service_of_a_model_is_found_and_one_that_none_runs_is_not_looked_for_each_time() -> None:
    peers = EmbedPeer(), EmbedPeer(_LARGE, 48)
    async with AsyncExitStack() as stack:
        channels = []
        for peer in peers:
            await peer.start()
            stack.push_async_callback(peer.stop)
            channels.append(await stack.enter_async_context(open_channel(f"127.0.0.1:{peer.port}")))
        large = EmbedClient(channels[1], name="large")
        first = EmbedClient(channels[0], further=[large])

        found = [await first.of(EmbedPeer.model.fingerprint), await first.of(_LARGE.fingerprint)]
        unknown = await asyncio.gather(*(first.of("ff" * 32) for _ in range(100)))

        assert found == [first, large]
        assert set(unknown) == {first}
        assert [len(peer.called("GetModel")) <= 3 for peer in peers] == [True, True]


async def test_service_that_was_never_asked_is_not_taken_for_one_that_runs_another_model() -> None:
    peers = EmbedPeer(), EmbedPeer(_LARGE, 48)
    async with AsyncExitStack() as stack:
        channels = []
        for peer in peers:
            await peer.start()
            stack.push_async_callback(peer.stop)
            channels.append(await stack.enter_async_context(open_channel(f"127.0.0.1:{peer.port}")))
        await peers[1].stop()
        large = EmbedClient(channels[1], name="large")
        first = EmbedClient(channels[0], further=[large])

        of_large = await first.of(_LARGE.fingerprint)
        with pytest.raises(Unavailable):  # who asks waits for it, instead of being told that the model has changed
            await of_large.embed_documents(["A heron."], expected_fingerprint=_LARGE.fingerprint, timeout_seconds=5)

        assert await first.of(EmbedPeer.model.fingerprint) is first


@pytest.mark.parametrize("targets", ["large", "large=", "large=http://x:1", "Large=a:1", "a=b:1,a=b:2"])
def test_setting_with_no_names_and_addresses_ends_the_process_with_one_line(
    targets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from trivium_serving.settings import load_settings

    with pytest.raises(SystemExit):
        load_settings(
            GatewaySettings,
            prefix="TRIVIUM_GATEWAY_",
            program="gateway",
            description="",
            argv=["--embed-targets", targets],
            environ={},
        )
    assert "HOST:PORT" in capsys.readouterr().err
