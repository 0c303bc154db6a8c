"""Secrets stay out of the log, of settings that are shown, and of what a wrong address is answered with."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from trivium_serving import logs
from trivium_serving.errors import Unavailable, cause_of
from trivium_serving.redaction import redacted
from trivium_serving.settings import load_settings, setting
from trivium_serving.tracing import configure_tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class _Settings:
    api_key: str = setting("", "Key of the API.", secret=True)


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process of a service writes."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setenv("TRIVIUM_LOG_FORMAT", request.param)
    logs.configure_logging("test")
    yield written
    root.handlers[:], root.level = before[0], before[1]


def test_secret_of_a_setting_is_in_no_line_of_the_log(log: io.StringIO) -> None:
    key = "kx-4711-hunter2-0815"
    settings = load_settings(
        _Settings, prefix="TRIVIUM_X_", program="x", description="", argv=[], environ={"TRIVIUM_X_API_KEY": key}
    )
    logger = logging.getLogger("library")

    logger.warning("POST with %s failed, headers %s", key, {"x": key})
    try:
        raise RuntimeError(f"the server refuses {settings.api_key}")
    except RuntimeError:
        logger.exception("broke")

    assert settings.api_key == key
    assert "broke" in log.getvalue()
    assert "hunter2" not in log.getvalue()
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to http://user:hunter2@10.0.0.7:6333/x",
        "headers {'Authorization': 'Bearer hunter2hunter2'}",
        "api-key: hunter2",
        '{"api_key": "hunter2", "model": "m"}',
        "https://api.example.com/v1?api_key=hunter2&x=1",
    ],
)
def test_text_of_others_loses_its_secrets_and_nothing_else(text: str) -> None:
    shown = redacted(text)

    assert "hunter2" not in shown
    assert "***" in shown
    assert [word for word in ("10.0.0.7", "headers", "model", "x=1") if word in text] == [
        word for word in ("10.0.0.7", "headers", "model", "x=1") if word in shown
    ]


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "GET http://127.0.0.1:6333/collections 200: 5 tokens, mail@example.com"

    assert redacted(text) == text


def test_failure_logs_the_cause_of_the_error_that_it_was_raised_from(log: io.StringIO) -> None:
    inner = Unavailable("It is down.").because("peer said no route to 10.0.0.7")
    outer = Unavailable("Nothing can be searched.")
    outer.__cause__ = inner

    logs.log_failure(logging.getLogger("x"), "POST /v1/answer", outer)

    assert cause_of(outer) == "peer said no route to 10.0.0.7"
    assert "POST /v1/answer failed with UNAVAILABLE: peer said no route" in log.getvalue()


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_collectors_address_with_credentials_is_refused_unrepeated(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://user:hunter2@collector:4317")

    with pytest.raises(ValueError, match=variable) as refused:
        configure_tracing("test")

    assert "hunter2" not in str(refused.value)


def test_lines_of_json_stay_json_when_a_secret_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, 'said {"api_key": "hunter2"}', None, None)

    entry = json.loads(logs._JsonFormatter("test").format(record))

    assert "hunter2" not in entry["message"]
