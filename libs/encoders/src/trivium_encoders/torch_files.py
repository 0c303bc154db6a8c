"""Reads the numbers in a file of torch's own format without torch, and without running what such a file may hold.

The file is a zip archive with a pickle that says which tensors there are, and one entry for the numbers of each. A
pickle may call any function, so all but the few names that a plain state dict is made of are refused.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2", "DoubleStorage": "<f8"}


def read_state(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a state dict by their names, whatever their precision there.

    Raises:
        OSError, ValueError, KeyError: The file cannot be read, is damaged, or is more than a state dict.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            [entry] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(entry) as file:
                state = _StateReader(file, archive, entry.removesuffix("data.pkl")).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, TypeError, AttributeError, IndexError, EOFError) as error:
        raise ValueError(f"{path.name} is no state dict of torch: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise ValueError(f"{path.name} has more than tensors")
    return dict(state)


class _StateReader(pickle.Unpickler):
    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _NUMBERS:
            return name
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[np.float32]:
        _, kind, key, _, _ = pid
        numbers = np.frombuffer(self._archive.read(f"{self._root}data/{key}"), _NUMBERS[kind])
        if kind == "BFloat16Storage":  # the upper half of a float32
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers.astype(np.float32)


def _tensor(storage: NDArray[np.float32], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    count = int(np.prod(size))
    if stride != tuple(int(np.prod(size[place + 1 :])) for place in range(len(size))):
        raise pickle.UnpicklingError("a tensor in it is not contiguous")
    return storage[offset : offset + count].reshape(size)
