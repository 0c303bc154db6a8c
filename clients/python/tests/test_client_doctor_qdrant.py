"""What the doctor finds out about a Qdrant server with keys, of which `/` tells nothing."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from trivium_client.doctor import qdrant
from trivium_client.doctor.findings import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, READ_ONLY_KEY = "key-that-may-write", "key-that-may-read"


@contextmanager
def _server(version: str = "1.19.1", *, with_keys: bool = True) -> Iterator[tuple[str, list[str]]]:
    """A server that asks for keys where Qdrant does: not for `/`. Gives its address, and what was deleted."""
    deleted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self._answer(200, {"title": "qdrant - vector search engine", "version": version})
            elif self._may(KEY, READ_ONLY_KEY):
                self._answer(200, {"result": {"collections": []}})

        def do_DELETE(self) -> None:
            if self._may(KEY):
                deleted.append(self.path)
                self._answer(200, {"result": False})

        def _may(self, *keys: str) -> bool:
            key = self.headers.get("api-key", "")
            if not with_keys or key in keys:
                return True
            known = key in (KEY, READ_ONLY_KEY)
            self._answer(403 if known else 401, {"status": {"error": "Forbidden"}})
            return False

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", deleted
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("key", "level", "said"),
    [
        ("", Level.PROBLEM, "asks for an API key"),
        ("another", Level.PROBLEM, "refuses the API key"),
        (READ_ONLY_KEY, Level.PROBLEM, "questions work, ingestion fails"),
        (KEY, Level.OK, "1.19.1"),
    ],
)
def test_key_is_judged_by_what_it_lets_one_do(key: str, level: Level, said: str) -> None:
    with _server() as (url, _):
        port = url.rpartition(":")[2]
        finding = qdrant.judge_qdrant(qdrant.ask_qdrant(url, port, key, None), "1.20.0")

    assert finding.level is level
    assert said in f"{finding.text} {finding.advice}"
    assert not key or key not in finding.text


def test_server_without_keys_is_asked_and_loses_nothing() -> None:
    with _server(with_keys=False) as (url, deleted):
        finding = qdrant.judge_qdrant(qdrant.ask_qdrant(url, url.rpartition(":")[2], "", None), "1.20.0")

    assert finding.level is Level.OK
    assert all(path.startswith("/collections/trivium-doctor-") for path in deleted)


def test_server_that_is_too_old_is_a_problem() -> None:
    with _server("1.18.2") as (url, _):
        finding = qdrant.judge_qdrant(qdrant.ask_qdrant(url, url.rpartition(":")[2], KEY, None), "1.20.0")

    assert finding.level is Level.PROBLEM
    assert "1.18.2" in finding.text
    assert f"update the server to {qdrant.LEAST_VERSION}" in finding.advice


@pytest.mark.parametrize("url", ["http://user:hunter2@127.0.0.1:6333", "http://127.0.0.1:6333/qdrant"])
def test_address_that_the_gateway_would_not_take_is_a_problem(url: str) -> None:
    finding = qdrant.judge_qdrant(qdrant.ask_qdrant(url, "6334", "", None), "1.20.0")

    assert finding.level is Level.PROBLEM
    assert "hunter2" not in f"{finding.text} {finding.advice}"
