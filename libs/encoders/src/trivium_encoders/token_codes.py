"""Token vectors in few bytes, to be kept beside a passage and compared with queries later (`code_matching`).

A code is self-contained. All numbers are little-endian:

| Bytes | What |
|---|---|
| 2 | `TC` |
| 1 | version of this layout: 1 |
| 1 | bits a number: 1, 4 or 8 |
| 2 | dimension d, unsigned |
| 1 | bytes of a token id: 2 or 4 |
| 1 | 0 |
| 4 | tokens n, unsigned |
| 16 | which model's token vectors these are: the beginning of its fingerprint (`EncoderInfo.token_fingerprint`) |
| n times 2 or 4 | the tokens' ids in the model's vocabulary, unsigned |
| n rows | the vectors, each of `ceil(d * bits / 8)` bytes |

A row of 1 bit a number has its signs: 1 where the number is above 0, the first number in the highest bit, as in
`numpy.packbits`. One of 8 has signed bytes from -127 to 127. One of 4 has numbers from -7 to 7, to which 8 is added:
the first half of them (rounded up) in the low halves of the bytes, the others in the high halves. No scale is kept,
since a token vector has unit length.
"""

import enum
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.errors import CodesOfOtherLayout, CodesUnreadable

VERSION = 1
"""Of the layout. Raise it when the layout changes or the numbers mean something else."""

_MAGIC = b"TC"
_HEADER = struct.Struct("<2sBBHBBI16s")
_LARGEST = {4: 7, 8: 127}


class CodeForm(enum.Enum):
    """How many bits a number has."""

    SIGNS = 1
    """Its sign alone."""
    NIBBLES = 4
    """One of 15 steps."""
    BYTES = 8
    """One of 255 steps."""


_FORMS = {form.value: form for form in CodeForm}


@dataclass(frozen=True, slots=True)
class TokenCodes:
    """The tokens of one text, read from a code; its arrays are views of the code's bytes."""

    form: CodeForm
    """Bits a number."""
    model: bytes
    """Which model's vectors they are, 16 bytes."""
    dimension: int
    """Numbers per vector."""
    token_ids: NDArray[np.uint16] | NDArray[np.uint32]
    """`[tokens]`, ids in the model's vocabulary."""
    rows: NDArray[np.uint8]
    """`[tokens, bytes of a row]`."""


def model_key(token_fingerprint: str) -> bytes:
    """What a code names its model by, of the model's fingerprint in hexadecimal digits."""
    return bytes.fromhex(token_fingerprint[:32])


def encode(
    token_ids: NDArray[np.int32], vectors: NDArray[np.float32], *, form: CodeForm, token_fingerprint: str
) -> bytes:
    """Packs the tokens of one text.

    Args:
        token_ids: `[tokens]`, ids in the model's vocabulary.
        vectors: `[tokens, dimension]`, rows of any length: only their direction is kept.
        form: Bits a number.
        token_fingerprint: The model's, in hexadecimal digits.
    """
    tokens, dimension = vectors.shape
    id_type = np.dtype("<u2" if tokens == 0 or token_ids.max() < 1 << 16 else "<u4")
    header = _HEADER.pack(
        _MAGIC, VERSION, form.value, dimension, id_type.itemsize, 0, tokens, model_key(token_fingerprint)
    )
    return header + token_ids.astype(id_type).tobytes() + _packed(vectors, form).tobytes()


def decode(code: bytes) -> TokenCodes:
    """Reads a code, which may come from anywhere.

    Raises:
        CodesOfOtherLayout: It has a layout that this version does not know.
        CodesUnreadable: It is none, or it is damaged.
    """
    if len(code) < _HEADER.size:
        raise CodesUnreadable(f"token codes have {len(code)} bytes, fewer than their header's {_HEADER.size}")
    magic, version, bits, dimension, id_bytes, zero, tokens, model = _HEADER.unpack_from(code)
    if magic != _MAGIC:
        raise CodesUnreadable("token codes do not begin with TC: these bytes are something else")
    if version != VERSION:
        raise CodesOfOtherLayout(f"token codes have layout {version}, and this version reads layout {VERSION}")
    form = _FORMS.get(bits)
    if form is None or id_bytes not in (2, 4) or zero or not dimension:
        raise CodesUnreadable(f"token codes say {bits} bits a number, {id_bytes} bytes an id, {dimension} numbers")
    row_bytes = -(-dimension * bits // 8)
    expected = _HEADER.size + tokens * (id_bytes + row_bytes)
    if len(code) != expected:
        raise CodesUnreadable(f"token codes have {len(code)} bytes, and should have {expected} for {tokens} tokens")
    ids = np.frombuffer(code, f"<u{id_bytes}", tokens, _HEADER.size)
    rows = np.frombuffer(code, np.uint8, tokens * row_bytes, _HEADER.size + ids.nbytes)
    return TokenCodes(form, model, dimension, ids, rows.reshape(tokens, row_bytes))


def _packed(vectors: NDArray[np.float32], form: CodeForm) -> NDArray[np.uint8]:
    if form is CodeForm.SIGNS:
        return np.packbits(vectors > 0, axis=1)
    largest = _LARGEST[form.value]
    peaks = np.abs(vectors).max(axis=1, initial=0, keepdims=True)
    steps = np.rint(vectors * (largest / np.where(peaks > 0, peaks, 1))).astype(np.int8)
    if form is CodeForm.BYTES:
        return steps.view(np.uint8)
    half = -(-vectors.shape[1] // 2)
    nibbles = np.full((len(vectors), 2 * half), 8, np.uint8)
    nibbles[:, : vectors.shape[1]] = steps + 8
    packed: NDArray[np.uint8] = nibbles[:, :half] | nibbles[:, half:] << 4
    return packed
