"""Where keys are kept: a database in the data folder of a gateway, or Redis for gateways on several machines."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from trivium_serving.errors import Unavailable

from trivium_gateway.access.keys import Key

if TYPE_CHECKING:
    from pathlib import Path

_UNUSABLE = "The keys cannot be read or kept now. The gateway's log says why."
_BUSY_SECONDS = 5.0
_REDIS_SECONDS = 5.0
_REDIS_HASH = "trivium-keys"


class KeyStore(Protocol):
    """Keeps keys. What it has said to be kept survives a crash."""

    async def all(self) -> list[Key]:
        """All keys.

        Raises:
            Unavailable: They cannot be read.
        """

    async def put(self, key: Key) -> None:
        """Keeps a key, in place of one of its id.

        Raises:
            Unavailable: It cannot be kept.
        """

    async def remove(self, key_id: str) -> None:
        """Forgets a key, if there is one.

        Raises:
            Unavailable: That cannot be kept.
        """

    async def close(self) -> None:
        """Gives back what it holds."""


class FileKeyStore:
    """Keys in a database of SQLite: a few kilobytes, read and written in a millisecond. Several processes may open it.

    Args:
        path: Its file. The folder is made, and both are for the owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def all(self) -> list[Key]:
        """All keys."""
        rows = await asyncio.to_thread(self._execute, "SELECT key FROM keys")
        return [Key.from_json(json.loads(kept)) for (kept,) in rows]

    async def put(self, key: Key) -> None:
        """Keeps a key."""
        kept = json.dumps(key.as_json())
        await asyncio.to_thread(self._execute, "INSERT OR REPLACE INTO keys VALUES (?, ?)", key.id, kept)

    async def remove(self, key_id: str) -> None:
        """Forgets a key."""
        await asyncio.to_thread(self._execute, "DELETE FROM keys WHERE id = ?", key_id)

    async def close(self) -> None:
        """Holds nothing."""

    def _execute(self, statement: str, *values: str) -> list[tuple[str]]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._path.exists():
                self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, key TEXT NOT NULL)")
                return list(database.execute(statement, values))
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(_UNUSABLE).because(f"{self._path}: {error}") from error


class RedisKeyStore:
    """Keys in a hash of Redis, for gateways on several machines. Redis must write what it is told (`appendonly yes`).

    Args:
        url: As redis-py takes it, `redis://HOST:PORT/0`, or `rediss` for TLS.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, url: str) -> None:
        # Not above: what it imports takes memory and time, and few gateways need it.
        from redis.asyncio import Redis

        try:
            self._redis = Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
        except ValueError:  # its words may hold the password
            raise ValueError(
                "TRIVIUM_GATEWAY_REDIS_URL does not read redis://HOST:PORT/0, or rediss:// for TLS"
            ) from None

    async def all(self) -> list[Key]:
        """All keys."""
        kept = await self._asked(self._redis.hvals(_REDIS_HASH))
        return [Key.from_json(json.loads(one)) for one in kept]

    async def put(self, key: Key) -> None:
        """Keeps a key."""
        await self._asked(self._redis.hset(_REDIS_HASH, key.id, json.dumps(key.as_json())))

    async def remove(self, key_id: str) -> None:
        """Forgets a key."""
        await self._asked(self._redis.hdel(_REDIS_HASH, key_id))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def _asked(self, answer: Any) -> Any:
        from redis.exceptions import RedisError

        try:
            return await answer
        except (RedisError, OSError) as error:
            raise Unavailable(_UNUSABLE).because(f"Redis: {error}") from error
