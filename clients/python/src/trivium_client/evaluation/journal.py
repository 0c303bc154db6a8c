"""What was found out, kept line by line, so that a run that broke off goes on where it was."""

import json
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Entry(Protocol):
    """What can be kept: a dataclass that has a key of its own."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def id(self) -> str: ...


_EntryT = TypeVar("_EntryT", bound=Entry)


class Journal(Generic[_EntryT]):
    """The entries of a run, in a file: what was asked under the same conditions is not asked again.

    Args:
        path: The file; made with the first entry. None to keep nothing.
        conditions: All that makes results comparable: the questions' digest, the options, the models.
        read: Reads what `asdict` made of an entry.
    """

    def __init__(
        self, path: Path | None, conditions: Mapping[str, Any], read: Callable[[Mapping[str, Any]], _EntryT]
    ) -> None:
        self._path = path
        self._conditions = json.loads(json.dumps(conditions))
        self._read = read
        self.entries: dict[str, _EntryT] = {}

    def resume(self) -> list[str]:
        """Reads what an earlier run left.

        Returns:
            What is different now, in words; if anything is, nothing was read.
        """
        if self._path is None or not self._path.exists():
            return []
        head, *lines = self._path.read_text("utf-8").splitlines() or ["{}"]
        before = _object(head)
        different = [
            f"{name}: {before.get(name)!r} then, {value!r} now"
            for name, value in self._conditions.items()
            if before.get(name) != value
        ]
        if not different:
            for line in filter(None, map(_object, lines)):  # the last one may have broken off
                one = self._read(line)
                self.entries[one.id] = one
            self._rewrite(self._path)
        return different

    def begin_anew(self) -> None:
        """Forgets what an earlier run left."""
        self.entries = {}
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def add(self, one: _EntryT) -> None:
        """Keeps an entry, at once."""
        self.entries[one.id] = one
        if self._path is None:
            return
        if not self._path.exists():
            self._rewrite(self._path)
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(one)))

    def _rewrite(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [self._conditions, *map(asdict, self.entries.values())]
        path.write_text("".join(map(_line, lines)), "utf-8")


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
