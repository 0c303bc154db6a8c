"""Where keys are kept: a database in the data folder of a gateway, or Redis for gateways on several machines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Protocol

from trivium_gateway.access.databases import Database, RedisDatabase
from trivium_gateway.access.keys import Key

if TYPE_CHECKING:
    from pathlib import Path

_UNUSABLE = "The keys cannot be read or kept now. The gateway's log says why."
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
    """Keys in a database of SQLite, a few kilobytes.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        table = "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, key TEXT NOT NULL)"
        self._database = Database(path, table, _UNUSABLE)

    async def all(self) -> list[Key]:
        """All keys."""
        rows = await asyncio.to_thread(self._database.execute, "SELECT key FROM keys")
        return [Key.from_json(json.loads(kept)) for (kept,) in rows]

    async def put(self, key: Key) -> None:
        """Keeps a key."""
        kept = json.dumps(key.as_json())
        await asyncio.to_thread(self._database.execute, "INSERT OR REPLACE INTO keys VALUES (?, ?)", key.id, kept)

    async def remove(self, key_id: str) -> None:
        """Forgets a key."""
        await asyncio.to_thread(self._database.execute, "DELETE FROM keys WHERE id = ?", key_id)

    async def close(self) -> None:
        """Holds nothing."""


class RedisKeyStore:
    """Keys in a hash of Redis, for gateways on several machines.

    Args:
        url: Where it is; see RedisDatabase.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, url: str) -> None:
        self._redis = RedisDatabase(url, _UNUSABLE)

    async def all(self) -> list[Key]:
        """All keys."""
        kept = await self._redis.answer(self._redis.commands.hvals(_REDIS_HASH))
        return [Key.from_json(json.loads(one)) for one in kept]

    async def put(self, key: Key) -> None:
        """Keeps a key."""
        await self._redis.answer(self._redis.commands.hset(_REDIS_HASH, key.id, json.dumps(key.as_json())))

    async def remove(self, key_id: str) -> None:
        """Forgets a key."""
        await self._redis.answer(self._redis.commands.hdel(_REDIS_HASH, key_id))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.close()
