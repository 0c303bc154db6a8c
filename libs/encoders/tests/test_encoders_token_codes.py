"""Token vectors in few bytes: what goes in comes out, queries find what they found, and hostile bytes are refused."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from trivium_encoders import (
    CodeForm,
    CodesUnreadable,
    Role,
    TextEncoder,
    TokenEncoder,
    best_matches,
    code_vectors,
    decode_codes,
)
from trivium_encoders.token_codes import encode

FINGERPRINT = "0123456789abcdef" * 4
TEXTS = [
    "The warranty lasts two years from the day of purchase.",
    "Cats sleep for most of the day, and hunt at dusk!",
    "...",
    "one",
]


def _vectors(tokens: int, dimension: int = 48, seed: int = 1) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(tokens, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _code(vectors: NDArray[np.float32], form: CodeForm, first_id: int = 0) -> bytes:
    ids = np.arange(first_id, first_id + len(vectors), dtype=np.int32)
    return encode(ids, vectors, form=form, token_fingerprint=FINGERPRINT)


@pytest.mark.parametrize("dimension", [384, 21])
@pytest.mark.parametrize("first_id", [0, 200_000])
@pytest.mark.parametrize("form", list(CodeForm))
def test_decode_an_encoded_text_gives_its_ids_form_and_model(form: CodeForm, first_id: int, dimension: int) -> None:
    code = _code(_vectors(7, dimension), form, first_id)
    codes = decode_codes(code)
    assert codes.token_ids.tolist() == list(range(first_id, first_id + 7))
    assert (codes.form, codes.dimension, codes.model.hex()) == (form, dimension, FINGERPRINT[:32])
    id_bytes = 4 if first_id else 2
    assert len(code) == 28 + 7 * (id_bytes + -(-dimension * form.value // 8))


@pytest.mark.parametrize("dimension", [384, 21])
@pytest.mark.parametrize(("form", "tolerance"), [(CodeForm.NIBBLES, 0.07), (CodeForm.BYTES, 0.004)])
def test_code_vectors_are_what_was_packed(form: CodeForm, tolerance: float, dimension: int) -> None:
    vectors = _vectors(3000, dimension)
    found = code_vectors(decode_codes(_code(vectors, form)))
    np.testing.assert_allclose(found, vectors, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_code_vectors_of_signs_and_of_nothing_have_the_right_shape() -> None:
    vectors = _vectors(5, 21)
    found = code_vectors(decode_codes(_code(vectors, CodeForm.SIGNS)))
    assert np.array_equal(found > 0, vectors > 0)
    assert code_vectors(decode_codes(_code(vectors[:0], CodeForm.BYTES))).shape == (0, 21)


@pytest.mark.parametrize("dimension", [384, 21])
@pytest.mark.parametrize(
    ("form", "tolerance"), [(CodeForm.SIGNS, 0.25), (CodeForm.NIBBLES, 0.05), (CodeForm.BYTES, 0.01)]
)
def test_best_matches_of_any_form_are_on_the_scale_of_the_cosine(
    form: CodeForm, tolerance: float, dimension: int
) -> None:
    query = _vectors(5, dimension, seed=2)
    # Each passage has the query's tokens more or less blurred, so that there are cosines from near 0 to 1.
    passages = []
    for blur in np.linspace(0, 3, 12):
        mixed = query + blur * _vectors(5, dimension, seed=int(blur * 100) + 3)
        passages.append(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))
    exact = np.stack([(query @ passage.T).max(axis=1) for passage in passages])
    found = best_matches(query, [decode_codes(_code(passage, form)) for passage in passages])
    wide = tolerance * (2 if dimension < 64 else 1)  # a sign says little where there are few of them
    np.testing.assert_allclose(found, exact, atol=wide)
    assert abs(float((found - exact).mean())) < wide / 4


def test_best_matches_of_passages_of_all_forms_do_not_depend_on_their_company() -> None:
    query = _vectors(4)
    passages = [
        decode_codes(_code(_vectors(tokens, seed=tokens), form))
        for tokens, form in ((900, CodeForm.SIGNS), (0, CodeForm.SIGNS), (3, CodeForm.BYTES), (40, CodeForm.NIBBLES))
    ] + [decode_codes(_code(_vectors(17_000, seed=5), CodeForm.SIGNS))]  # more than are unpacked at a time
    together = best_matches(query, passages)
    alone = np.concatenate([best_matches(query, [passage]) for passage in passages])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert (together[1] == -1).all()
    assert best_matches(query, []).shape == (0, 4)
    assert best_matches(query[:0], passages).shape == (5, 0)


@pytest.mark.parametrize("form", list(CodeForm))
def test_encode_a_vector_of_zeros_matches_nothing_and_is_no_number_that_spreads(form: CodeForm) -> None:
    zeros = np.zeros((2, 48), np.float32)
    assert np.isfinite(best_matches(_vectors(3), [decode_codes(_code(zeros, form))])).all()


def _damaged(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "magic": b"TC",
        "version": 1,
        "bits": 1,
        "dimension": 16,
        "id_bytes": 2,
        "zero": 0,
        "tokens": 3,
        "model": b"m" * 16,
        "rest": bytes(3 * (2 + 2)),
    }
    fields |= changes
    *header, rest = fields.values()
    return struct.pack("<2sBBHBBI16s", *header) + bytes(rest)


def test_decode_the_layout_as_it_is_written_down_is_read() -> None:
    assert len(decode_codes(_damaged()).rows) == 3
    assert len(decode_codes(_damaged(tokens=0, rest=b"")).rows) == 0


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"TC",
        _damaged()[:27],
        _damaged(magic=b"CT"),
        _damaged(version=0),
        _damaged(version=2),
        _damaged(bits=0),
        _damaged(bits=2),
        _damaged(dimension=0),
        _damaged(id_bytes=0),
        _damaged(id_bytes=3),
        _damaged(zero=1),
        _damaged(tokens=2),
        _damaged(tokens=0xFFFFFFFF),
        _damaged(dimension=0xFFFF),
        _damaged(rest=bytes(11)),
        _damaged(rest=bytes(13)),
    ],
)
def test_decode_hostile_bytes_are_refused_in_words(code: bytes) -> None:
    with pytest.raises(CodesUnreadable, match="token codes"):
        decode_codes(code)


def test_decode_random_bytes_are_refused_or_read_without_harm() -> None:
    random = np.random.default_rng(7)
    whole = bytearray(_code(_vectors(9), CodeForm.NIBBLES))
    for _ in range(2000):
        changed = bytearray(whole)
        for place in random.integers(0, len(changed), 3):
            changed[place] = int(random.integers(256))
        try:
            codes = decode_codes(bytes(changed))
        except CodesUnreadable:
            continue
        assert np.isfinite(best_matches(_vectors(2, codes.dimension), [codes])).all()


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
async def test_encode_with_codes_gives_those_of_the_token_encoder_beside_the_same_vectors(
    load: Any, runtime: str
) -> None:
    texts, tokens = await load(TextEncoder, runtime=runtime), await load(TokenEncoder, runtime=runtime)
    plain = await texts.encode(TEXTS)
    coded = await texts.encode(TEXTS, codes=CodeForm.BYTES)
    assert plain.token_codes is None
    np.testing.assert_allclose(coded.vectors, plain.vectors, atol=1e-6)

    coding = tokens.coding(CodeForm.BYTES)
    for matrix, code in zip((await tokens.encode(TEXTS)).matrices, coded.token_codes, strict=True):
        found, expected = decode_codes(code), decode_codes(coding.code(matrix.token_ids, matrix.vectors))
        assert found.token_ids.tolist() == expected.token_ids.tolist()
        assert found.model == expected.model
        steps = found.rows.view(np.int8).astype(int) - expected.rows.view(np.int8)
        assert np.abs(steps).max() <= 2


async def test_encode_with_codes_leaves_out_punctuation_and_special_tokens(load: Any) -> None:
    texts, tokens = await load(TextEncoder), await load(TokenEncoder)
    codes = [decode_codes(code) for code in (await texts.encode(TEXTS, codes=CodeForm.SIGNS)).token_codes]
    matrices = (await tokens.encode(TEXTS)).matrices
    assert [len(matrix.token_ids) - len(code.token_ids) for matrix, code in zip(matrices, codes, strict=True)] == [
        1,  # the full stop
        2,  # comma and exclamation mark
        0,  # there is nothing else
        0,
    ]
    question = tokens.telling((await tokens.encode(["How long is the warranty?"], role=Role.QUERY)).matrices[0])
    assert best_matches(question.vectors, codes).mean(axis=1).argmax() == 0


async def test_token_fingerprint_is_that_of_the_tokens_whatever_pools_them(load: Any, tiny_models: Any) -> None:
    folder = tiny_models.sentence("mean")  # with a linear layer after the pooling
    texts, tokens = await load(TextEncoder, folder), await load(TokenEncoder, folder)
    assert texts.info.fingerprint != tokens.info.fingerprint
    assert texts.info.token_fingerprint == tokens.info.token_fingerprint != ""
    other = await load(TextEncoder, folder, max_length=12)
    assert other.info.token_fingerprint != texts.info.token_fingerprint


async def test_encode_with_codes_model_that_runs_with_its_own_modules_has_none(load: Any, tiny_models: Any) -> None:
    encoder = await load(TextEncoder, tiny_models.with_layer_norm())
    assert encoder.info.token_fingerprint == ""
    assert (await encoder.encode(["dog"], codes=CodeForm.SIGNS)).token_codes is None


async def test_encode_with_codes_of_a_wider_transformer_have_its_width(load: Any, tiny_models: Any) -> None:
    encoder = await load(TextEncoder, tiny_models.sentence("mean"))
    encoded = await encoder.encode(["the cat sees a small bird.", "dog"], codes=CodeForm.SIGNS)
    assert encoded.vectors.shape[1] == 16
    assert {decode_codes(code).dimension for code in encoded.token_codes} == {32}
