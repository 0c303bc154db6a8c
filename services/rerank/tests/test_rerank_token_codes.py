"""Passages that bring the vectors of their tokens, over gRPC with the real model."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_encoders import CodeForm, EncoderOptions, Role, TextEncoder
from trivium_serving.rpc_errors import error_from_rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "Which tree keeps its needles in winter?"
TEXTS = [
    "A larch is a conifer that sheds its needles in autumn.",
    "The harbour of the town was dredged twice.",
    "Spruces are trees that keep their needles through the winter, unlike larches.",
    "In winter the market opens at nine.",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(data_dir: Path) -> AsyncIterator[TextEncoder]:
    """The model as the embed service runs it."""
    options = EncoderOptions(cache_dir=data_dir / "cache", workers=1)
    loaded = await TextEncoder.load(options, registry=CollectorRegistry(), service="embed")
    yield loaded
    await loaded.close()


async def coded(embedder: TextEncoder, texts: list[str], form: CodeForm = CodeForm.SIGNS) -> list[pb.Passage]:
    codes = (await embedder.encode(texts, codes=form)).token_codes
    assert codes is not None
    return [pb.Passage(text=text, token_codes=code) for text, code in zip(texts, codes, strict=True)]


def request(passages: list[pb.Passage], **fields: Any) -> pb.RerankRequest:
    return pb.RerankRequest(query=QUERY, passages=passages, **fields)


def scores_of(response: pb.RerankResponse) -> list[float]:
    return [one.score for one in sorted(response.rankings, key=lambda one: one.index)]


def texts_read(service: Any) -> float:
    """How many texts the model has read, queries among them."""
    return float(service.metric("trivium_rerank_batch_texts_sum"))


async def test_rerank_passages_with_codes_of_the_model_are_not_read(rerank_service: Any, embedder: TextEncoder) -> None:
    texts = [f"{text} Nobody has read this one." for text in TEXTS]
    used, read = rerank_service.metric("trivium_rerank_token_codes_total", result="used"), texts_read(rerank_service)
    response = await rerank_service.stub.Rerank(request(await coded(embedder, texts)))

    assert texts_read(rerank_service) <= read + 1  # the query
    assert response.token_count < 20
    assert rerank_service.metric("trivium_rerank_token_codes_total", result="used") == used + 4
    by_text = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))
    assert scores_of(response) == pytest.approx(scores_of(by_text), abs=0.005)
    assert [one.index for one in response.rankings] == [one.index for one in by_text.rankings]


async def test_rerank_passages_with_codes_alone_are_judged_like_those_with_texts(
    rerank_service: Any, embedder: TextEncoder
) -> None:
    passages = await coded(embedder, TEXTS)
    whole = await rerank_service.stub.Rerank(request(passages))
    alone = await rerank_service.stub.Rerank(request([pb.Passage(token_codes=one.token_codes) for one in passages]))

    assert whole.texts_optional
    assert scores_of(alone) == scores_of(whole)


@pytest.mark.parametrize("changed", ["model", "layout"])
async def test_rerank_codes_alone_that_are_of_no_use_are_refused(
    rerank_service: Any, embedder: TextEncoder, changed: str
) -> None:
    code = (await coded(embedder, [TEXTS[0]]))[0].token_codes
    useless = code[:12] + bytes(16) + code[28:] if changed == "model" else b"TC\x09" + code[3:]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rerank_service.stub.Rerank(request([pb.Passage(text="a"), pb.Passage(token_codes=useless)]))
    error = error_from_rpc(failure.value)

    assert (error.reason, error.field) == ("TOKEN_CODES_UNREADABLE", "passages[1].token_codes")


async def test_rerank_query_with_codes_of_the_model_is_not_read(rerank_service: Any, embedder: TextEncoder) -> None:
    query = "Which tree, never asked about before, keeps its needles?"
    codes = (await embedder.encode([query], role=Role.QUERY, codes=CodeForm.BYTES)).token_codes
    assert codes is not None
    passages = await coded(embedder, TEXTS)
    read = texts_read(rerank_service)
    asked = pb.RerankRequest(query=query, passages=passages, query_token_codes=codes[0])
    response = await rerank_service.stub.Rerank(asked)

    assert texts_read(rerank_service) == read
    assert response.token_count == 0
    by_text = await rerank_service.stub.Rerank(pb.RerankRequest(query=query, passages=passages))
    assert scores_of(response) == pytest.approx(scores_of(by_text), abs=0.001)
    assert [one.maxsim for one in response.rankings] == pytest.approx(
        [one.maxsim for one in by_text.rankings], abs=0.001
    )


async def test_rerank_query_with_codes_of_another_model_is_read(rerank_service: Any, embedder: TextEncoder) -> None:
    [passage] = await coded(embedder, [QUERY], CodeForm.BYTES)
    foreign = passage.token_codes[:12] + bytes(16) + passage.token_codes[28:]
    asked = pb.RerankRequest(query=QUERY, passages=await coded(embedder, TEXTS), query_token_codes=foreign)
    response = await rerank_service.stub.Rerank(asked)

    assert response.token_count > 0
    assert response.rankings[0].index == 2


async def test_rerank_unreadable_codes_of_a_query_are_refused_by_name(rerank_service: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=TEXTS, query_token_codes=b"x"))
    error = error_from_rpc(failure.value)

    assert (error.reason, error.field) == ("TOKEN_CODES_UNREADABLE", "query_token_codes")


@pytest.mark.parametrize("form", [CodeForm.NIBBLES, CodeForm.BYTES])
async def test_rerank_codes_of_more_bits_score_on_the_same_scale(
    rerank_service: Any, embedder: TextEncoder, form: CodeForm
) -> None:
    signs = await rerank_service.stub.Rerank(request(await coded(embedder, TEXTS)))
    finer = await rerank_service.stub.Rerank(request(await coded(embedder, TEXTS, form)))

    assert scores_of(finer) == pytest.approx(scores_of(signs), abs=0.03)
    assert finer.rankings[0].index == signs.rankings[0].index == 2


async def test_rerank_some_passages_without_codes_are_read(rerank_service: Any, embedder: TextEncoder) -> None:
    passages = await coded(embedder, TEXTS)
    mixed = [passages[0], pb.Passage(text=TEXTS[1]), passages[2], pb.Passage(text=TEXTS[3])]

    whole = await rerank_service.stub.Rerank(request(passages))
    assert scores_of(await rerank_service.stub.Rerank(request(mixed))) == pytest.approx(scores_of(whole), abs=0.005)


async def test_rerank_codes_of_another_model_are_left_for_the_text(rerank_service: Any, embedder: TextEncoder) -> None:
    others = [
        pb.Passage(text=text, token_codes=one.token_codes[:12] + b"another model..." + one.token_codes[28:])
        for text, one in zip(TEXTS, await coded(embedder, TEXTS[::-1]), strict=True)
    ]
    before = rerank_service.metric("trivium_rerank_token_codes_total", result="other_model")
    response = await rerank_service.stub.Rerank(request(others))

    assert rerank_service.metric("trivium_rerank_token_codes_total", result="other_model") == before + 4
    by_text = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=TEXTS))
    assert scores_of(response) == pytest.approx(scores_of(by_text), abs=1e-5)


async def test_rerank_codes_of_another_dimension_are_left_for_the_text(
    rerank_service: Any, embedder: TextEncoder
) -> None:
    """The header names the model, and lies about the dimension."""
    whole = (await coded(embedder, [TEXTS[2]]))[0].token_codes
    tokens = int.from_bytes(whole[8:12], "little")
    lying = whole[:4] + (8).to_bytes(2, "little") + whole[6:28] + bytes(tokens * 3)
    response = await rerank_service.stub.Rerank(request([pb.Passage(text=TEXTS[2], token_codes=lying)]))
    by_text = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=[TEXTS[2]]))

    assert scores_of(response) == pytest.approx(scores_of(by_text), abs=1e-5)


async def test_rerank_codes_of_a_later_layout_are_left_for_the_text(rerank_service: Any, embedder: TextEncoder) -> None:
    passage = (await coded(embedder, [TEXTS[0]]))[0]
    later = pb.Passage(text=TEXTS[0], token_codes=b"TC\x09" + passage.token_codes[3:])
    response = await rerank_service.stub.Rerank(request([later]))

    assert len(response.rankings) == 1


@pytest.mark.parametrize("codes", [b"x", b"not token codes, but long enough to have a header", b"TC\x01" + bytes(40)])
async def test_rerank_unreadable_codes_are_refused_by_name(rerank_service: Any, codes: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rerank_service.stub.Rerank(request([pb.Passage(text="a"), pb.Passage(text="b", token_codes=codes)]))
    error = error_from_rpc(failure.value)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.field) == ("TOKEN_CODES_UNREADABLE", "passages[1].token_codes")


async def test_rerank_texts_and_passages_at_once_are_refused(rerank_service: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["a"], passages=[pb.Passage(text="a")]))
    assert error_from_rpc(failure.value).field == "passages"


async def test_get_model_names_the_token_vectors_that_it_takes(rerank_service: Any, embedder: TextEncoder) -> None:
    model = (await rerank_service.stub.GetModel(pb.GetModelRequest())).model
    assert model.token_fingerprint == embedder.info.token_fingerprint
