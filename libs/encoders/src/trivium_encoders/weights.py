"""Weights in a model's files: those of its linear layers, and whether its transformer has all that it takes."""

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def lacking_weights(loading_info: Mapping[str, Any], *, with_pooler: bool) -> str:
    """Names weights that a model's files lack; transformers fills them with random numbers and only logs it.

    It happens when a model was trained with code of its own, which names its weights differently.

    Args:
        loading_info: What transformers says of a loaded model, with `output_loading_info`.
        with_pooler: Whether BERT's pooler is used. It is for classification; token embeddings do without.

    Returns:
        A few of the names; empty when nothing is lacking.
    """
    missing = sorted(name for name in loading_info["missing_keys"] if with_pooler or not name.startswith("pooler."))
    return ", ".join(missing[:2]) + (f" and {len(missing) - 2} more" if len(missing) > 2 else "")


def read_tensors(path: Path, names: Set[str]) -> dict[str, NDArray[np.float32]]:
    """Those of some tensors that a safetensors file has, whatever their precision there.

    The library's own reader for numpy knows no bf16, in which some models are published.

    Raises:
        OSError, ValueError, KeyError: The file cannot be read, or is damaged.
    """
    found = {}
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("it is no safetensors file, or is cut off")
        entries: dict[str, Any] = json.loads(file.read(size))
        for name in names & entries.keys():
            entry = entries[name]
            begin, end = entry["data_offsets"]
            file.seek(8 + size + begin)
            numbers = np.frombuffer(file.read(end - begin), _NUMBERS[entry["dtype"]]).reshape(entry["shape"])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            found[name] = numbers.astype(np.float32)
    return found
