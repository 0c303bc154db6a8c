"""Records that a gateway keeps by itself: in a file of its data folder, or in Redis for several gateways."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol

from trivium_gateway.access.databases import Database, RedisDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TABLE = (
    "CREATE TABLE IF NOT EXISTS records "
    "(owner TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (owner, name))"
)
_SIZE = """
local records, size = redis.call('HVALS', KEYS[1]), 0
for _, record in ipairs(records) do size = size + #record end
return {#records, size}
"""
_EARLIER = {
    "keys": "INSERT OR IGNORE INTO records SELECT '', id, key FROM keys",
    "feedback": "INSERT OR IGNORE INTO records SELECT tenant, request_id || ' ' || user, feedback FROM feedback",
}
"""Tables of files from before there were records, one for each kind, and what makes records of their rows."""


class Records(Protocol):
    """Keeps objects of JSON by an owner and a name. What it has said to be kept survives a crash."""

    async def all(self, owner: str) -> list[dict[str, Any]]:
        """All of an owner's, in no order.

        Raises:
            Unavailable: They cannot be read.
        """

    async def size(self, owner: str) -> tuple[int, int]:
        """How many an owner has, and how many bytes of JSON they are.

        Raises:
            Unavailable: They cannot be read.
        """

    async def put(self, owner: str, name: str, record: Mapping[str, Any]) -> None:
        """Keeps a record, in place of the owner's one of this name.

        Raises:
            Unavailable: It cannot be kept.
        """

    async def remove(self, owner: str, name: str) -> None:
        """Forgets a record, if there is one.

        Raises:
            Unavailable: That cannot be kept.
        """

    async def close(self) -> None:
        """Gives back what it holds."""


def open_records(path: Path, redis_url: str, redis_hash: str, unusable: str) -> Records:
    """Opens records in Redis, if there is one, else in a file.

    Args:
        path: The file.
        redis_url: Where Redis is; see RedisDatabase. Empty for none.
        redis_hash: What the names of their hashes begin with there.
        unusable: What to say if they cannot be read or kept.

    Raises:
        ValueError: The url is none.
    """
    return RedisRecords(redis_url, redis_hash, unusable) if redis_url else FileRecords(path, unusable)


class FileRecords:
    """Records in a database of SQLite.

    Args:
        path: Its file.
        unusable: What to say if they cannot be read or kept.
    """

    def __init__(self, path: Path, unusable: str) -> None:
        self._database = Database(path, _TABLE, unusable)
        self._has_adopted = False

    async def all(self, owner: str) -> list[dict[str, Any]]:
        """All of an owner's."""
        rows = await self._execute("SELECT record FROM records WHERE owner = ?", owner)
        return await asyncio.to_thread(_objects, [record for (record,) in rows])

    async def size(self, owner: str) -> tuple[int, int]:
        """How many an owner has, and how many bytes they are."""
        statement = "SELECT count(*), coalesce(sum(length(record)), 0) FROM records WHERE owner = ?"
        ((count, size_bytes),) = await self._execute(statement, owner)
        return int(count), int(size_bytes)

    async def put(self, owner: str, name: str, record: Mapping[str, Any]) -> None:
        """Keeps a record."""
        await self._execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", owner, name, json.dumps(record))

    async def remove(self, owner: str, name: str) -> None:
        """Forgets a record."""
        await self._execute("DELETE FROM records WHERE owner = ? AND name = ?", owner, name)

    async def close(self) -> None:
        """Holds nothing."""

    async def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        def execute() -> list[tuple[Any, ...]]:
            if not self._has_adopted:
                self._adopt_earlier()
                self._has_adopted = True
            return self._database.execute(statement, *values)

        return await asyncio.to_thread(execute)

    def _adopt_earlier(self) -> None:
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in tables & _EARLIER.keys():
            self._database.execute_many((_EARLIER[table], [()]), (f"DELETE FROM {table}", [()]))


class RedisRecords:
    """Records in a hash of Redis for each owner.

    Args:
        url: Where it is; see RedisDatabase.
        hash_name: What the hashes' names begin with, before the owner.
        unusable: What to say if they cannot be read or kept.

    Raises:
        ValueError: The url is none.
    """

    def __init__(self, url: str, hash_name: str, unusable: str) -> None:
        self._redis = RedisDatabase(url, unusable)
        self._hash_name = hash_name
        self._size = self._redis.commands.register_script(_SIZE)

    async def all(self, owner: str) -> list[dict[str, Any]]:
        """All of an owner's."""
        kept = await self._redis.answer(self._redis.commands.hvals(self._hash_name + owner))
        return await asyncio.to_thread(_objects, kept)

    async def size(self, owner: str) -> tuple[int, int]:
        """How many an owner has, and how many bytes they are."""
        count, size_bytes = await self._redis.answer(self._size(keys=[self._hash_name + owner]))
        return int(count), int(size_bytes)

    async def put(self, owner: str, name: str, record: Mapping[str, Any]) -> None:
        """Keeps a record."""
        await self._redis.answer(self._redis.commands.hset(self._hash_name + owner, name, json.dumps(record)))

    async def remove(self, owner: str, name: str) -> None:
        """Forgets a record."""
        await self._redis.answer(self._redis.commands.hdel(self._hash_name + owner, name))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.close()


def _objects(kept: Sequence[str | bytes]) -> list[dict[str, Any]]:
    return [json.loads(one) for one in kept]
