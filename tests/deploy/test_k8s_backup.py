"""The nightly backup holds every collection and the aliases, and never counts before it is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from deploy.kubernetes_builds import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = FOLDER / "components/backup/backup.py"
ALIASES = {"aliases": [{"alias_name": "default", "collection_name": "default@1"}]}


class _Snapshots(BaseHTTPRequestHandler):
    """The part of Qdrant's API for snapshots, which the embedded engine does not have."""

    def _answer(self, body: bytes) -> None:
        self.server.asked.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        key = self.headers.get("api-key")
        broken = self.server.broken  # type: ignore[attr-defined]
        self.send_response(401 if key != "secret" else 500 if broken and broken in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _result(self, result: Any) -> None:
        self._answer(json.dumps({"result": result, "status": "ok", "time": 0.1}).encode())

    def do_GET(self) -> None:
        if self.path == "/aliases":
            self._result(ALIASES)
        elif self.path == "/collections":
            self._result({"collections": [{"name": "default@1"}, {"name": "a b"}]})
        else:
            self._answer(b"points of " + self.path.split("/")[2].encode())

    def do_POST(self) -> None:
        self._result({"name": "made.snapshot"})

    def do_DELETE(self) -> None:
        self._result(True)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Snapshots)
    server.asked, server.broken = [], ""  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _back_up(server: ThreadingHTTPServer, folder: Path, kept: int = 7) -> subprocess.CompletedProcess[str]:
    environ = {
        "QDRANT_URLS": f"http://127.0.0.1:{server.server_port},http://localhost:{server.server_port}",
        "QDRANT_API_KEY": "secret",
        "BACKUPS": str(folder),
        "BACKUPS_KEPT": str(kept),
    }
    return subprocess.run(
        [sys.executable, SCRIPT], env=os.environ | environ, capture_output=True, text=True, check=False
    )


def test_backup_holds_each_collection_of_each_node_and_the_aliases(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    done = _back_up(server, tmp_path)

    assert done.returncode == 0, done.stderr
    (backup,) = tmp_path.iterdir()
    for node in ("127.0.0.1", "localhost"):
        assert json.loads((backup / node / "aliases.json").read_text()) == {"result": ALIASES}
        assert (backup / node / "default@1.snapshot").read_bytes() == b"points of default%401"
        assert (backup / node / "a b.snapshot").read_bytes() == b"points of a%20b"
    asked = server.asked  # type: ignore[attr-defined]
    left = sum(each.startswith("POST") for each in asked) - sum(each.startswith("DELETE") for each in asked)
    assert left == 0, "snapshots stay on Qdrant's own disk"


def test_backup_that_fails_leaves_the_earlier_ones_and_says_so(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    earlier = tmp_path / "2026-01-01T02-17-00Z"
    earlier.mkdir()
    (tmp_path / "2026-01-02T02-17-00Z.unfinished").mkdir()
    server.broken = "/a%20b/"  # type: ignore[attr-defined]

    done = _back_up(server, tmp_path, kept=1)

    assert done.returncode == 1
    assert "backup: failed" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".unfinished")] == [earlier.name]
    server.broken = ""  # type: ignore[attr-defined]
    assert _back_up(server, tmp_path, kept=1).returncode == 0
    (only,) = tmp_path.iterdir()
    assert only.name > earlier.name
