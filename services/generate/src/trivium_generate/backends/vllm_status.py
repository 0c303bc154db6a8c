"""What an engine process is doing while it starts, and what it failed of: told to the service through a file."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STATUS_FILE_VARIABLE = "TRIVIUM_GENERATE_ENGINE_STATUS_FILE"

_MAX_CHARS = 300


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What an engine process said last.

    Attributes:
        message: The first line of what it logged last.
        error: The first line of the exception that ended it; empty if none did.
        error_kinds: Names of that exception's classes, the nearest first.
    """

    message: str = ""
    error: str = ""
    error_kinds: tuple[str, ...] = ()


class StatusHandler(logging.Handler):
    """Writes what an engine process logs into the file, the last message over the one before.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(logging.INFO)
        self._path = Path(path)
        self._error: dict[str, object] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not self._error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            self._error = {"error": _first_line(f"{type(error).__name__}: {error}"), "error_kinds": kinds}
        text = json.dumps({"message": _first_line(record.getMessage()), **self._error})
        with suppress(OSError):  # the service is gone, or on another host
            self._path.write_text(text, encoding="utf-8")


def read_status(path: Path) -> EngineStatus:
    """What the engine's processes have told; empty before they have told anything."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not yet written, or being written
        return EngineStatus()
    return EngineStatus(told["message"], told.get("error", ""), tuple(told.get("error_kinds", ())))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:_MAX_CHARS]
