"""Prometheus, started as compose starts it, shows Qdrant the key that it asks for."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from e2e.stack import wait_until
from ports import free_port
from telemetry.prometheus import Prometheus, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
FILE = "/tmp/qdrant-api-key"


@contextmanager
def _qdrant(key: str) -> Iterator[str]:
    """Serves metrics at an address as a Qdrant server does: to those who show its key, or to all if it has none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not key or self.headers["authorization"] == f"Bearer {key}"
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(b"collections_total 1\n" if allowed else b"Must provide an API key")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _prometheus(folder: Path, target: str, environment: dict[str, str]) -> Iterator[Prometheus]:
    """Runs the command of compose, with its job for Qdrant alone, and its file in another place."""
    tool("prometheus")
    interpreter, script = COMPOSE["prometheus"]["entrypoint"]
    start = ROOT / "deploy/prometheus" / Path(script).name
    (folder / "start.sh").write_text(start.read_text().replace(FILE, str(folder / "key")))
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    config = yaml.safe_load(text.replace(FILE, str(folder / "key")).replace("qdrant:6333", target))
    config["global"]["scrape_interval"] = "1s"
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "qdrant"]
    del config["rule_files"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    process = subprocess.Popen(
        [interpreter, str(folder / "start.sh"), *flags, f"--web.listen-address={address}"],
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize(
    ("key", "environment"),
    [
        ("", {}),
        ("", {"QDRANT_API_KEY": ""}),
        ("all", {"QDRANT_API_KEY": "all"}),
        ("reads", {"QDRANT_API_KEY": "all", "QDRANT__SERVICE__READ_ONLY_API_KEY": "reads"}),
    ],
)
def test_prometheus_of_compose_gets_metrics_of_a_qdrant_with_this_key(
    key: str, environment: dict[str, str], tmp_path: Path
) -> None:
    assert environment.keys() <= set(COMPOSE["prometheus"]["environment"])
    with _qdrant(key) as target, _prometheus(tmp_path, target, environment) as prometheus:
        wait_until(prometheus.ready, "Prometheus", 30)
        wait_until(lambda: bool(prometheus.query("collections_total == 1")), "Qdrant's metrics", 30)
        assert prometheus.scrape_errors() == []
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
