"""A file as a move sees it: what a Qdrant has, kept to be moved into one again.

It is an SQLite database with the messages of Qdrant's gRPC API as they came, so that what an engine of another kind
does not know is lost only where it is moved there.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trivium_client._errors import FailedPrecondition, InvalidRequest
from trivium_client.moving.engine import library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from qdrant_client import grpc as qdrant

__all__ = ["SUFFIX", "Snapshot"]

SUFFIX = ".snapshot"
"""What its name ends in."""

_FORMAT = 0x54524956
"""What tells it from other databases (`PRAGMA application_id`); the version of its layout is `user_version`."""
_WRITING, _WHOLE = 1, 2
_TABLES = """
CREATE TABLE collections (name TEXT PRIMARY KEY, info BLOB NOT NULL);
CREATE TABLE aliases (alias TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE points (collection TEXT NOT NULL, id BLOB NOT NULL, point BLOB NOT NULL, PRIMARY KEY (collection, id));
CREATE TABLE states (state INTEGER NOT NULL);
"""


class Snapshot:
    """All of a Qdrant in one file. It has the methods of `Engine`.

    Args:
        path: The file.
        is_new: Whether it may be made, or gone on with; else it has to be there, and whole.

    Raises:
        InvalidRequest: It is not there or none of ours, or the package with Qdrant's messages is missing
            (EXTRA_MISSING).
        FailedPrecondition: What wrote it has not come to its end, or it cannot be opened (SNAPSHOT_UNUSABLE).
    """

    def __init__(self, path: Path, *, is_new: bool) -> None:
        self._qdrant = library()
        self.url = str(path)
        if not is_new and not path.is_file():
            raise InvalidRequest(
                f"{self.url!r} is neither a file nor an address: write http://HOST:PORT, where a Qdrant takes gRPC",
                field="url",
            )
        self._database = sqlite3.connect(path, check_same_thread=False)
        with self._told():
            (kind,) = self._database.execute("PRAGMA application_id").fetchone()
            if is_new and not kind and not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._database.executescript(f"PRAGMA application_id = {_FORMAT}; PRAGMA user_version = 1; {_TABLES}")
            elif kind != _FORMAT:
                raise InvalidRequest(
                    f"{self.url} was not written by `trivium move`. A snapshot of a Qdrant server is restored by that "
                    "server.",
                    field="url",
                )
            if is_new:
                self._say(_WRITING)
            elif self._database.execute("SELECT state FROM states").fetchone() != (_WHOLE,):
                raise self._unusable("it is not whole: run the command again that wrote it")

    def names(self) -> list[str]:
        """The names of its collections, in their order."""
        return [name for (name,) in self._rows("SELECT name FROM collections ORDER BY name")]

    def aliases(self) -> dict[str, str]:
        """Its aliases, and what they stand for."""
        return dict(self._rows("SELECT alias, name FROM aliases"))

    def describe(self, name: str) -> qdrant.CollectionInfo:
        """What a collection is made of."""
        ((info,),) = self._rows("SELECT info FROM collections WHERE name = ?", name)
        read: qdrant.CollectionInfo = self._qdrant.CollectionInfo.FromString(info)
        return read

    def count(self, name: str) -> int:
        """How many points a collection has."""
        ((count,),) = self._rows("SELECT count(*) FROM points WHERE collection = ?", name)
        return int(count)

    def page(self, name: str, offset: Any, limit: int) -> tuple[Sequence[qdrant.RetrievedPoint], Any]:
        """Some points, in the order of their ids; and where the next page is, None at the end."""
        query = "SELECT id, point FROM points WHERE collection = ? AND id > ? ORDER BY id LIMIT ?"
        rows = self._rows(query, name, offset or b"", limit)
        return self._read(point for _, point in rows), rows[-1][0] if len(rows) == limit else None

    def find(self, name: str, ids: Sequence[qdrant.PointId]) -> Sequence[qdrant.RetrievedPoint]:
        """Some points by their ids; those that are not there are missing."""
        marks = ",".join("?" * len(ids))
        query = f"SELECT point FROM points WHERE collection = ? AND id IN ({marks})"
        return self._read(point for (point,) in self._rows(query, name, *map(_bytes, ids)))

    def write(self, name: str, points: Sequence[qdrant.RetrievedPoint]) -> None:
        """Writes points; they are on the disk when this returns."""
        with self._told(), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO points VALUES (?, ?, ?)",
                [(name, _bytes(one.id), _bytes(one)) for one in points],
            )

    def make(self, name: str, info: qdrant.CollectionInfo) -> tuple[str, ...]:
        """Makes a collection like a Qdrant's, as far as it is not there; there is nothing that it cannot keep."""
        with self._told(), self._database:
            self._database.execute("INSERT OR IGNORE INTO collections VALUES (?, ?)", (name, _bytes(info)))
        return ()

    def note(self, name: str, metadata: Any) -> None:
        """Gives a collection the metadata of a Qdrant's."""
        info = self.describe(name)
        info.config.ClearField("metadata")
        for key, value in metadata.items():
            info.config.metadata[key].CopyFrom(value)
        with self._told(), self._database:
            self._database.execute("UPDATE collections SET info = ? WHERE name = ?", (_bytes(info), name))

    def alias(self, alias: str, name: str) -> None:
        """Has an alias stand for a collection."""
        with self._told(), self._database:
            self._database.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (alias, name))

    def end(self) -> None:
        """Says that all has come that was to come."""
        with self._told():
            self._say(_WHOLE)

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _say(self, state: int) -> None:
        with self._database:
            self._database.execute("DELETE FROM states")
            self._database.execute("INSERT INTO states VALUES (?)", (state,))

    def _read(self, points: Iterable[bytes]) -> list[qdrant.RetrievedPoint]:
        return [self._qdrant.RetrievedPoint.FromString(one) for one in points]

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._told():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, why: str) -> FailedPrecondition:
        return FailedPrecondition(f"{self.url} cannot be used: {why}", reason="SNAPSHOT_UNUSABLE")


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
