"""Shorter vectors, and vectors in fewer bytes, over gRPC with the real model."""

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_embed.dimensions import Dimensions
from trivium_embed.encodings import to_int8
from trivium_encoders import Encoded, EncoderInfo
from trivium_serving.errors import FailedPrecondition, TriviumError
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["The aspen is a tree of cold regions.", "gRPC carries bytes.", "树"]
INT8, BINARY = pb.VECTOR_ENCODING_INT8, pb.VECTOR_ENCODING_BINARY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def short_service(serve_embed: Any) -> "AsyncIterator[Any]":
    """A service whose operator says that the model was trained for vectors of 64 numbers and more."""
    async with serve_embed(least_dimension=64) as service:
        yield service


async def embed(service: Any, **fields: Any) -> pb.EmbedResponse:
    response: pb.EmbedResponse = await service.stub.Embed(pb.EmbedRequest(texts=TEXTS, **fields))
    return response


async def vectors(service: Any, **fields: Any) -> NDArray[np.float32]:
    response = await embed(service, **fields)
    return np.frombuffer(response.vectors_f32, dtype="<f4").reshape(len(TEXTS), response.dimension)


async def refusal(service: Any, **fields: Any) -> tuple[grpc.StatusCode, TriviumError]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await embed(service, **fields)
    return failure.value.code(), error_from_rpc(failure.value)


async def test_embed_dimension_gives_the_first_numbers_at_unit_length_without_computing_again(
    short_service: Any,
) -> None:
    whole = await vectors(short_service)
    computed = short_service.metric("trivium_embed_batch_texts_sum")
    short = await vectors(short_service, dimension=64)

    assert short.shape == (len(TEXTS), 64)
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    assert short == pytest.approx(expected, abs=1e-6)
    assert short_service.metric("trivium_embed_batch_texts_sum") == computed
    assert np.array_equal(await vectors(short_service), whole)


async def test_embed_dimension_has_a_fingerprint_of_its_own(short_service: Any) -> None:
    asked = [0, 64, 65, 384]
    fingerprints = []
    for dimension in asked:
        description = await short_service.stub.GetModel(pb.GetModelRequest(dimension=dimension))
        fingerprint = description.model.fingerprint
        response = await embed(short_service, dimension=dimension, expected_fingerprint=fingerprint)
        assert response.model.fingerprint == fingerprint
        assert response.dimension == description.dimension == (dimension or 384)
        fingerprints.append(fingerprint)

    assert fingerprints[0] == fingerprints[3]
    assert len(set(fingerprints)) == 3
    assert (description.least_dimension, description.most_dimension) == (64, 384)
    code, error = await refusal(short_service, dimension=64, expected_fingerprint=fingerprints[0])
    assert (code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_MISMATCH")


async def test_embed_dimension_set_by_the_operator_is_served_to_all(short_service: Any, serve_embed: Any) -> None:
    asked = await embed(short_service, dimension=64)
    async with serve_embed(dimension=64, least_dimension=64) as service:
        response = await embed(service)
        description = await service.stub.GetModel(pb.GetModelRequest())

    assert response.vectors_f32 == asked.vectors_f32
    assert response.model.fingerprint == description.model.fingerprint == asked.model.fingerprint
    assert (response.dimension, description.dimension) == (64, 64)


@pytest.mark.parametrize(
    ("dimension", "advice"), [(63, "64 to 384"), (385, "64 to 384")], ids=["below the least", "over the own"]
)
async def test_embed_dimension_beyond_a_bound_is_refused_with_both(
    short_service: Any, dimension: int, advice: str
) -> None:
    code, error = await refusal(short_service, dimension=dimension)

    assert (code, error.reason, error.field) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "DIMENSION_NOT_SUPPORTED",
        "dimension",
    )
    assert advice in error.message


