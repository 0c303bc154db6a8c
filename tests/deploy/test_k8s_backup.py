"""The nightly backup holds every collection, the aliases, what a gateway keeps, and counts only once it is whole."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from deploy.kubernetes_builds import FOLDER, named

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


def _back_up(server: ThreadingHTTPServer, folder: Path, kept: int = 7, **more: str) -> subprocess.CompletedProcess[str]:
    environ = more | {
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


def _rows(path: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.execute("SELECT * FROM t"))


def _fill(folder: Path) -> dict[str, bytes]:
    """Files as a gateway has them; those in the result belong into a backup."""
    kept = {"files/a/b/c.d.pdf": b"%PDF", "jobs/documents/5f": b"waits", "audit/audit-2026-01-01.jsonl": b"{}\n"}
    for name, content in (kept | {"files/a/b/.half": b"%P", "jobs/lock": b""}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return kept


def test_backup_holds_what_a_running_gateway_keeps_and_a_job_brings_it_back(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    kept = _fill(data / "gateway")
    with (
        closing(sqlite3.connect(data / "gateway/keys.sqlite")) as keys,
        closing(sqlite3.connect(data / "gateway/jobs/jobs.sqlite", isolation_level=None)) as jobs,
    ):
        keys.executescript("PRAGMA journal_mode = PERSIST; CREATE TABLE t (n); INSERT INTO t VALUES (1)")
        keys.commit()
        jobs.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (2)")
        assert (data / "gateway/jobs/jobs.sqlite-wal").stat().st_size > 0, "the row is only in what a copy would lack"
        jobs.execute("BEGIN IMMEDIATE")
        jobs.execute("INSERT INTO t VALUES (3)")  # as the gateway may be doing at the moment
        done = _back_up(server, backups, GATEWAY_DATA=str(data / "gateway"))
        jobs.execute("COMMIT")
    assert done.returncode == 0, done.stderr
    (backup,) = backups.iterdir()
    held = backup / "gateway"
    assert {str(one.relative_to(held)) for one in held.rglob("*") if one.is_file()} == {
        *kept, "keys.sqlite", "jobs/jobs.sqlite",
    }  # fmt: skip
    assert not [one for one in backup.rglob("*") if one.stat().st_mode & 0o077], "it holds documents and keys"

    lost = tmp_path / "new"
    lost.mkdir()
    (lost / "gateway").mkdir()
    (lost / "gateway/other").write_text("of before")
    (restore,) = yaml.safe_load_all((FOLDER / "restore-gateway.yaml").read_text())
    kubernetes_validate.validate(restore, "1.30", strict=True)
    container = restore["spec"]["template"]["spec"]["containers"][0]
    environ = {"BACKUPS": str(backups), "DATA": str(lost), "BACKUP": backup.name}
    assert environ.keys() == {one["name"] for one in container["env"]}
    for _ in range(2):  # again is as good as once
        subprocess.run(container["command"], env=os.environ | environ, check=True)

    assert {name: (lost / "gateway" / name).read_bytes() for name in kept} == kept
    assert _rows(lost / "gateway/keys.sqlite") == [(1,)]
    assert _rows(lost / "gateway/jobs/jobs.sqlite") == [(2,)]
    assert (lost / "gateway.before").is_dir()
    wrong = subprocess.run(container["command"], env=os.environ | environ | {"BACKUP": "no"}, check=False)
    assert wrong.returncode != 0
    assert _rows(lost / "gateway/keys.sqlite") == [(1,)], "a name that is wrong takes nothing away"


def test_backup_without_the_gateways_folder_fails_if_it_cannot_be_read(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/keys.sqlite").write_bytes(b"no database, but as long as one" * 100)

    done = _back_up(server, tmp_path / "backups", GATEWAY_DATA=str(tmp_path / "gateway"))

    assert done.returncode == 1
    assert "backup: failed" in done.stderr


def test_backup_runs_where_the_gateways_volume_is_and_restoring_uses_the_same_volumes() -> None:
    build = "base-backup-gateway"
    spec = named(build, "CronJob", "trivium-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    claims = {one["name"]: one.get("persistentVolumeClaim", {}).get("claimName") for one in spec["volumes"]}
    gateway = named(build, "Deployment", "trivium-gateway")["spec"]["template"]
    (rule,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"].items() <= gateway["metadata"]["labels"].items()
    assert claims["gateway"] in {
        one.get("persistentVolumeClaim", {}).get("claimName") for one in gateway["spec"]["volumes"]
    }
    mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
    environ = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
    assert environ["GATEWAY_DATA"] == f"{mounts['gateway']}/gateway"
    (restore,) = yaml.safe_load_all((FOLDER / "restore-gateway.yaml").read_text())
    pod = restore["spec"]["template"]["spec"]
    assert {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"]} == {
        claims["gateway"],
        claims["backups"],
    }
    assert pod["securityContext"] == spec["securityContext"]
    assert pod["containers"][0]["image"] == spec["containers"][0]["image"]
