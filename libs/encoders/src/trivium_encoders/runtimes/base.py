"""The contract of a runtime, and what all runtimes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.coding import Coding
from trivium_encoders.options import Role
from trivium_encoders.pooling import Head
from trivium_encoders.sparse_vectors import LexicalHead, SparseVector
from trivium_encoders.tokenization import TokenIds

LENGTH_MULTIPLE = 16
"""Batches are padded to a multiple of this many tokens: fewer shapes, for which kernels are prepared once."""


@dataclass(frozen=True, slots=True)
class Source:
    """What an input was made of, for models that only their own modules can run."""

    text: str
    """The text; the passage of a pair."""
    role: Role
    """What the text is for."""
    query: str = ""
    """The query of a pair."""
    truncate: bool = True
    """Whether it may be cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One input of the model: a text, or a pair."""

    tokens: TokenIds
    """As the model reads it."""
    source: Source
    """What it was made of."""
    prompt_tokens: int = 0
    """How many of the first tokens the pooling leaves out."""
    coding: Coding | None = None
    """How to pack the transformer's output beside the result; None to leave it."""
    parts: Sequence[NDArray[np.intp]] | None = None
    """The tokens of each part that gets a result of its own; None for a single result. A prompt's tokens that are left
    out are in none of them."""
    lexical: LexicalHead | None = None
    """Weighs the tokens by the transformer's output beside the result; None to leave it."""

    @property
    def length(self) -> int:
        """Tokens, special tokens included."""
        return len(self.tokens.ids)


@dataclass(frozen=True, slots=True, eq=False)
class ItemResult:
    """What was computed of one item, in memory of its own."""

    values: NDArray[np.float32]
    """What the head made of the transformer's output; of an item with parts a row for each."""
    codes: Sequence[bytes] = ()
    """The transformer's output as token codes, of an item with a coding: one, or one for each part."""
    sparse: SparseVector | None = None
    """The tokens' weights, of an item with a lexical head and of a learned sparse model."""


class Session(Protocol):
    """Computes one batch at a time; used by one thread only."""

    def run(self, items: Sequence[Item]) -> list[ItemResult]:
        """Computes a batch.

        Args:
            items: At least one.

        Returns:
            One result per item, in order.

        Raises:
            RuntimeError, ValueError: The batch could not be computed.
        """
        ...


class Runtime(Protocol):
    """A loaded model. Opens sessions that share its weights."""

    @property
    def name(self) -> str:
        """`openvino` or `torch`."""
        ...

    @property
    def precision(self) -> str:
        """`bf16`, `fp32` or `int8`."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a row of a session's results."""
        ...

    @property
    def budget_factor(self) -> int:
        """How many times a CPU core's token budget one batch should have."""
        ...

    @property
    def session_limit(self) -> int:
        """Most sessions that may work at once."""
        ...

    def open_session(self) -> Session:
        """Opens a session; thread-safe."""
        ...


@runtime_checkable
class ExpressRuntime(Runtime, Protocol):
    """A runtime that can compute short batches beside its sessions."""

    def open_express_session(self) -> Session:
        """Opens one more session, for short batches while all others are busy; thread-safe."""
        ...


def padded_length(length: int) -> int:
    """A length in tokens, rounded up as batches are."""
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def padded_inputs(items: Sequence[Item], pad_token_id: int) -> dict[str, NDArray[np.int64]]:
    """The arrays of a batch, each `[items, padded length]`: `input_ids`, `attention_mask` and `token_type_ids`."""
    shape = (len(items), padded_length(max(item.length for item in items)))
    ids = np.full(shape, pad_token_id, dtype=np.int64)
    mask, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, item in enumerate(items):
        ids[row, : item.length] = item.tokens.ids
        mask[row, : item.length - item.tokens.unseen] = 1
        if item.tokens.type_ids is not None:
            types[row, : item.length] = item.tokens.type_ids
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def unpadded(output: NDArray[np.float32], items: Sequence[Item]) -> list[NDArray[np.float32]]:
    """Views of each item's own part of an output `[items, padded length, hidden]` or `[items, labels]`."""
    if output.ndim == 3:
        return [output[row, : item.length] for row, item in enumerate(items)]
    return list(output)


def pooled(head: Head, outputs: Sequence[NDArray[np.float32]], items: Sequence[Item]) -> list[ItemResult]:
    """What a head makes of the outputs of some items, and the outputs themselves as codes where they are wanted."""
    texts = [part for output, item in zip(outputs, items, strict=True) for part in _parts(output, item)]
    return with_codes(head(texts, skipped(items)), outputs, items)


def rows(items: Sequence[Item]) -> tuple[NDArray[np.intp], list[int]]:
    """Of the outputs of some items, end to end, the rows of each text or part, and how many these are."""
    begins = np.cumsum([0, *(item.length for item in items)])
    places = [
        begin + place
        for begin, item in zip(begins, items, strict=False)
        for place in ([np.arange(item.length)] if item.parts is None else item.parts)
    ]
    return np.concatenate(places), list(map(len, places))


def skipped(items: Sequence[Item]) -> list[int]:
    """For each text or part that a head is given of some items, how many of its first tokens it leaves out."""
    return [
        left_out
        for item in items
        for left_out in ([item.prompt_tokens] if item.parts is None else [0] * len(item.parts))
    ]


def with_codes(
    values: Sequence[NDArray[np.float32]], outputs: Sequence[NDArray[np.float32]], items: Sequence[Item]
) -> list[ItemResult]:
    """The results of some items, given what a head made of each text or part, and the outputs of the items."""
    made = iter(values)
    return [
        ItemResult(
            next(made) if item.parts is None else np.stack([next(made) for _ in item.parts]),
            _codes(output, item),
            item.lexical(item.tokens, output) if item.lexical else None,
        )
        for output, item in zip(outputs, items, strict=True)
    ]


def _parts(output: NDArray[np.float32], item: Item) -> list[NDArray[np.float32]]:
    return [output] if item.parts is None else [output[part] for part in item.parts]


def _codes(output: NDArray[np.float32], item: Item) -> Sequence[bytes]:
    if item.coding is None:
        return ()
    places = [np.arange(len(output))] if item.parts is None else item.parts
    return [item.coding.code_output(item.tokens.only(place), output[place]) for place in places]
