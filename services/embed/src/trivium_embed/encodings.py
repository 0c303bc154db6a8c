"""Vectors in fewer bytes."""

import enum

import numpy as np
from numpy.typing import NDArray

_INT8_MOST = 127


class Encoding(enum.Enum):
    """Which numbers a vector is made of."""

    FLOAT32 = "float32"
    """Four bytes a number."""
    INT8 = "int8"
    """One byte a number, and a scale per vector."""
    BINARY = "binary"
    """One bit a number."""


def to_int8(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds each vector to steps of 1/127 of its largest number; a number is off by half a step at most.

    The scale is each vector's own, because the numbers of a unit vector of some hundred dimensions are all small: with
    one scale for the whole range from -1 to 1, few of the 255 values would occur.

    Args:
        vectors: `[texts, dimension]`.

    Returns:
        Numbers from -127 to 127 `[texts, dimension]`, and what to multiply those of each vector with `[texts]`.
    """
    scales = np.abs(vectors).max(axis=1) / _INT8_MOST
    scales[scales == 0] = 1  # a vector of zeros
    return np.rint(vectors / scales[:, np.newaxis]).astype(np.int8), scales.astype(np.float32)


def to_binary(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Keeps the signs alone, eight a byte: a bit is 1 where the number is above 0, the first is the highest.

    sentence-transformers and Cohere call this `ubinary`. Compare such vectors by the number of bits that differ.

    Args:
        vectors: `[texts, dimension]`; the dimension is a multiple of 8.

    Returns:
        `[texts, dimension / 8]`.
    """
    return np.packbits(vectors > 0, axis=1)
