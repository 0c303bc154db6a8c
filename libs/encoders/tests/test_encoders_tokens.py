"""Late interaction: unit token vectors of any embedding model, own modules for a trained one."""

from typing import Any

import numpy as np
from trivium_encoders import Role, TextEncoder, TokenEncoder


async def test_encode_default_model_gives_unit_rows_without_special_tokens(load: Any) -> None:
    encoder = await load(TokenEncoder)
    text = "The cat reranks."
    encoded = await encoder.encode([text, "cat"])
    sentence, word = encoded.matrices
    assert sentence.token_ids.shape == (6,)  # the cat re ##rank ##s .
    assert encoded.token_counts == [8, 3]
    assert sentence.vectors.shape == (6, 384)
    assert word.token_ids[0] == sentence.token_ids[1]
    for matrix in encoded.matrices:
        np.testing.assert_allclose(np.linalg.norm(matrix.vectors, axis=1), 1, atol=1e-5)
    assert encoder.info.normalized


async def test_encode_token_vectors_are_those_of_the_text_encoder(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    """The text's vector of a CLS model is its first token's; here without linear layer, so both can be compared."""
    folder = tiny_models.transformer()
    tokens = await (await load(TokenEncoder, folder, precision="fp32")).encode(tiny_texts)
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    for text, matrix in zip(tiny_texts, tokens.matrices, strict=True):
        features = tokenizer([text], return_tensors="pt")
        expected = model(**features).last_hidden_state[0, 1:-1].detach().numpy()
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(matrix.vectors, expected, atol=1e-4)
        assert matrix.token_ids.tolist() == features["input_ids"][0, 1:-1].tolist()


async def test_encode_multi_vector_model_runs_its_own_modules(
    load: Any, tiny_models: Any, tiny_texts: list[str]
) -> None:
    folder = tiny_models.multi_vector()
    encoder = await load(TokenEncoder, folder)
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(folder), device="cpu")
    for role, encode in ((Role.QUERY, model.encode_query), (Role.DOCUMENT, model.encode_document)):
        encoded = await encoder.encode(tiny_texts, role=role)
        for matrix, expected in zip(encoded.matrices, encode(tiny_texts, show_progress_bar=False), strict=True):
            np.testing.assert_allclose(matrix.vectors, expected, atol=1e-4)
            assert len(matrix.token_ids) == len(matrix.vectors)
    skipped = (await encoder.encode(["cat . dog , bird"])).matrices[0]
    assert len(skipped.token_ids) == 5  # [CLS] cat dog bird [SEP]: its mask decides, and drops the punctuation
    assert encoder.info.runtime == "torch"


async def test_fingerprint_text_and_token_encoder_of_one_model_agree(load: Any) -> None:
    texts, tokens = await load(TextEncoder), await load(TokenEncoder)
    assert texts.info.fingerprint == tokens.info.fingerprint


async def test_encode_no_texts_gives_no_matrices(load: Any, tiny_models: Any) -> None:
    encoder = await load(TokenEncoder, tiny_models.transformer())
    assert (await encoder.encode([])).matrices == []
