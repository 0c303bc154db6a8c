"""Settings that a stack on this machine is started with, beside the environment: lines NAME=VALUE in a file."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "settings.env"
"""In the data folder."""

_LINE = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=(.*)")
_PLAIN = re.compile(r"[\w./:@+-]*", re.ASCII)


def read_settings(path: Path) -> dict[str, str]:
    """The settings in a file; none if there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {match[1]: _unquoted(match[2].strip()) for line in lines if (match := _LINE.fullmatch(line))}


def with_settings(environment: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """An environment with the settings of a data folder, where it does not say otherwise itself."""
    return read_settings(data_dir / FILE_NAME) | dict(environment)


def write_settings(path: Path, changes: Mapping[str, str | None]) -> None:
    """Sets some settings in a file, and takes away those that are None; every other line stays as it is.

    The file is replaced at once, and is for its owner alone, since keys stand in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not ((match := _LINE.fullmatch(line)) and match[1] in changes)]
    kept += [f"{name}={_quoted(value)}" for name, value in changes.items() if value is not None]
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # readable by nobody else
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in kept))
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _quoted(value: str) -> str:
    """As docker compose and shells read it."""
    return value if _PLAIN.fullmatch(value) else "'" + value.replace("'", "'\\''") + "'"


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].replace("'\\''", "'") if value[0] == "'" else value[1:-1]
    return value
