"""What a gateway keeps by itself: in a database in its data folder, or in Redis for gateways on several machines."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import StorageFull, Unavailable

from trivium_gateway.access.private_files import open_private

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence
    from pathlib import Path

_BUSY_SECONDS = 5.0
_KEPT_JOURNAL = "PRAGMA journal_mode = PERSIST;"
"""What a change may have to take back is written over what was there before: so a key can be revoked on a full disk,
which has nothing for a new file."""
_REDIS_SECONDS = 5.0
_REDIS_DISK_IS_FULL = "MISCONF"


class Database:
    """A database of SQLite: read and written in a millisecond, and durable. Several processes may open it.

    Args:
        path: Its file. The folder is made, and both are for the owner only.
        tables: The SQL that makes its tables where there are none.
        unusable: What to say if it cannot be read or written.
    """

    def __init__(self, path: Path, tables: str, unusable: str) -> None:
        self._path = path
        self._tables = tables
        self._unusable = unusable

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Does one statement, and commits it. It waits for the disk: call it in a thread.

        Raises:
            StorageFull: The disk has no room for it.
            Unavailable: It cannot be done.
        """
        with self._open() as database:
            return list(database.execute(statement, values))

    def execute_many(self, *statements: tuple[str, Iterable[Sequence[Any]]]) -> None:
        """Does each statement with each of its rows of values, all of them or nothing. It waits for the disk.

        Raises:
            StorageFull: The disk has no room for it.
            Unavailable: It cannot be done.
        """
        with self._open() as database:
            for statement, rows in statements:
                database.executemany(statement, rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database for one change, which is committed at the end of the block."""
        try:
            with suppress(FileExistsError):  # opened by anybody but SQLite, it would lose SQLite's locks
                os.close(open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as database, database:
                database.executescript(_KEPT_JOURNAL + self._tables)
                yield database
        except (OSError, sqlite3.Error) as error:
            cause = f"{self._path}: {error}"
            if is_full(error):
                raise StorageFull(f"{self._unusable} The gateway's data folder has no room: make some there.").because(
                    cause
                ) from error
            raise Unavailable(self._unusable).because(cause) from error


def is_full(error: Exception) -> bool:
    """Whether the disk has no room, by an error of it or of SQLite's."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


class RedisDatabase:
    """Redis, which must write what it is told (`appendonly yes`).

    Args:
        url: As redis-py takes it, `redis://HOST:PORT/0`, or `rediss` for TLS.
        unusable: What to say if it cannot be read or written.
        answer_seconds: How long to wait for an answer, and for a connection.

    Raises:
        ValueError: The url is none.
    """

    def __init__(self, url: str, unusable: str, answer_seconds: float = _REDIS_SECONDS) -> None:
        # Not above: what it imports takes memory and time, and few gateways need it.
        from redis.asyncio import Redis

        self._unusable = unusable
        try:
            self.commands = Redis.from_url(url, socket_timeout=answer_seconds, socket_connect_timeout=answer_seconds)
        except ValueError:  # its words may hold the password
            raise ValueError(
                "TRIVIUM_GATEWAY_REDIS_URL does not read redis://HOST:PORT/0, or rediss:// for TLS"
            ) from None

    async def answer(self, command: Awaitable[Any]) -> Any:
        """What Redis answers to a command.

        Raises:
            StorageFull: It has no room, and has done nothing.
            Unavailable: It does not.
        """
        from redis.exceptions import OutOfMemoryError, RedisError

        try:
            return await command
        except (RedisError, OSError) as error:
            cause = f"Redis: {error}"
            if isinstance(error, OutOfMemoryError) or str(error).startswith(_REDIS_DISK_IS_FULL):
                raise StorageFull(f"{self._unusable} Redis has no room: make some there.").because(cause) from error
            raise Unavailable(self._unusable).because(cause) from error

    async def close(self) -> None:
        """Closes the connections."""
        await self.commands.aclose()
