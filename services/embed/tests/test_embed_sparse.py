"""Learned sparse vectors over gRPC, of tiny models: beside the dense one's, and of the same pass."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from model_services.sparse_models import write_sparse_model
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.rpc_errors import error_from_rpc

TEXTS = ["the cat sees a small bird.", "dog", "one two three four five and the big red dog chases the cat"]


def request(sparse: bool = True, role: Any = pb.EMBED_ROLE_DOCUMENT, **fields: Any) -> pb.EmbedRequest:
    return pb.EmbedRequest(texts=TEXTS, role=role, sparse=sparse, **fields)


async def test_sparse_model_beside_the_embedding_model_gives_its_vectors(serve_embed: Any, tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    folder = write_sparse_model("doc", tmp_path)
    reference = SparseEncoder(str(folder), device="cpu")
    async with serve_embed(sparse_model=str(folder), sparse_terms=8) as service:
        plain = await service.stub.Embed(request(sparse=False))
        for role, encode in (
            (pb.EMBED_ROLE_QUERY, reference.encode_query),
            (pb.EMBED_ROLE_DOCUMENT, reference.encode_document),
        ):
            both = await service.stub.Embed(request(role=role))
            expected = encode(TEXTS, convert_to_sparse_tensor=False, max_active_dims=8).numpy()
            found = np.zeros_like(expected)
            for row, vector in zip(found, both.sparse_vectors, strict=True):
                row[list(vector.indices)] = vector.values
            np.testing.assert_allclose(found, expected, atol=1e-5)
        passes = service.metric("trivium_embed_batch_texts_sum"), service.metric("trivium_embed_sparse_batch_texts_sum")
        again = await service.stub.Embed(request())
        assert again.sparse_vectors == both.sparse_vectors
        kept = service.metric("trivium_embed_batch_texts_sum"), service.metric("trivium_embed_sparse_batch_texts_sum")
        model = (await service.stub.GetModel(pb.GetModelRequest())).model
    assert passes == kept
    assert not plain.sparse_vectors
    assert plain.vectors_f32 == both.vectors_f32
    assert (model.name, len(model.sparse_fingerprint)) == ("sentence-transformers/all-MiniLM-L6-v2", 64)
    assert both.model.sparse_fingerprint == model.sparse_fingerprint


async def test_model_with_three_outputs_gives_them_of_one_pass(serve_embed: Any, tmp_path: Path) -> None:
    folder = write_sparse_model("m3", tmp_path)
    async with serve_embed(model=str(folder), runtime="torch") as service:
        before = service.metric("trivium_embed_batch_texts_sum")
        response = await service.stub.Embed(request(token_codes=pb.TOKEN_CODES_8_BIT))
        assert service.metric("trivium_embed_batch_texts_sum") == before + len(TEXTS)
        limits = service.app.embedder.limits
        service.app.embedder.limits = type(limits)(
            limits.max_texts, limits.max_text_characters, limits.max_call_bytes, max_codes_bytes=40
        )
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.stub.Embed(request())
    assert response.dimension == 32
    assert len(response.token_codes) == len(response.sparse_vectors) == len(TEXTS)
    assert all(vector.indices for vector in response.sparse_vectors)
    assert len({response.model.fingerprint, response.model.token_fingerprint, response.model.sparse_fingerprint}) == 3
    assert error_from_rpc(failure.value).reason == "CALL_TOO_LARGE"


async def test_sparse_vectors_of_a_model_without_any_are_none(serve_embed: Any) -> None:
    async with serve_embed() as service:
        response = await service.stub.Embed(request())
    assert not response.sparse_vectors
    assert not response.model.sparse_fingerprint
