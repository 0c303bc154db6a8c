"""Reads the JSON files of a model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trivium_encoders.errors import ModelDamaged


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file.

    Raises:
        ModelDamaged: It cannot be read, or is not JSON.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDamaged(f"{path} cannot be read as JSON ({error}); fetch the model again") from error
    return content


def first_json(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """The content of the first of some files that exists; empty when none does."""
    return next((read_json(folder / name) for name in names if (folder / name).is_file()), {})


def read_modules(folder: Path) -> list[dict[str, str]]:
    """The entries of modules.json, with the bare class name as `type`; empty when there is no such file."""
    if not (folder / "modules.json").is_file():
        return []
    entries: Any = read_json(folder / "modules.json")
    return [
        {"path": entry["path"], "type": entry["type"].rpartition(".")[2], "class": entry["type"]} for entry in entries
    ]
