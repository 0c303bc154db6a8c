"""Embed, Tokenize and GetModel over gRPC, with the real model."""

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.errors import TriviumError
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = [
    "The aspen is a tree of cold regions.",
    "gRPC carries bytes.",
    "A reranker reads the query and the passage together and returns a score between zero and one. " * 4,
    "树",
]


def vectors_of(response: pb.EmbedResponse) -> NDArray[np.float32]:
    return np.frombuffer(response.vectors_f32, dtype="<f4").reshape(-1, response.dimension)


async def refused(call: "Awaitable[Any]", code: grpc.StatusCode) -> TriviumError:
    """The domain error of a call that must fail with a code."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert failure.value.code() is code, failure.value
    return error_from_rpc(failure.value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_service(serve_embed: Any) -> "AsyncIterator[Any]":
    """A service with small limits."""
    async with serve_embed(max_texts=3, max_text_characters=500, max_call_bytes=1024) as service:
        yield service


async def test_embed_several_texts_returns_a_unit_vector_each(embed_service: Any) -> None:
    response = await embed_service.stub.Embed(pb.EmbedRequest(texts=TEXTS, role=pb.EMBED_ROLE_DOCUMENT))

    vectors = vectors_of(response)
    assert vectors.shape == (len(TEXTS), 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert len(response.vectors_f32) == len(TEXTS) * 384 * 4
    assert len(response.token_counts) == len(TEXTS)
    assert response.token_counts[0] < response.token_counts[2] < 256
    assert response.model.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert response.model.max_input_tokens == 256
    assert response.timing.total_ms >= response.timing.compute_ms > 0


async def test_embed_text_in_a_batch_gives_the_vector_it_has_alone(embed_service: Any) -> None:
    together = vectors_of(await embed_service.stub.Embed(pb.EmbedRequest(texts=TEXTS)))

    for index, text in enumerate(TEXTS):
        alone = vectors_of(await embed_service.stub.Embed(pb.EmbedRequest(texts=[text])))
        assert together[index] == pytest.approx(alone[0], abs=1e-3)


async def test_embed_related_texts_are_nearer_than_unrelated(embed_service: Any) -> None:
    question = await embed_service.stub.Embed(
        pb.EmbedRequest(texts=["Which trees grow in the north?"], role=pb.EMBED_ROLE_QUERY)
    )
    documents = await embed_service.stub.Embed(pb.EmbedRequest(texts=TEXTS[:2], role=pb.EMBED_ROLE_DOCUMENT))

    tree, protocol = vectors_of(documents) @ vectors_of(question)[0]
    assert tree > protocol + 0.2


async def test_embed_matching_fingerprint_is_served(embed_service: Any) -> None:
    model = await embed_service.stub.GetModel(pb.GetModelRequest())

    response = await embed_service.stub.Embed(
        pb.EmbedRequest(texts=["a"], expected_fingerprint=model.model.fingerprint)
    )

    assert response.model == model.model


async def test_embed_other_fingerprint_is_refused(embed_service: Any) -> None:
    call = embed_service.stub.Embed(pb.EmbedRequest(texts=["a"], expected_fingerprint="of another model"))

    error = await refused(call, grpc.StatusCode.FAILED_PRECONDITION)
    assert error.reason == "MODEL_MISMATCH"
    assert error.metadata["expected"] == "of another model"


async def test_embed_unknown_role_is_refused(embed_service: Any) -> None:
    call = embed_service.stub.Embed(pb.EmbedRequest(texts=["a"], role=7))  # type: ignore[arg-type]

    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert (error.reason, error.field) == ("INVALID_FIELD", "role")


@pytest.mark.parametrize("blank", ["", " \n", "\x00"])
async def test_embed_blank_text_is_refused_by_name(embed_service: Any, blank: str) -> None:
    call = embed_service.stub.Embed(pb.EmbedRequest(texts=["a", "b", blank]))

    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert (error.reason, error.field) == ("BLANK_TEXT", "texts[2]")


async def test_embed_nul_character_inside_a_text_is_ignored(embed_service: Any) -> None:
    with_nul, without = vectors_of(await embed_service.stub.Embed(pb.EmbedRequest(texts=["bir\x00ch", "birch"])))

    assert with_nul == pytest.approx(without, abs=1e-3)


async def test_embed_text_over_the_models_maximum_is_refused_with_both_numbers(embed_service: Any) -> None:
    call = embed_service.stub.Embed(pb.EmbedRequest(texts=["short", "word " * 300]))

    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
    assert (error.reason, error.field) == ("TEXT_TOO_LONG", "texts[1]")
    assert "302 tokens" in error.message
    assert "256" in error.message
    assert "truncate" in error.message


async def test_embed_text_over_the_models_maximum_with_truncate_is_cut(embed_service: Any) -> None:
    response = await embed_service.stub.Embed(pb.EmbedRequest(texts=["word " * 300, "word " * 254], truncate=True))

    assert list(response.token_counts) == [256, 256]
    long, cut = vectors_of(response)
    assert long == pytest.approx(cut, abs=1e-3)


@pytest.mark.parametrize(
    ("texts", "reason", "field", "limit"),
    [
        pytest.param([], "NO_TEXTS", "texts", "at least one", id="none"),
        pytest.param(["a"] * 4, "TOO_MANY_TEXTS", "texts", "3", id="too many"),
        pytest.param(["a", "b" * 501], "TEXT_TOO_LONG", "texts[1]", "500", id="too long"),
        pytest.param(["a" * 400] * 3, "CALL_TOO_LARGE", "texts", "1024", id="too much"),
    ],
)
async def test_embed_and_tokenize_beyond_a_limit_are_refused_with_it(
    small_service: Any, texts: list[str], reason: str, field: str, limit: str
) -> None:
    rejected_before = small_service.metric("trivium_embed_rejected_total", reason=reason)

    for call in (
        small_service.stub.Embed(pb.EmbedRequest(texts=texts)),
        small_service.stub.Tokenize(pb.TokenizeRequest(texts=texts)),
    ):
        error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
        assert (error.reason, error.field) == (reason, field)
        assert limit in error.message

    assert small_service.metric("trivium_embed_rejected_total", reason=reason) == rejected_before + 2


async def test_embed_deadline_already_short_fails_with_deadline_exceeded(embed_service: Any) -> None:
    call = embed_service.stub.Embed(
        pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(500)]), timeout=0.05
    )

    await refused(call, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_tokenize_texts_returns_where_their_tokens_start(embed_service: Any) -> None:
    text = "Aspens, 树 and birches"
    response = await embed_service.stub.Tokenize(pb.TokenizeRequest(texts=[text, ""]))

    starts = list(response.texts[0].starts)
    assert starts == sorted(starts)
    assert {text[start] for start in starts} >= {"A", ",", "树", "a", "b"}
    assert list(response.texts[1].starts) == []
    assert response.overhead_tokens == 2  # [CLS] and [SEP]; the model has no prompt
    assert response.max_input_tokens == 256


async def test_tokenize_and_embed_agree_on_the_number_of_tokens(embed_service: Any) -> None:
    tokens = await embed_service.stub.Tokenize(pb.TokenizeRequest(texts=TEXTS))
    embedded = await embed_service.stub.Embed(pb.EmbedRequest(texts=TEXTS))

    counted = [len(text.starts) + tokens.overhead_tokens for text in tokens.texts]
    assert counted == list(embedded.token_counts)


async def test_get_model_describes_the_model_and_the_limits(embed_service: Any) -> None:
    response = await embed_service.stub.GetModel(pb.GetModelRequest())

    assert response.dimension == 384
    assert response.normalized
    assert response.max_texts == 2048
    assert response.model.backend == "local"
    assert response.model.fingerprint
    assert response.model.runtime in {"openvino", "torch"}
    assert response.model.precision in {"bf16", "fp32"}


async def test_embed_counts_texts_and_tokens_by_role(embed_service: Any) -> None:
    texts_before = embed_service.metric("trivium_embed_texts_total", role="query")
    tokens_before = embed_service.metric("trivium_embed_tokens_total", role="query")

    response = await embed_service.stub.Embed(pb.EmbedRequest(texts=["one", "two words"], role=pb.EMBED_ROLE_QUERY))

    assert embed_service.metric("trivium_embed_texts_total", role="query") == texts_before + 2
    tokens = embed_service.metric("trivium_embed_tokens_total", role="query") - tokens_before
    assert tokens == sum(response.token_counts)


async def test_embed_queries_tells_what_share_of_each_the_model_reads(embed_service: Any) -> None:
    texts = ["How tall is the tower?", "塔有多高？"]
    read = await embed_service.stub.Embed(pb.EmbedRequest(texts=texts, role=pb.EMBED_ROLE_QUERY))
    assert read.read_shares[0] > 0.8
    assert read.read_shares[1] == 0
    stored = await embed_service.stub.Embed(pb.EmbedRequest(texts=texts, role=pb.EMBED_ROLE_DOCUMENT))
    assert not stored.read_shares
