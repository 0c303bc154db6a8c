"""Room for what several owners keep, of which nobody takes another's."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class _Kept(NamedTuple, Generic[_Value]):
    value: _Value
    byte_count: int


class Shares(Generic[_Key, _Value]):
    """Whoever has the most in it loses first what it has not asked for longest.

    Attributes:
        byte_count: About how much memory it takes.
        most_bytes: How much it may take.

    Args:
        most_bytes: How much it may take.
    """

    def __init__(self, most_bytes: int) -> None:
        self.byte_count = 0
        self.most_bytes = most_bytes
        self._kept: dict[str, OrderedDict[_Key, _Kept[_Value]]] = {}
        self._bytes_of: Counter[str] = Counter()

    def get(self, owner: str, key: _Key) -> _Value | None:
        """What an owner has kept under a key; None if nothing is."""
        own = self._kept.get(owner)
        kept = own.get(key) if own else None
        if own is None or kept is None:
            return None
        own.move_to_end(key)
        return kept.value

    def put(self, owner: str, key: _Key, value: _Value, byte_count: int) -> None:
        """Keeps something in place of what was under its key; what has no room beside nothing else is not kept."""
        self.drop(owner, key)
        if byte_count > self.most_bytes:
            return
        self._kept.setdefault(owner, OrderedDict())[key] = _Kept(value, byte_count)
        self._count(owner, byte_count)
        while self.byte_count > self.most_bytes:
            largest = max(self._bytes_of, key=self._bytes_of.__getitem__)
            self.drop(largest, next(iter(self._kept[largest])))

    def drop(self, owner: str, key: _Key) -> None:
        """Forgets what is under a key, if anything is."""
        own = self._kept.get(owner)
        kept = own.pop(key, None) if own else None
        if kept is not None:
            self._count(owner, -kept.byte_count)
        if not own:
            self._kept.pop(owner, None)
            self._bytes_of.pop(owner, None)

    def _count(self, owner: str, byte_count: int) -> None:
        self._bytes_of[owner] += byte_count
        self.byte_count += byte_count
