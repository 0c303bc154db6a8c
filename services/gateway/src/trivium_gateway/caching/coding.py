"""Results as bytes and back: JSON that names the classes it is of, and makes no object of any other."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Any

_CLASS, _FIELDS, _ROWS = "$class", "$fields", "$rows"
_ENUM, _LIST, _SET, _MAP = "$enum", "$list", "$set", "$map"


class Unreadable(Exception):
    """What is kept was not written by this version of Trivium."""


class Coding:
    """Writes and reads objects of some classes: frozen dataclasses, named tuples of plain values, and enumerations.

    Args:
        classes: Those; no two of the same name.
    """

    def __init__(self, *classes: type) -> None:
        self._classes = {one.__name__: one for one in classes}
        self.version = json.dumps({name: _fields(one) for name, one in sorted(self._classes.items())})
        """Changes when one of the classes does: what another version wrote has another one."""
        self._names_of = {one: _fields(one) for one in classes}

    def dumps(self, value: object) -> bytes:
        """Writes an object."""
        return json.dumps(self._packed(value), ensure_ascii=False, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """Reads an object.

        Raises:
            Unreadable: It is none of these.
        """
        try:
            return json.loads(data, object_hook=self._unpacked)
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable("What was cached cannot be read.") from error

    def _packed(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, Enum):
            return {_ENUM: [kind.__name__, value.value]}
        if value is None or isinstance(value, (str, int, float)):
            return value
        if dataclasses.is_dataclass(value):
            return {_CLASS: kind.__name__, _FIELDS: [self._packed(getattr(value, one)) for one in self._names_of[kind]]}
        if isinstance(value, (tuple, list)):
            first = type(value[0]) if value else tuple
            if first is not tuple and issubclass(first, tuple):  # many named tuples: each is written as it is
                return {_ROWS: value, _CLASS: first.__name__}
            items = [self._packed(one) for one in value]
            return items if kind is tuple else {_LIST: items}
        if isinstance(value, frozenset):
            return {_SET: sorted(value)}
        if isinstance(value, dict):
            return {_MAP: [[key, self._packed(one)] for key, one in value.items()]}
        raise TypeError(f"a cached result has a {kind.__name__}")

    def _unpacked(self, found: dict[str, Any]) -> Any:
        if _FIELDS in found:
            return self._classes[found[_CLASS]](*map(_frozen, found[_FIELDS]))
        if _ROWS in found:
            return tuple(self._classes[found[_CLASS]](*one) for one in found[_ROWS])
        if _ENUM in found:
            name, value = found[_ENUM]
            return self._classes[name](value)
        if _LIST in found:
            return _List(map(_frozen, found[_LIST]))
        if _SET in found:
            return frozenset(found[_SET])
        return {key: _frozen(value) for key, value in found[_MAP]}


class _List(list[Any]):
    """A list that was one before."""


def _fields(one: type) -> list[str]:
    if dataclasses.is_dataclass(one):
        return [field.name for field in dataclasses.fields(one)]
    return list(getattr(one, "_fields", ()))


def _frozen(value: Any) -> Any:
    """What JSON reads as lists were tuples: others are marked."""
    return tuple(map(_frozen, value)) if type(value) is list else value
