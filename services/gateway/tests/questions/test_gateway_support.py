"""A model judges beside words how surely passages support what an answer says: the same streamed and not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from model_services.running import server_of
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_gateway.settings import GatewaySettings
from trivium_rerank.app import FULL_NAME, RerankApp
from trivium_rerank.settings import RerankSettings
from trivium_serving.errors import Unavailable

from .conftest import DOCUMENTS, RerankPeer, delta, finish, running_stack
from .test_gateway_answers import degraded_of, streamed, without_times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSAGE = "The heron\nHerons eat fish and frogs."
ANSWER = [delta("Herons eat fish. [1]", (1, 17, 20)), delta(" Frogs are what herons eat."), finish()]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the heron herons eat fish and frogs are what . otters sleep in a holt"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge() -> AsyncIterator[RerankPeer]:
    """A service that judges as a test tells it."""
    peer = RerankPeer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judged_module(qdrant: Qdrant, judge: RerankPeer) -> AsyncIterator[Stack]:
    """A gateway with it."""
    settings = GatewaySettings(support_target=f"127.0.0.1:{judge.port}", mcp="off")
    async with running_stack(qdrant, settings) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def judged(judged_module: Stack, judge: RerankPeer) -> Stack:
    """The same, as at its beginning."""
    judge.reset()
    judge.kind = pb.SCORE_KIND_ENTAILMENT
    judged_module.generate.reset()
    judged_module.generate.script = list(ANSWER)
    return judged_module


def _says(judge: RerankPeer, score: float) -> None:
    judge.rankings = [pb.Ranking(index=0, score=score)]


@pytest.mark.parametrize(("kind", "share"), [(pb.SCORE_KIND_ENTAILMENT, 0.6), (pb.SCORE_KIND_RELEVANCE, 0.3)])
async def test_support_is_by_words_and_by_the_models_estimate(
    judged: Stack, judge: RerankPeer, kind: pb.ScoreKind.ValueType, share: float
) -> None:
    judge.kind = kind
    _says(judge, 0.25)

    response = await judged.ask()

    cited = response.json()["citations"][0]
    assert cited["support"] == pytest.approx(1 - share + 0.25 * share, abs=2e-3)  # by words alone 1
    asked = judge.called("Rerank")
    assert [call.request.query for call in asked] == ["Herons eat fish.", "Frogs are what herons eat."]
    assert {text for call in asked for text in call.request.texts} == {PASSAGE}
    assert "support" in [one["name"] for one in response.json()["stages"]]


async def test_sentence_that_words_support_and_the_model_does_not_is_marked_and_left_out_when_strict(
    judged: Stack, judge: RerankPeer
) -> None:
    _says(judge, 0.0)

    body = (await judged.ask()).json()
    strict = (await judged.ask(strict=True)).json()

    assert [one["verdict"] for one in body["citations"]] == ["weak"]
    assert [body["answer"][one["start"] : one["end"]] for one in body["unsupported"]] == ["Frogs are what herons eat."]
    assert strict["refused"] is True
    assert strict["citations"] == []


async def test_wrong_number_is_not_saved_by_a_model_that_agrees(judged: Stack, judge: RerankPeer) -> None:
    judged.generate.script = [delta("Herons eat 12 fish and frogs. [1]", (1, 30, 33)), finish()]
    _says(judge, 1.0)

    (citation,) = (await judged.ask()).json()["citations"]

    assert citation["verdict"] == "unsupported"


async def test_stream_has_the_models_estimates_too(judged: Stack, judge: RerankPeer) -> None:
    _says(judge, 0.7)
    whole = (await judged.ask()).json()

    events = await streamed(judged)

    assert without_times(events[-1][1]) == without_times(whole)
    marked = [one for name, data in events if name == "delta" for one in data["citations"]]
    assert marked == whole["citations"][:1]
    assert marked[0]["support"] == pytest.approx(0.4 + 0.6 * 0.7, abs=2e-3)


async def test_service_that_fails_leaves_words_to_judge_and_is_asked_once(judged: Stack, judge: RerankPeer) -> None:
    judge.faults["Rerank"] = Unavailable("It broke.", reason="ENCODER_FAILED")

    response = await judged.ask()

    assert degraded_of(response) == [("support", "unavailable", "words")]
    assert response.json()["citations"][0]["support"] == 1
    assert len(judge.called("Rerank")) == 1


async def test_service_whose_model_compares_tokens_judges_nothing_and_the_status_says_so(
    judged: Stack, judge: RerankPeer
) -> None:
    judge.kind = pb.SCORE_KIND_SIMILARITY
    _says(judge, 0.0)

    assert (await judged.ask()).json()["citations"][0]["support"] == 1


async def test_support_of_a_real_inference_model_is_what_that_model_says(
    qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("nli")
    chance = _write_inference_model(folder)("Herons eat fish.", PASSAGE)
    serve = server_of(RerankApp, RerankSettings, RerankServiceStub, FULL_NAME)
    async with serve(backend="cross-encoder", model=str(folder), first_model="", precision="fp32") as service:
        settings = GatewaySettings(support_target=f"127.0.0.1:{service.port}", mcp="off")
        async with running_stack(qdrant, settings) as stack:
            await stack.create_collection()
            await stack.add(*DOCUMENTS)
            stack.generate.script = list(ANSWER)
            await stack.until(lambda: stack.stage("support"))

            body = (await stack.ask()).json()
            stages = (await stack.http.get("/readyz")).json()["stages"]

    assert body["degraded"] == []
    assert body["citations"][0]["support"] == pytest.approx(0.4 + 0.6 * chance, abs=5e-3)
    (support,) = (one for one in stages if one["stage"] == "support")
    assert (support["ready"], support["detail"]) == (True, "")


def _write_inference_model(folder: Path) -> Any:
    """A BERT of two layers with random weights and the labels of inference; what it makes of a claim and a passage."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(3)
    (folder / "vocab.txt").write_text("\n".join(WORDS.split()))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=64)
    config = BertConfig(
        vocab_size=len(WORDS.split()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label={0: "contradiction", 1: "entailment", 2: "neutral"},
        label2id={"contradiction": 0, "entailment": 1, "neutral": 2},
    )
    model: Any = BertForSequenceClassification(config)
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    def chance(claim: str, passage: str) -> float:
        with torch.no_grad():
            logits = model(**tokenizer(passage, claim, return_tensors="pt")).logits
        return float(torch.softmax(logits, -1)[0, 1])

    return chance
