"""Backs up Qdrant servers: a snapshot of each collection of each node, and the aliases by which Trivium finds them.

Where GATEWAY_DATA names it, what a gateway keeps is in the backup, too. A backup is a folder named by its time (UTC),
and has that name only once everything is in it. docs/kubernetes.md says how to restore one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import sqlite3
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any

_UNFINISHED = ".unfinished"
_BESIDE_DATABASES = ("-wal", "-shm", "-journal")  # what SQLite keeps beside one: a copy is whole without
_TIMEOUT_SECONDS = 3600  # a snapshot of a large collection is made before anything comes


class Node:
    """A node of Qdrant.

    Args:
        url: Its address.
        key: Its API key; empty if it asks for none.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.name = urllib.parse.urlsplit(url).hostname or "qdrant"
        self._headers = {"api-key": key} if key else {}
        self._tls = ssl.create_default_context(cafile=os.environ.get("QDRANT_CA") or None)

    def open(self, path: str, method: str = "GET") -> IO[bytes]:
        """Asks for a path; the answer is read by the caller."""
        request = urllib.request.Request(self.url + path, method=method, headers=self._headers)
        answer: IO[bytes] = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS, context=self._tls)
        return answer

    def result(self, path: str, method: str = "GET") -> Any:
        """What Qdrant answers, without its envelope."""
        with self.open(path, method) as answer:
            return json.load(answer)["result"]


def back_up(node: Node, into: Path) -> None:
    """Writes the aliases of a node and a snapshot of each of its collections; the snapshots on the node itself go."""
    into.mkdir(parents=True)
    aliases = {"result": node.result("/aliases")}
    (into / "aliases.json").write_text(json.dumps(aliases), encoding="utf-8")
    for collection in node.result("/collections")["collections"]:
        name = collection["name"]
        snapshots = f"/collections/{urllib.parse.quote(name, safe='')}/snapshots"
        made = node.result(f"{snapshots}?wait=true", "POST")["name"]
        try:
            with node.open(f"{snapshots}/{made}") as content, (into / f"{name}.snapshot").open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(urllib.error.URLError):
                node.result(f"{snapshots}/{made}?wait=true", "DELETE")
        print(f"backup: {node.name}: {name}, {(into / f'{name}.snapshot').stat().st_size:,} bytes", flush=True)


def back_up_gateway(data: Path, into: Path) -> None:
    """Copies what a running gateway keeps: databases as of one moment each, and files that are whole."""
    files = [path for path in _files(data) if not path.name.startswith(".") and path.name != "lock"]
    # Databases first: a document that a job has finished since is in Qdrant, whose snapshots are made later.
    for path in sorted(files, key=lambda path: path.suffix != ".sqlite"):
        if path.name.endswith(_BESIDE_DATABASES):
            continue
        to = into / path.relative_to(data)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".sqlite":
            _copy_database(path, to)
        else:
            with contextlib.suppress(FileNotFoundError):  # deleted since
                shutil.copyfile(path, to)
    print(f"backup: gateway: {sum(path.stat().st_size for path in _files(into)):,} bytes", flush=True)


def _files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a folder of a collection that is deleted meanwhile
            raise error

    return [Path(where, name) for where, _, names in os.walk(folder, onerror=fail) for name in names]


def _copy_database(path: Path, to: Path) -> None:
    address = f"file:{urllib.parse.quote(str(path))}?mode=rw"  # never made anew; what WAL needs is written beside it
    with (
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=60)) as database,
        contextlib.closing(sqlite3.connect(to)) as copy,
    ):
        database.backup(copy)


def keep_newest(folder: Path, count: int) -> None:
    """Deletes all whole backups but the newest, and what earlier runs left unfinished."""
    whole = sorted(path for path in folder.glob("20*Z") if path.is_dir())
    for path in (*whole[:-count], *folder.glob(f"20*Z{_UNFINISHED}")):
        shutil.rmtree(path)


def main() -> int:
    """Makes one backup; returns the exit status."""
    os.umask(0o077)  # it holds documents and keys
    folder = Path(os.environ.get("BACKUPS", "/backups"))
    nodes = [Node(url, os.environ.get("QDRANT_API_KEY", "")) for url in os.environ["QDRANT_URLS"].split(",")]
    done = folder / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H-%M-%SZ}"
    unfinished = done.with_name(done.name + _UNFINISHED)
    kept_count = int(os.environ.get("BACKUPS_KEPT", "7"))
    keep_newest(folder, kept_count)  # first, for the room
    try:
        if data := os.environ.get("GATEWAY_DATA"):
            back_up_gateway(Path(data), unfinished / "gateway")
        for node in nodes:
            back_up(node, unfinished / node.name)
    except (OSError, ValueError, KeyError, sqlite3.Error) as error:
        print(f"backup: failed, and the last one stays the newest: {error}", file=sys.stderr)
        return 1
    unfinished.rename(done)
    keep_newest(folder, kept_count)
    print(f"backup: {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
