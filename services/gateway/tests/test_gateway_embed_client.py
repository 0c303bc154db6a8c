"""The embed client against the real service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceServicer, add_EmbedServiceServicer_to_server
from trivium_encoders import decode_codes
from trivium_gateway.models.embed import FULL_NAME, EmbedClient
from trivium_gateway.models.query_memory import QueryMemory
from trivium_serving.channels import open_channel
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, InvalidField, Unavailable
from trivium_serving.server import GrpcServer

from .conftest import WHOLE

if TYPE_CHECKING:
    from trivium.embed.v1 import embed_service_pb2 as pb

    from .conftest import Storage


async def test_query_is_embedded_once_and_then_remembered(storage: Storage) -> None:
    model = await storage.embed.model()
    first = await storage.embed.embed_query(
        "warm", reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=10
    )
    again = await storage.embed.embed_query(
        "warm", reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=0.000001
    )
    assert (first.cached, again.cached) == (False, True)
    assert first.vector == again.vector
    assert len(first.vector) == model.dimension
    assert first.token_count == again.token_count > 0


async def test_query_that_is_read_whole_has_the_codes_of_its_tokens_on_request(storage: Storage) -> None:
    model = await storage.embed.model()
    asked: dict[str, Any] = {
        "reader": WHOLE,
        "expected_fingerprint": model.fingerprint,
        "timeout_seconds": 10,
    }
    plain = await storage.embed.embed_query("barley", **asked)
    coded = await storage.embed.embed_query("rye bread", with_codes=True, **asked)
    assert plain.token_codes == b""
    assert len(decode_codes(coded.token_codes).token_ids) == 2
    assert (await storage.embed.embed_query("rye bread", **asked)).token_codes == coded.token_codes
    long = await storage.embed.embed_query("many words " * 1000, with_codes=True, **asked)
    assert (long.long is not None, long.token_codes) == (True, b"")


async def test_remembered_queries_stay_within_their_bytes(storage: Storage) -> None:
    model = await storage.embed.model()
    async with open_channel(storage.embed.target) as channel:
        client = EmbedClient(channel, remembered=QueryMemory(5_000))  # two vectors of 384 numbers
        for text in ("one", "two", "three", "three", "one"):
            last = await client.embed_query(
                text, reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=10
            )
        assert not last.cached
        assert (
            await client.embed_query("three", reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=10)
        ).cached


async def test_query_over_the_models_maximum_is_read_whole_in_parts(storage: Storage) -> None:
    model = await storage.embed.model()
    found = await storage.embed.embed_query(
        "many words " * 1000, reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=10
    )
    assert found.token_count > 2000
    assert found.long is not None
    assert " ".join(found.long.windows).split() == ("many words " * 1000).split()


async def test_documents_are_embedded_in_order(storage: Storage) -> None:
    model = await storage.embed.model()
    texts = ["short", "a somewhat longer text about dogs", "x"]
    together = await storage.embed.embed_documents(texts, expected_fingerprint=model.fingerprint, timeout_seconds=30)
    assert together.vectors.shape == (3, model.dimension)
    for text, vector, codes in zip(texts, together.vectors, together.token_codes, strict=True):
        alone = await storage.embed.embed_documents([text], expected_fingerprint=model.fingerprint, timeout_seconds=30)
        assert float(np.dot(alone.vectors[0], vector)) > 0.999
        assert len(alone.token_codes[0]) == len(codes) > 0


@pytest.mark.parametrize("texts", [["fine", " "], ["word " * 2000]], ids=["blank", "long"])
async def test_document_that_is_refused_comes_back_as_the_callers_error(storage: Storage, texts: list[str]) -> None:
    model = await storage.embed.model()
    with pytest.raises(InvalidField):
        await storage.embed.embed_documents(texts, expected_fingerprint=model.fingerprint, timeout_seconds=30)


async def test_other_fingerprint_is_a_changed_model(storage: Storage) -> None:
    for call in (
        storage.embed.embed_query("x", reader=WHOLE, expected_fingerprint="0" * 64, timeout_seconds=10),
        storage.embed.embed_documents(["x"], expected_fingerprint="0" * 64, timeout_seconds=10),
    ):
        with pytest.raises(FailedPrecondition) as caught:
            await call
        assert caught.value.reason == "MODEL_CHANGED"


async def test_tokens_begin_where_words_do(storage: Storage) -> None:
    tokens = await storage.embed.tokenize(["two words", "人工 🎉 end"], timeout_seconds=10)
    assert tokens.starts[0].tolist() == [0, 4]
    assert tokens.starts[1].tolist() == [0, 1, 3, 5]
    assert tokens.overhead_tokens == 2
    assert tokens.max_input_tokens == 256


async def test_service_that_is_not_there_is_unavailable() -> None:
    async with open_channel("127.0.0.1:1") as channel:
        client = EmbedClient(channel)
        with pytest.raises(Unavailable):
            await client.model(timeout_seconds=5)
        with pytest.raises(Unavailable):
            await client.embed_documents(["x"], expected_fingerprint="0", timeout_seconds=5)


async def test_service_that_is_late_exceeds_the_deadline(storage: Storage) -> None:
    model = await storage.embed.model()
    with pytest.raises(DeadlineExceeded):
        await storage.embed.embed_documents(
            [f"{number} " + "word " * 200 for number in range(256)],
            expected_fingerprint=model.fingerprint,
            timeout_seconds=0.05,
        )


async def test_refused_api_key_of_the_service_is_no_changed_model() -> None:
    class Refusing(EmbedServiceServicer):
        async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
            raise FailedPrecondition("The API refused the key.", reason="API_KEY_REFUSED")

    server = GrpcServer(service="embed", listen="127.0.0.1:0", full_names=(FULL_NAME,), registry=CollectorRegistry())
    add_EmbedServiceServicer_to_server(Refusing(), server.grpc)  # type: ignore[abstract]  # generated: the others answer that they are missing
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(FailedPrecondition) as caught:
                await EmbedClient(channel).embed_query(
                    "x", reader=WHOLE, expected_fingerprint="0" * 64, timeout_seconds=10
                )
    finally:
        await server.stop(0)
    assert caught.value.reason == "API_KEY_REFUSED"