async def test_embed_dimension_of_a_model_not_trained_for_it_is_refused_with_what_to_do(
    embed_service: Any, serve_embed: Any
) -> None:
    _, error = await refusal(embed_service, dimension=128)
    assert error.reason == "DIMENSION_NOT_SUPPORTED"
    assert "TRIVIUM_EMBED_LEAST_DIMENSION" in error.message
    _, error = await refusal(embed_service, dimension=768)
    assert "never more" in error.message

    with pytest.raises(FailedPrecondition, match="TRIVIUM_EMBED_DIMENSION is 128") as failure:
        async with serve_embed(dimension=128):
            pass
    assert failure.value.reason == "DIMENSION_NOT_SUPPORTED"


async def test_embed_int8_is_within_half_a_step_of_each_number(embed_service: Any) -> None:
    whole = await vectors(embed_service)
    response = await embed(embed_service, encoding=INT8)

    assert (response.vectors_f32, response.vectors_binary) == (b"", b"")
    numbers = np.frombuffer(response.vectors_int8, dtype=np.int8).reshape(whole.shape)
    scales = np.array(response.int8_scales, dtype=np.float32)[:, np.newaxis]
    assert (np.abs(numbers).max(axis=1) == 127).all()
    assert (np.abs(numbers * scales - whole) <= scales * 0.501).all()
    cosines = (numbers * whole).sum(axis=1) / np.linalg.norm(numbers.astype(np.float32), axis=1)
    assert cosines.min() > 0.9999


async def test_embed_binary_is_the_signs_packed_by_eight(short_service: Any) -> None:
    whole = await vectors(short_service)
    response = await embed(short_service, encoding=BINARY, dimension=128)

    assert (response.vectors_f32, response.vectors_int8, response.dimension) == (b"", b"", 128)
    bits = [[int(byte) >> (7 - place) & 1 for byte in row for place in range(8)] for row in _rows(response)]
    assert np.array_equal(np.array(bits), whole[:, :128] > 0)


def _rows(response: pb.EmbedResponse) -> list[bytes]:
    width = response.dimension // 8
    return [response.vectors_binary[start : start + width] for start in range(0, len(TEXTS) * width, width)]


async def test_embed_stream_takes_dimension_and_encoding_as_embed_does(short_service: Any) -> None:
    request = pb.EmbedRequest(texts=TEXTS, dimension=72, encoding=BINARY)
    unary = await short_service.stub.Embed(request)
    call = short_service.stub.EmbedStream(iter([pb.EmbedStreamRequest(sequence=1, request=request)]))
    (answer,) = [answer async for answer in call]

    assert answer.response.vectors_binary == unary.vectors_binary
    assert len(unary.vectors_binary) == len(TEXTS) * 9


async def test_embed_binary_of_a_dimension_that_fills_no_bytes_is_refused(short_service: Any) -> None:
    code, error = await refusal(short_service, encoding=BINARY, dimension=100)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.field) == ("DIMENSION_NOT_SUPPORTED", "encoding")
    assert "multiple of 8" in error.message


async def test_embed_unknown_encoding_is_refused(embed_service: Any) -> None:
    code, error = await refusal(embed_service, encoding=9)

    assert (code, error.reason, error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "encoding")


async def test_dimensions_cut_of_vectors_without_unit_length_keeps_their_lengths() -> None:
    info = EncoderInfo("/models/Qwen3-Embedding-0.6B/", "f", "torch", "fp32", 128, normalized=True, max_tokens=8)
    whole = Encoded(np.full((1, 128), 3, np.float32), [1], 0.0, 0.0, 0.0)
    found = {}
    for normalized in (True, False):
        backend: Any = SimpleNamespace(info=replace(info, normalized=normalized), fingerprint_of=str)
        dimensions = Dimensions(backend, served=0, least=0)
        assert dimensions.least == 32  # what the catalog knows of the model
        found[normalized] = dimensions.cut(whole, 64).vectors

    assert np.array_equal(found[False], np.full((1, 64), 3, np.float32))
    assert found[True] == pytest.approx(np.full((1, 64), 1 / 8), abs=1e-6)


async def test_to_int8_vector_of_zeros_stays_zero() -> None:
    numbers, scales = to_int8(np.zeros((1, 8), np.float32))

    assert not numbers.any()
    assert scales.tolist() == [1.0]
