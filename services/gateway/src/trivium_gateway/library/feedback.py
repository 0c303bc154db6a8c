"""What people say of answers, and where that is kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from trivium_gateway.access.records import open_records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE = "gateway/feedback.sqlite"
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
        groups: What who says it belonged to.
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
    groups: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Feedback:
        """Reads what `asdict` gives, as JSON."""
        names = ("document_ids", "cited_document_ids", "groups")
        lists = {name: tuple(kept.get(name, ())) for name in names}
        return cls(**{**kept, **lists})


class FeedbackStore:
    """Keeps the feedback of tenants. What it has said to be kept survives a crash.

    Args:
        data_dir: The gateway's data folder.
        redis_url: The Redis in which several gateways keep it instead; empty for none.

    Raises:
        ValueError: The url is none.
    """

    def __init__(self, data_dir: Path, redis_url: str = "") -> None:
        self._records = open_records(data_dir / _FILE, redis_url, _REDIS_HASH, _UNUSABLE)

    async def all(self, tenant: str) -> list[Feedback]:
        """All of a tenant's, the oldest first.

        Raises:
            Unavailable: It cannot be read.
        """
        kept = await self._records.all(tenant)
        return await asyncio.to_thread(_in_order, kept)

    async def size(self, tenant: str) -> tuple[int, int]:
        """On how many answers a tenant has some, and how many bytes it is.

        Raises:
            Unavailable: It cannot be read.
        """
        return await self._records.size(tenant)

    async def put(self, tenant: str, feedback: Feedback) -> None:
        """Keeps feedback, in place of what the same user, or the same groups without one, said of the same request.

        Raises:
            Unavailable: It cannot be kept.
        """
        await self._records.put(tenant, _name(feedback), asdict(feedback))

    async def remove(self, tenant: str, feedback: Feedback) -> None:
        """Forgets feedback, if it is there.

        Raises:
            Unavailable: That cannot be kept.
        """
        if feedback.groups and not feedback.user:  # which had nobody's name in an earlier version
            nobodys = replace(feedback, groups=())
            held = await self.all(tenant)
            if not any(_name(one) == _name(nobodys) for one in held):
                await self._records.remove(tenant, _name(nobodys))
        await self._records.remove(tenant, _name(feedback))

    async def close(self) -> None:
        """Gives back what it holds."""
        await self._records.close()


def _name(feedback: Feedback) -> str:
    """Whose it is and of what; no user's name begins with a space."""
    is_groups = feedback.groups and not feedback.user
    return f"{feedback.request_id} {' ' + json.dumps(feedback.groups) if is_groups else feedback.user}"


def _in_order(kept: list[dict[str, Any]]) -> list[Feedback]:
    return sorted(map(Feedback.from_json, kept), key=lambda one: (one.created_at, one.request_id, one.user))
