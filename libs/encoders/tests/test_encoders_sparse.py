"""Learned sparse vectors against `SparseEncoder` of sentence-transformers and BGE-M3's formulas, on tiny models."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_services.sparse_models import Kind, write_sparse_model
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer
from trivium_encoders import (
    CodeForm,
    ModelDamaged,
    ModelUnsupported,
    Role,
    SparseTextEncoder,
    SparseVector,
    TextEncoder,
    TokenEncoder,
    code_vectors,
    decode_codes,
)
from trivium_encoders.torch_files import read_state

Models = Callable[[Kind], Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Writes a model the first time it is asked for."""
    return functools.cache(lambda kind: write_sparse_model(kind, tmp_path_factory.mktemp(kind)))


def _dense(vectors: list[SparseVector], width: int) -> NDArray[np.float32]:
    rows = np.zeros((len(vectors), width), np.float32)
    for row, vector in zip(rows, vectors, strict=True):
        assert (np.diff(vector.indices.astype(int)) > 0).all()
        assert (vector.values > 0).all()
        row[vector.indices] = vector.values
    return rows


@pytest.mark.parametrize("kind", ["splade", "doc"])
async def test_sparse_model_gives_vectors_of_sentence_transformers(
    models: Models, load: Any, tiny_texts: list[str], kind: Kind
) -> None:
    from sentence_transformers import SparseEncoder

    reference = SparseEncoder(str(models(kind)), device="cpu")
    encoder = await load(SparseTextEncoder, models(kind))
    for role, encode in ((Role.QUERY, reference.encode_query), (Role.DOCUMENT, reference.encode_document)):
        expected = encode(tiny_texts, convert_to_sparse_tensor=False).numpy()
        encoded = await encoder.encode(tiny_texts, role=role)
        np.testing.assert_allclose(_dense(encoded.vectors, expected.shape[1]), expected, atol=1e-5)
        assert (expected > 0).any(axis=1).all()
    assert len(encoder.info.sparse_fingerprint) == 64


async def test_query_with_a_table_needs_no_forward_pass(models: Models, load: Any) -> None:
    encoder = await load(SparseTextEncoder, models("doc"))

    async def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a forward pass")

    encoder._engine.batcher.run = never
    assert len((await encoder.encode(["the cat sees"], role=Role.QUERY)).vectors) == 1
    with pytest.raises(AssertionError, match="a forward pass"):
        await encoder.encode(["the cat sees"], role=Role.DOCUMENT)


async def test_three_outputs_of_one_pass_are_bge_m3s(models: Models, load: Any, tiny_texts: list[str]) -> None:
    folder = models("m3")
    encoder = await load(TextEncoder, folder, precision="fp32")
    encoded = await encoder.encode(tiny_texts, codes=CodeForm.BYTES, sparse=True)
    matrices = (await (await load(TokenEncoder, folder, precision="fp32")).encode(tiny_texts)).matrices
    tokenizer, module = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    lexical, token = (torch.load(folder / f"{name}_linear.pt") for name in ("sparse", "colbert"))
    unused = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
    assert encoded.sparse is not None
    assert encoded.token_codes is not None
    for index, text in enumerate(tiny_texts):
        features = tokenizer(text, return_tensors="pt")
        ids = features["input_ids"][0].tolist()
        with torch.no_grad():
            hidden = module(**features).last_hidden_state[0]
        unit = torch.nn.functional.normalize(hidden[0], dim=0)
        np.testing.assert_allclose(encoded.vectors[index], unit, atol=1e-4)
        weights = torch.relu(hidden @ lexical["weight"].float().T + lexical["bias"].float())[:, 0].tolist()
        expected: dict[int, float] = {}
        for number, weight in zip(ids, weights, strict=True):
            if number not in unused and weight > 0:
                expected[number] = max(weight, expected.get(number, 0))
        sparse = encoded.sparse[index]
        found = dict(zip(sparse.indices.tolist(), sparse.values.tolist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-4)
        rows = torch.nn.functional.normalize(hidden @ token["weight"].T + token["bias"], dim=1)
        words = [place for place, number in enumerate(ids) if number not in unused - {tokenizer.unk_token_id}]
        np.testing.assert_allclose(matrices[index].vectors, rows[words], atol=1e-4)
        code = decode_codes(encoded.token_codes[index])
        kept = [place for place in words if ids[place] in code.token_ids]
        cosines = torch.cosine_similarity(torch.from_numpy(code_vectors(code).copy()), rows[kept])
        assert cosines.min() > 0.999
    assert encoder.info.sparse_fingerprint != encoder.info.token_fingerprint
    assert (await encoder.encode(["dog"])).sparse is None


async def test_models_of_other_kinds_are_told_apart(models: Models, load: Any, tiny_models: Any) -> None:
    with pytest.raises(ModelUnsupported, match="is a learned sparse model, not a sentence embedding model"):
        await load(TextEncoder, models("splade"))
    with pytest.raises(ModelUnsupported, match="is a sentence embedding model, not a learned sparse model"):
        await load(SparseTextEncoder, tiny_models.sentence())
    plain = await load(TextEncoder, tiny_models.sentence())
    assert not plain.info.sparse_fingerprint
    assert (await plain.encode(["dog"], sparse=True)).sparse is None


def test_heaviest_terms_stay_in_order() -> None:
    vector = SparseVector(np.array([3, 5, 9], np.uint32), np.array([0.5, 2, 1], np.float32))
    assert vector.heaviest(2).indices.tolist() == [5, 9]
    assert vector.heaviest(3) is vector


@pytest.mark.parametrize("content", [b"", b"no archive", {"weight": print}])
async def test_damaged_or_hostile_layer_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "sparse_linear.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match="is no state dict"):
        read_state(path)


async def test_model_with_a_damaged_layer_is_not_loaded(models: Models, load: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(models("m3"), tmp_path / "damaged")
    (folder / "sparse_linear.pt").write_bytes(b"no archive")
    with pytest.raises(ModelDamaged, match="fetch the model again"):
        await load(TextEncoder, folder)
