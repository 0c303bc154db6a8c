"""Cached results in Redis, for gateways that share them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_gateway.access.databases import RedisDatabase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from trivium_gateway.caching.coding import Coding
    from trivium_gateway.caching.store import Result

_logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 0.1
_PAUSE_SECONDS = 5.0
"""How long it is left alone once it did not answer: questions do not wait for it one after the other."""
_KEY = "trivium-cache:"
_MOST_BYTES = 1 << 20
"""Of one result: nothing that is asked often is larger."""


class RedisStore:
    """In a Redis that forgets by itself what does not fit: `maxmemory`, and a policy such as `allkeys-lru`.

    Args:
        url: Where it is; see RedisDatabase.
        seconds: How long anything is kept at most.
        on_error: Called when it does not answer.
        clock: Seconds that only grow.

    Raises:
        ValueError: The url is none.
    """

    def __init__(
        self, url: str, seconds: float, on_error: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            self._redis = RedisDatabase(url, "Cached results cannot be had now.", _ANSWER_SECONDS)
        except ValueError as error:
            raise ValueError(str(error).replace("_REDIS_URL", "_CACHE_REDIS_URL")) from None
        self._milliseconds = max(1, round(seconds * 1000))
        self._on_error = on_error
        self._clock = clock
        self._resting_until = float("-inf")

    async def get(self, owner: str, key: str, coding: Coding) -> Any:
        """What is kept under a key."""
        del owner  # the key tells tenants apart
        found: bytes | None = await self._answer(lambda: self._redis.commands.get(_KEY + key))
        return None if found is None else coding.loads(found)

    async def put(self, owner: str, key: str, result: Result, coding: Coding) -> None:
        """Keeps something, if it is not too large."""
        del owner
        value = coding.dumps(result)
        if len(value) <= _MOST_BYTES:
            await self._answer(lambda: self._redis.commands.set(_KEY + key, value, px=self._milliseconds))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.close()

    async def _answer(self, command: Callable[[], Awaitable[Any]]) -> Any:
        if self._clock() < self._resting_until:
            return None
        try:
            return await self._redis.answer(command())
        except TriviumError as error:
            self._resting_until = self._clock() + _PAUSE_SECONDS
            self._on_error()
            _logger.warning("nothing is cached for %g s: %s", _PAUSE_SECONDS, error.cause or error.message)
            return None
