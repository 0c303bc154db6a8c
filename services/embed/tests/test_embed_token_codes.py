"""The vectors of a text's tokens beside its own, over gRPC with the real model."""

from typing import Any

import grpc
import numpy as np
import pytest
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_encoders import CodeForm, decode_codes
from trivium_serving.rpc_errors import error_from_rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["A larch sheds its needles in autumn.", "The harbour was dredged twice."]


def request(codes: Any = pb.TOKEN_CODES_DEFAULT, **fields: Any) -> pb.EmbedRequest:
    return pb.EmbedRequest(texts=TEXTS, role=pb.EMBED_ROLE_DOCUMENT, token_codes=codes, **fields)


async def test_embed_with_token_codes_gives_one_per_text_and_the_same_vectors(embed_service: Any) -> None:
    plain = await embed_service.stub.Embed(request(pb.TOKEN_CODES_UNSPECIFIED))
    passes = embed_service.metric("trivium_embed_batch_texts_sum")
    coded = await embed_service.stub.Embed(request())

    assert list(plain.token_codes) == []
    assert embed_service.metric("trivium_embed_batch_texts_sum") == passes + len(TEXTS)
    np.testing.assert_allclose(
        np.frombuffer(coded.vectors_f32, np.float32), np.frombuffer(plain.vectors_f32, np.float32), atol=1e-3
    )
    codes = [decode_codes(code) for code in coded.token_codes]
    # Without [CLS], [SEP] and the full stop.
    assert [len(code.token_ids) for code in codes] == [count - 3 for count in coded.token_counts]
    assert {(code.form, code.dimension) for code in codes} == {(CodeForm.SIGNS, 384)}
    assert {code.model.hex() for code in codes} == {coded.model.token_fingerprint[:32]}


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        (pb.TOKEN_CODES_1_BIT, CodeForm.SIGNS),
        (pb.TOKEN_CODES_4_BIT, CodeForm.NIBBLES),
        (pb.TOKEN_CODES_8_BIT, CodeForm.BYTES),
    ],
)
async def test_embed_with_token_codes_of_a_form_gives_that_form(embed_service: Any, asked: Any, form: CodeForm) -> None:
    response = await embed_service.stub.Embed(request(asked))
    assert {decode_codes(code).form for code in response.token_codes} == {form}


async def test_embed_with_token_codes_again_is_answered_from_memory(embed_service: Any) -> None:
    first = await embed_service.stub.Embed(request())
    passes = embed_service.metric("trivium_embed_batch_texts_sum")
    again = await embed_service.stub.Embed(request())
    assert embed_service.metric("trivium_embed_batch_texts_sum") == passes
    assert list(again.token_codes) == list(first.token_codes)
    assert again.vectors_f32 == first.vectors_f32


async def test_embed_with_token_codes_shorter_vectors_have_the_same_codes(serve_embed: Any) -> None:
    async with serve_embed(least_dimension=64) as service:
        whole, short = [await service.stub.Embed(request(dimension=dimension)) for dimension in (0, 64)]
    assert list(short.token_codes) == list(whole.token_codes) != []
    assert short.dimension == 64


async def test_embed_of_a_service_that_is_set_to_give_none_gives_none(serve_embed: Any) -> None:
    async with serve_embed(token_codes="off") as service:
        assert list((await service.stub.Embed(request())).token_codes) == []
        assert (await service.stub.GetModel(pb.GetModelRequest())).token_codes == pb.TOKEN_CODES_UNSPECIFIED


async def test_get_model_says_what_is_given_by_default(serve_embed: Any) -> None:
    async with serve_embed(token_codes="4") as service:
        model = await service.stub.GetModel(pb.GetModelRequest())
        response = await service.stub.Embed(request())
    assert model.token_codes == pb.TOKEN_CODES_4_BIT
    assert {decode_codes(code).form for code in response.token_codes} == {CodeForm.NIBBLES}


async def test_embed_with_unknown_token_codes_is_refused(embed_service: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await embed_service.stub.Embed(request(9))
    error = error_from_rpc(failure.value)
    assert (failure.value.code(), error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "token_codes")


async def test_embed_with_more_token_codes_than_an_answer_takes_is_refused(serve_embed: Any) -> None:
    texts = ["word " * 250 + str(number) for number in range(4)]
    async with serve_embed() as service:
        limits = service.app.embedder.limits
        service.app.embedder.limits = type(limits)(
            limits.max_texts, limits.max_text_characters, limits.max_call_bytes, max_codes_bytes=100_000
        )
        await service.stub.Embed(pb.EmbedRequest(texts=texts, token_codes=pb.TOKEN_CODES_1_BIT, truncate=True))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.stub.Embed(pb.EmbedRequest(texts=texts, token_codes=pb.TOKEN_CODES_8_BIT, truncate=True))
    assert error_from_rpc(failure.value).reason == "CALL_TOO_LARGE"
