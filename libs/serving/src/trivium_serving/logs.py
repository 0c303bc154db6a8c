"""Logs on standard error, one line per event, as text or JSON, each with the request's id.

Texts of documents and questions, and secrets, are never logged.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

from trivium_serving.request_context import request_id

_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("text", "json")


def configure_logging(service: str) -> None:
    """Sends the process's logs to standard error.

    TRIVIUM_LOG_LEVEL (debug, info, warning, error; default info) and TRIVIUM_LOG_FORMAT (text, json; default text)
    decide how.

    Raises:
        ValueError: One of them has another value.
    """
    level = _choice("TRIVIUM_LOG_LEVEL", "info", _LEVELS)
    formatter: logging.Formatter = (
        _JsonFormatter(service) if _choice("TRIVIUM_LOG_FORMAT", "text", _FORMATS) == "json" else _TextFormatter()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _choice(variable: str, default: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(variable, default).lower()
    if value not in choices:
        raise ValueError(f"{variable} is {value!r}; it must be one of {', '.join(choices)}")
    return value


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        current = request_id()
        line = f"{moment} {record.levelname.lower():7} {record.getMessage()}" + (
            f" request_id={current}" if current else ""
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id():
            entry["request_id"] = current
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
