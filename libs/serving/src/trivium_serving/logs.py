"""Logs on standard error, one line per event and per request, as text or JSON, each with the ids of request and trace.

Texts of documents, questions and answers are never logged, and secrets are cut out of every line.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from trivium_serving import tracing
from trivium_serving.errors import TriviumError, cause_of, status_of
from trivium_serving.redaction import redacted
from trivium_serving.request_context import request_id, tenant

_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("text", "json")
_FIELDS = "trivium_fields"


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


def log_request(logger: logging.Logger, method: str, code: str, seconds: float, *, quiet: bool) -> None:
    """Logs one request that has ended.

    Args:
        logger: Of the module that served it.
        method: What was asked for: the name of an RPC, or an HTTP method and its route.
        code: How it ended.
        seconds: How long it took.
        quiet: Whether it is asked so often, and says so little, that only `debug` shows it.
    """
    level = logging.DEBUG if quiet else logging.INFO
    if logger.isEnabledFor(level):
        fields = {"method": method, "code": code, "duration_ms": round(seconds * 1000, 3)}
        logger.log(level, "%s %s %.1f ms", method, code, seconds * 1000, extra={_FIELDS: fields})


def log_failure(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Logs what the one who is told of an error does not learn: its cause, or that something broke in here.

    What is nobody's fault but the caller's has no cause, and leaves no line.

    Args:
        logger: Of the module that tells the caller.
        what: What failed, for example a method and its path.
        error: What went wrong.
    """
    if not isinstance(error, TriviumError) or status_of(error).http_status == 500:
        logger.error("%s broke", what, exc_info=error)
    elif cause := cause_of(error):
        logger.warning("%s failed with %s: %s", what, error.reason, cause)


def _ids() -> dict[str, str]:
    ids = {"request_id": request_id(), "trace_id": tracing.current().trace_id, "tenant": tenant()}
    return {name: value for name, value in ids.items() if value}


def _choice(variable: str, default: str, choices: tuple[str, ...]) -> str:
    value = (os.environ.get(variable) or default).lower()
    if value not in choices:
        raise ValueError(f"{variable} is {value!r}; it must be one of {', '.join(choices)}")
    return value


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        ids = "".join(f" {name}={value}" for name, value in _ids().items() if name != "tenant")
        line = f"{moment} {record.levelname.lower():7} {record.getMessage()}{ids}"
        return redacted(f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line)


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        entry |= _ids()
        entry |= getattr(record, _FIELDS, {})
        if record.exc_info:
            entry["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)
