"""Usage and quotas in Redis: limits that hold over all gateways at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trivium_gateway.access.databases import RedisDatabase
from trivium_gateway.metering.kinds import Kind, Quota
from trivium_gateway.metering.store import KEPT_HOURS, UNUSABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.metering.buckets import Bucket, Wanted
    from trivium_gateway.metering.kinds import Entry, Rate
    from trivium_gateway.metering.store import Used

# In braces what Redis Cluster keeps together, as scripts need it.
_QUOTAS = "trivium-quotas"
_USAGE = "{trivium-meter}:usage:"
_BUCKET = "{trivium-meter}:left:"
_BATCH = "{trivium-meter}:batch:"
_BATCH_SECONDS = 3_600
_HOURS_AT_A_TIME = 500

# Redis runs a script alone, by its own clock, so that gateways whose clocks differ agree.
_BUCKETS = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function level_of(key, amount, seconds)
  local kept = redis.call('HMGET', key, 'level', 'at', 'amount')
  if not kept[1] then return amount end
  local level = tonumber(kept[1]) + amount - tonumber(kept[3]) + (now - tonumber(kept[2])) * amount / seconds
  return math.min(amount, level)
end
local function keep(key, level, amount, seconds)
  redis.call('HSET', key, 'level', string.format('%.6f', level), 'at', string.format('%.6f', now), 'amount', amount)
  if amount > 0 then redis.call('EXPIRE', key, math.ceil((amount - level) * seconds / amount) + 60) end
end
local asked = cjson.decode(ARGV[1])
"""
_TAKE = (
    _BUCKETS
    + """
local levels, there = {}, true
for place, one in ipairs(asked) do
  levels[place] = string.format('%.6f', level_of(KEYS[place], one[1], one[2]))
  local level = tonumber(levels[place])
  there = there and level > 0 and level >= one[3]
end
for place, one in ipairs(asked) do
  if there and one[3] > 0 then keep(KEYS[place], levels[place] - one[3], one[1], one[2]) end
end
return levels
"""
)
_ADD = (
    _BUCKETS
    + """
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[3]) then return 0 end
local place = 2
for _, one in ipairs(asked) do
  keep(KEYS[place], level_of(KEYS[place], one[1], one[2]) - one[3], one[1], one[2])
  place = place + 1
end
for _, one in ipairs(cjson.decode(ARGV[2])) do
  redis.call('HINCRBY', KEYS[place], one[1], one[2])
  redis.call('EXPIRE', KEYS[place], ARGV[4])
  place = place + 1
end
return 1
"""
)


class RedisMeterStore:
    """In Redis, for gateways on several machines.

    Args:
        url: Where it is; see RedisDatabase.
        answer_seconds: How long to wait for an answer, for which calls wait.

    Raises:
        ValueError: The url is none.
    """

    is_shared = True

    def __init__(self, url: str, answer_seconds: float) -> None:
        self._redis = RedisDatabase(url, UNUSABLE, answer_seconds)
        self._take = self._redis.commands.register_script(_TAKE)
        self._add = self._redis.commands.register_script(_ADD)

    async def quotas(self) -> list[Quota]:
        """All quotas."""
        kept = await self._redis.answer(self._redis.commands.hvals(_QUOTAS))
        return [Quota.from_json(json.loads(one)) for one in kept]

    async def put(self, quota: Quota) -> None:
        """Keeps a quota."""
        field = f"{quota.tenant} {quota.key_id}"
        await self._redis.answer(self._redis.commands.hset(_QUOTAS, field, json.dumps(quota.as_json())))

    async def remove(self, tenant: str, key_id: str) -> None:
        """Forgets a quota."""
        await self._redis.answer(self._redis.commands.hdel(_QUOTAS, f"{tenant} {key_id}"))

    async def take(self, wanted: Sequence[Wanted]) -> list[float]:
        """Takes what a call needs, if all of it is there."""
        asked = [(one.rate.amount, one.rate.seconds, one.need) for one in wanted]
        keys = [_BUCKET + one.bucket for one in wanted]
        return [float(level) for level in await self._redis.answer(self._take(keys=keys, args=[json.dumps(asked)]))]

    async def add(
        self,
        used: Mapping[Entry, int],
        spent: Mapping[tuple[str, Rate], int],
        buckets: Mapping[str, Bucket],
        batch: str,
    ) -> None:
        """Adds what was used: all of it, and once, also if it is repeated because no answer came."""
        counts = [(f"{one.tenant} {one.key_id} {one.kind.value}", amount) for one, amount in used.items()]
        rates = [(rate.amount, rate.seconds, amount) for (_, rate), amount in spent.items()]
        keys = [
            _BATCH + batch,
            *(_BUCKET + name for name, _ in spent),
            *(f"{_USAGE}{one.hour}" for one in used),
        ]
        arguments: list[str | int] = [json.dumps(rates), json.dumps(counts), _BATCH_SECONDS, KEPT_HOURS * 3_600]
        await self._redis.answer(self._add(keys=keys, args=arguments))

    async def buckets(self) -> dict[str, Bucket]:
        """Nothing: they are Redis' own."""
        return {}

    async def used(self, first_hour: int, end_hour: int, tenant: str) -> Used:
        """What was used."""
        used: Used = {}
        for begin in range(first_hour, end_hour, _HOURS_AT_A_TIME):
            some = self._redis.commands.pipeline(transaction=False)
            for hour in range(begin, min(end_hour, begin + _HOURS_AT_A_TIME)):
                some.hgetall(f"{_USAGE}{hour}")
            for hour_usage in await self._redis.answer(some.execute()):
                for field, amount in hour_usage.items():
                    whose, key_id, kind = field.decode().split(" ")
                    if tenant in ("", whose):
                        place = (whose, key_id, Kind(kind))
                        used[place] = used.get(place, 0) + int(amount)
        return used

    async def forget(self, before_hour: int) -> None:
        """Nothing: Redis forgets by itself."""

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.close()
