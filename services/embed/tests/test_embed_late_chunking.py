"""Late chunking over gRPC, with the real model."""

from typing import Any

import grpc
import numpy as np
import pytest
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_encoders import decode_codes
from trivium_serving.rpc_errors import error_from_rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

TITLE = "Berlin\n"
SENTENCES = ["The city has 3.85 million inhabitants.", " It is one of the states of the country."]


def chunks(*spans: tuple[int, int], heading: int = len(TITLE)) -> pb.ChunkSpans:
    made = [pb.ChunkSpan(start=start, end=end) for start, end in spans]
    return pb.ChunkSpans(spans=made, heading_characters=heading)


def request(*of_texts: pb.ChunkSpans, **fields: Any) -> pb.EmbedRequest:
    given: dict[str, Any] = {"texts": [TITLE + "".join(SENTENCES)], "role": pb.EMBED_ROLE_DOCUMENT}
    return pb.EmbedRequest(**(given | fields), chunks=of_texts)


END = len(TITLE) + len("".join(SENTENCES))
FIRST = len(TITLE) + len(SENTENCES[0])


async def test_embed_with_chunks_gives_a_vector_and_a_code_for_each(embed_service: Any) -> None:
    model = await embed_service.stub.GetModel(pb.GetModelRequest())
    late = await embed_service.stub.Embed(
        request(chunks((len(TITLE), FIRST), (FIRST, END)), token_codes=pb.TOKEN_CODES_DEFAULT)
    )
    plain = await embed_service.stub.Embed(
        pb.EmbedRequest(texts=[TITLE + one for one in SENTENCES], token_codes=pb.TOKEN_CODES_DEFAULT)
    )
    vectors = np.frombuffer(late.vectors_f32, np.float32).reshape(2, 384)
    apart = np.frombuffer(plain.vectors_f32, np.float32).reshape(2, 384)

    assert model.late_chunking
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert ((vectors * apart).sum(axis=1) > 0.7).all()
    assert (vectors * apart).sum(axis=1).max() < 0.999
    assert len(late.token_counts) == 1
    for code, of_plain in zip(late.token_codes, plain.token_codes, strict=True):
        assert decode_codes(code).token_ids.tolist() == decode_codes(of_plain).token_ids.tolist()
        assert code != of_plain


async def test_embed_with_one_chunk_is_the_text_itself(embed_service: Any) -> None:
    late = await embed_service.stub.Embed(request(chunks((len(TITLE), END))))
    plain = await embed_service.stub.Embed(request())
    np.testing.assert_allclose(
        np.frombuffer(late.vectors_f32, np.float32), np.frombuffer(plain.vectors_f32, np.float32), atol=1e-3
    )


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(chunks((0, END))), "chunks[0].spans"),
        (request(chunks((len(TITLE), END + 1))), "chunks[0].spans"),
        (request(chunks((FIRST, END), (len(TITLE), FIRST))), "chunks[0].spans"),
        (request(chunks((FIRST, FIRST + 1))), "chunks[0].spans"),
        (request(chunks()), "chunks[0].spans"),
        (request(chunks((len(TITLE), END)), texts=["one", "two"]), "chunks"),
        (request(*[chunks(*[(len(TITLE), END)] * 2049)]), "chunks"),
        (request(chunks((len(TITLE), END)), truncate=True), "truncate"),
        (request(chunks((len(TITLE), END)), role=pb.EMBED_ROLE_QUERY), "role"),
        (request(chunks((0, 4_000), heading=0), texts=["word " * 800]), "texts[0]"),
    ],
    ids=["heading", "outside", "order", "blank", "none", "count", "many", "truncate", "query", "long"],
)
async def test_embed_with_chunks_that_cannot_be_names_the_field(
    embed_service: Any, asked: pb.EmbedRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await embed_service.stub.Embed(asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = error_from_rpc(caught.value)
    assert error is not None
    assert getattr(error, "field", "") == field, error
