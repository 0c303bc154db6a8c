"""Where keys are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trivium_gateway.access.keys import Key
from trivium_gateway.access.records import open_records

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "gateway/keys.sqlite"
_REDIS_HASH = "trivium-keys"
_UNUSABLE = "The keys cannot be read or kept now. The gateway's log says why."
_EVERYBODYS = ""
"""Keys are read together, and not by tenant: a request says its key, and the key its tenant."""


class KeyStore:
    """Keeps keys, a few kilobytes. What it has said to be kept survives a crash.

    Args:
        data_dir: The gateway's data folder.
        redis_url: The Redis in which several gateways keep them instead; empty for none.

    Raises:
        ValueError: The url is none.
    """

    def __init__(self, data_dir: Path, redis_url: str = "") -> None:
        self._records = open_records(data_dir / _FILE, redis_url, _REDIS_HASH, _UNUSABLE)

    async def all(self) -> list[Key]:
        """All keys.

        Raises:
            Unavailable: They cannot be read.
        """
        kept = await self._records.all(_EVERYBODYS)
        return await asyncio.to_thread(lambda: [Key.from_json(one) for one in kept])

    async def put(self, key: Key) -> None:
        """Keeps a key, in place of one of its id.

        Raises:
            Unavailable: It cannot be kept.
        """
        await self._records.put(_EVERYBODYS, key.id, key.as_json())

    async def remove(self, key_id: str) -> None:
        """Forgets a key, if there is one.

        Raises:
            Unavailable: That cannot be kept.
        """
        await self._records.remove(_EVERYBODYS, key_id)

    async def close(self) -> None:
        """Gives back what it holds."""
        await self._records.close()
