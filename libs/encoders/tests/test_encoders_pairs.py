"""Cross-encoders: the same scores as sentence-transformers, always in [0, 1]."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from trivium_encoders import ModelUnsupported, PairScorer, TextEncoder
from trivium_encoders.tokenization import TextTokenizer, pair_lengths

QUERY = "the small bird sees the cat?"


def reference(folder: Path, query: str, texts: list[str], **options: Any) -> NDArray[np.float32]:
    """What sentence-transformers computes."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    scores: NDArray[np.float32] = model.predict([(query, text) for text in texts], show_progress_bar=False, **options)
    return scores


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
async def test_score_equals_cross_encoder(load: Any, tiny_models: Any, tiny_texts: list[str], runtime: str) -> None:
    folder = tiny_models.cross_encoder()
    scorer = await load(PairScorer, folder, runtime=runtime, precision="fp32")
    texts = [*tiny_texts, "cat " * 100]
    scored = await scorer.score(QUERY, texts)
    np.testing.assert_allclose(scored.scores, reference(folder, QUERY, texts), atol=1e-4)
    assert scored.scores.std() > 0.01
    assert scored.token_count == sum(min(64, len(text)) for text in _joined(folder, QUERY, texts))


async def test_score_long_query_and_passage_are_cut_as_cross_encoder_cuts(load: Any, tiny_models: Any) -> None:
    folder = tiny_models.cross_encoder()
    scorer = await load(PairScorer, folder, precision="fp32")
    for query in ("dog " * 20, "dog " * 45, "the cat sees " * 90):
        texts = ["bird " * 80, "bird", "the red bird " * 12]
        scored = await scorer.score(query, texts)
        np.testing.assert_allclose(scored.scores, reference(folder, query, texts), atol=1e-4)


async def test_score_model_that_ranks_by_logits_lands_between_0_and_1(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    folder = tiny_models.cross_encoder(activation="Identity")
    scorer = await load(PairScorer, folder, precision="fp32")
    scores = (await scorer.score(QUERY, tiny_texts)).scores
    logits = reference(folder, QUERY, tiny_texts)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-4)


async def test_score_two_labels_give_the_second_ones_probability(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    folder = tiny_models.transformer("cross", 2)
    scorer = await load(PairScorer, folder, precision="fp32", runtime="torch")
    scores = (await scorer.score(QUERY, tiny_texts)).scores
    expected = reference(folder, QUERY, tiny_texts, apply_softmax=True)[:, 1]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


async def test_score_no_passages_gives_no_scores(load: Any, tiny_models: Any) -> None:
    scorer = await load(PairScorer, tiny_models.cross_encoder())
    scored = await scorer.score(QUERY, [])
    assert scored.scores.shape == (0,)


async def test_load_classifier_of_three_labels_is_refused(load: Any, tiny_models: Any) -> None:
    with pytest.raises(ModelUnsupported, match="has 3 labels: it classifies, it does not rank"):
        await load(PairScorer, tiny_models.transformer("cross", 3))


async def test_load_embedding_model_as_scorer_is_refused(load: Any, tiny_models: Any) -> None:
    with pytest.raises(ModelUnsupported, match="is a sentence embedding model, not a cross-encoder"):
        await load(PairScorer, tiny_models.sentence())
    with pytest.raises(ModelUnsupported, match="is a cross-encoder, not a sentence embedding model"):
        await load(TextEncoder, tiny_models.cross_encoder())


@pytest.mark.parametrize(
    ("first", "second"), [(3, 4), (3, 90), (90, 3), (40, 90), (90, 40), (61, 61), (30, 31), (0, 80)]
)
def test_pair_lengths_cut_as_the_tokenizers_library_cuts(tiny_models: Any, first: int, second: int) -> None:
    path = str(tiny_models.cross_encoder() / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.enable_truncation(64, strategy="longest_first")
    types = tokenizer.encode("cat " * first, "dog " * second).type_ids
    expected = (types.count(0) - 2, types.count(1) - 1)
    assert pair_lengths(first, second, 61) == expected


def _joined(folder: Path, query: str, texts: list[str]) -> list[NDArray[np.int32]]:
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json", max_tokens=1000)
    return [pair.ids for pair in tokenizer.encode_pairs(query, texts)]
