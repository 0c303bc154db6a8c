"""How well each token of a query is met by the best token of a passage, over token codes: the inside of MaxSim."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.token_codes import CodeForm, TokenCodes

_BLOCK_BYTES = 3 << 19
"""Of the numbers that are unpacked at a time: they stay in the cache of a core from unpacking to product."""

_SIGNS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1

_SIGNS_SHORTFALL = math.sqrt(2 / math.pi)
"""What the cosine of a vector and its signs is near to, for numbers that are normally distributed: by so much are
products with signs smaller than with the vector."""


def best_matches(query: NDArray[np.float32], passages: Sequence[TokenCodes]) -> NDArray[np.float32]:
    """The cosine of each token of a query with the nearest token of each passage.

    With signs it is an estimate, on the scale of the cosine.

    Args:
        query: `[query tokens, dimension]`, rows of unit length.
        passages: Of the query's dimension, each in any form.

    Returns:
        `[passages, query tokens]`, in [-1, 1]. A passage without tokens has -1.
    """
    best = np.full((len(passages), len(query)), -1, np.float32)
    for form in CodeForm:
        chosen = [index for index, passage in enumerate(passages) if passage.form is form and len(passage.rows)]
        if chosen:
            rows = [passages[index].rows for index in chosen]
            starts = np.cumsum([0, *map(len, rows[:-1])])
            products = _products(query, np.concatenate(rows), form)
            best[chosen] = np.maximum.reduceat(products, starts, axis=1).T
    return np.clip(best, -1, 1)


def code_vectors(codes: TokenCodes) -> NDArray[np.float32]:
    """The vectors of a code's tokens, `[tokens, dimension]`, rows of unit length: of signs the directions of these."""
    width = codes.rows.shape[1] * 8 // codes.form.value
    blocks = [numbers.copy() for _, numbers in _unpacked(codes.rows, width, codes.form)]
    vectors = np.concatenate([np.empty((0, width), np.float32), *blocks])[:, : codes.dimension]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, 1e-12))


def _products(query: NDArray[np.float32], rows: NDArray[np.uint8], form: CodeForm) -> NDArray[np.float32]:
    """`[query tokens, tokens]`."""
    width = rows.shape[1] * 8 // form.value
    padded = np.zeros((len(query), width), np.float32)  # what is unpacked of whole bytes may be longer than a vector
    padded[:, : query.shape[1]] = query
    if form is CodeForm.SIGNS:
        padded /= math.sqrt(query.shape[1]) * _SIGNS_SHORTFALL
    products = np.empty((len(query), len(rows)), np.float32)
    for start, numbers in _unpacked(rows, width, form):
        block = products[:, start : start + len(numbers)]
        np.matmul(padded, numbers.T, out=block)
        if form is not CodeForm.SIGNS:
            lengths = np.sqrt(np.einsum("ij,ij->i", numbers, numbers))
            block /= np.maximum(lengths, 1)
    return products


def _unpacked(rows: NDArray[np.uint8], width: int, form: CodeForm) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The numbers of some rows at a time, `[rows, width]` in memory that the next ones take, and where they begin."""
    at_a_time = max(1, _BLOCK_BYTES // (4 * width))
    buffer = np.empty((min(at_a_time, len(rows)), width), np.float32)
    for start in range(0, len(rows), at_a_time):
        block = rows[start : start + at_a_time]
        numbers = buffer[: len(block)]
        if form is CodeForm.SIGNS:
            # One byte is eight numbers in a table. The mode says that nothing has to be checked: a byte is in it.
            np.take(_SIGNS_OF_BYTE, block.ravel(), axis=0, out=numbers.reshape(-1, 8), mode="clip")
        elif form is CodeForm.NIBBLES:
            numbers[:, : width // 2] = block & 15
            numbers[:, width // 2 :] = block >> 4
            numbers -= 8
        else:
            numbers[:] = block.view(np.int8)
        yield start, numbers
