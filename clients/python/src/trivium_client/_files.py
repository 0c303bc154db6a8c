"""Files on this machine: which are taken, what stands beside them, and what is none though it has a name."""

import json
import stat
from pathlib import Path
from typing import Any

from trivium_formats import known_endings

FILE_ENDINGS = frozenset(known_endings())
"""What is taken from folders. A file that is named itself is taken whatever its ending."""
SIDECAR_ENDING = ".metadata.json"
"""Beside a file, of the same name and this: facts about it, as a JSON object."""


class Unreadable(Exception):
    """A source that gives no document; says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def special_kind(path: Path) -> str | None:
    """What a path names that is no file, and might never end if it were read; None if it is a file, or not there."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # which reading it will say
    return next((kind for is_kind, kind in _SPECIAL_KINDS if is_kind(mode)), None)


_SPECIAL_KINDS = (
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def is_sidecar(path: Path) -> bool:
    """Whether a file says something about another one beside it, and is no document."""
    return path.name.endswith(SIDECAR_ENDING) and Path(str(path).removesuffix(SIDECAR_ENDING)).exists()


def sidecar_of(path: Path) -> dict[str, Any]:
    """Read what `manual.pdf.metadata.json` says about `manual.pdf`, an object; nothing if it is not there.

    Raises:
        Unreadable: It cannot be read.
        OSError: The same.
    """
    sidecar = Path(f"{path}{SIDECAR_ENDING}")
    return facts_from(sidecar.name, sidecar.read_bytes()) if sidecar.is_file() else {}


def facts_from(name: str, content: bytes) -> dict[str, Any]:
    """Read the content of a sidecar.

    Raises:
        Unreadable: It is no JSON object.
    """
    try:
        facts = json.loads(content)
    except ValueError as error:
        raise Unreadable("INVALID_JSON", f"{name} is not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise Unreadable("INVALID_JSON", f"{name} is not a JSON object")
    return facts
