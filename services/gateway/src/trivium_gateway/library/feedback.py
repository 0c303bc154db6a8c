"""What people say of answers, and where that is kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trivium_gateway.access.databases import Database, RedisDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNUSABLE = "Feedback cannot be read or kept now. The gateway's log says why."
_REDIS_HASH = "trivium-feedback:"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What someone says of an answer, with all that is needed to make a labelled question of it.

    Attributes:
        request_id: The request that it is about.
        user: Who says it; empty if nobody is named.
        created_at: When, in seconds since 1970.
        rating: 1 for right, -1 for wrong.
        comment: What they say of it.
        answer: The right answer, in their words; may be empty.
        document_ids: The documents that answer the question, if they name them.
        question: What was asked.
        collection: Where.
        given_answer: What was answered; empty where that was not known any more.
        cited_document_ids: The documents that the answer cited.
        refused: Whether the answer was a refusal.
    """

    request_id: str
    user: str
    created_at: float
    rating: int
    comment: str
    answer: str
    document_ids: tuple[str, ...]
    question: str
    collection: str
    given_answer: str
    cited_document_ids: tuple[str, ...]
    refused: bool

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Feedback:
        """Reads what `asdict` gives, as JSON."""
        lists = {name: tuple(kept[name]) for name in ("document_ids", "cited_document_ids")}
        return cls(**{**kept, **lists})


class FeedbackStore(Protocol):
    """Keeps the feedback of tenants. What it has said to be kept survives a crash."""

    async def all(self, tenant: str) -> list[Feedback]:
        """All of a tenant's, the oldest first.

        Raises:
            Unavailable: It cannot be read.
        """

    async def count(self, tenant: str) -> int:
        """How much a tenant has.

        Raises:
            Unavailable: It cannot be read.
        """

    async def put(self, tenant: str, feedback: Feedback) -> None:
        """Keeps feedback, in place of what the same user said of the same request.

        Raises:
            Unavailable: It cannot be kept.
        """

    async def remove(self, tenant: str, request_id: str, user: str) -> None:
        """Forgets what a user said of a request, if they did.

        Raises:
            Unavailable: That cannot be kept.
        """

    async def close(self) -> None:
        """Gives back what it holds."""


class FileFeedbackStore:
    """Feedback in a database of SQLite.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        columns = "tenant TEXT, request_id TEXT, user TEXT, feedback TEXT NOT NULL"
        table = f"CREATE TABLE IF NOT EXISTS feedback ({columns}, PRIMARY KEY (tenant, request_id, user))"
        self._database = Database(path, table, _UNUSABLE)

    async def all(self, tenant: str) -> list[Feedback]:
        """All of a tenant's, the oldest first."""
        return await asyncio.to_thread(self._read, tenant)

    async def count(self, tenant: str) -> int:
        """How much a tenant has."""
        statement = "SELECT count(*) FROM feedback WHERE tenant = ?"
        ((count,),) = await asyncio.to_thread(self._database.execute, statement, tenant)
        return int(count)

    async def put(self, tenant: str, feedback: Feedback) -> None:
        """Keeps feedback."""
        values = (tenant, feedback.request_id, feedback.user, json.dumps(asdict(feedback)))
        statement = "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?)"
        await asyncio.to_thread(self._database.execute, statement, *values)

    async def remove(self, tenant: str, request_id: str, user: str) -> None:
        """Forgets feedback."""
        statement = "DELETE FROM feedback WHERE tenant = ? AND request_id = ? AND user = ?"
        await asyncio.to_thread(self._database.execute, statement, tenant, request_id, user)

    async def close(self) -> None:
        """Holds nothing."""

    def _read(self, tenant: str) -> list[Feedback]:
        rows = self._database.execute("SELECT feedback FROM feedback WHERE tenant = ?", tenant)
        return _read([kept for (kept,) in rows])


class RedisFeedbackStore:
    """Feedback in a hash of Redis for each tenant, for gateways on several machines.

    Args:
        url: Where it is; see RedisDatabase.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, url: str) -> None:
        self._redis = RedisDatabase(url, _UNUSABLE)

    async def all(self, tenant: str) -> list[Feedback]:
        """All of a tenant's, the oldest first."""
        kept = await self._redis.answer(self._redis.commands.hvals(_REDIS_HASH + tenant))
        return await asyncio.to_thread(_read, kept)

    async def count(self, tenant: str) -> int:
        """How much a tenant has."""
        return int(await self._redis.answer(self._redis.commands.hlen(_REDIS_HASH + tenant)))

    async def put(self, tenant: str, feedback: Feedback) -> None:
        """Keeps feedback."""
        field = f"{feedback.request_id} {feedback.user}"
        kept = json.dumps(asdict(feedback))
        await self._redis.answer(self._redis.commands.hset(_REDIS_HASH + tenant, field, kept))

    async def remove(self, tenant: str, request_id: str, user: str) -> None:
        """Forgets feedback."""
        await self._redis.answer(self._redis.commands.hdel(_REDIS_HASH + tenant, f"{request_id} {user}"))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.close()


def _read(kept: list[str] | list[bytes]) -> list[Feedback]:
    found = [Feedback.from_json(json.loads(one)) for one in kept]
    return sorted(found, key=lambda one: (one.created_at, one.request_id, one.user))
