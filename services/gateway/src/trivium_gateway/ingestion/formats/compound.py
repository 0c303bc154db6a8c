"""Compound files (MS-CFB), in which old Office keeps streams in folders: as much of them as reading takes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from trivium_gateway.ingestion.formats.bounds import MAX_MEMBERS, broken

__all__ = ["COMPOUND_SIGNATURE", "CompoundFile"]

COMPOUND_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WHAT = "compound file"
_LAST = 0xFFFFFFFA
"""Numbers of sectors end here: what is larger marks an end, or a sector of the tables."""
_HEADER_TABLES = 109
_ENTRY_BYTES = 128
_ROOT = 5
_FOLDER = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: int
    left: int
    right: int
    inside: int
    start: int
    size: int


class CompoundFile:
    """A compound file.

    Args:
        data: The file.

    Raises:
        InvalidField: It is none, or damaged (FILE_BROKEN).
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self._read()
        except (struct.error, IndexError, OverflowError) as error:
            raise broken(_WHAT) from error

    def streams(self) -> dict[str, bytes]:
        """Give all streams by path, `folder/name`."""
        return {path: self._content(entry) for path, entry in self._walk(self._entries[0].inside, "")}

    def _read(self) -> None:
        data = self._data
        if not data.startswith(COMPOUND_SIGNATURE):
            raise broken(_WHAT)
        shift: int
        small_shift: int
        shift, small_shift = struct.unpack_from("<HH", data, 30)
        if shift not in (9, 12) or small_shift != 6:
            raise broken(_WHAT)
        self._sector_bytes = 1 << shift
        (directory,) = struct.unpack_from("<I", data, 48)
        self._small_limit, small_table, _, more, _ = struct.unpack_from("<IIIII", data, 56)
        tables = list(struct.unpack_from(f"<{_HEADER_TABLES}I", data, 76))
        per_sector = self._sector_bytes // 4
        for _ in range(len(data) // self._sector_bytes):
            if more >= _LAST:
                break
            *listed, more = struct.unpack_from(f"<{per_sector}I", data, self._offset(more))
            tables += listed
        self._next: list[int] = []
        for sector in tables:
            if sector < _LAST:
                self._next += struct.unpack_from(f"<{per_sector}I", data, self._offset(sector))
        directory_bytes = self._chain(directory)
        self._entries = [
            _entry(directory_bytes, at) for at in range(0, len(directory_bytes) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
        ]
        if len(self._entries) > MAX_MEMBERS or not self._entries or self._entries[0].kind != _ROOT:
            raise broken(_WHAT)
        packed = self._chain(small_table) if small_table < _LAST else b""
        self._small_next = list(struct.unpack(f"<{len(packed) // 4}I", packed))
        self._small = self._chain(self._entries[0].start)

    def _offset(self, sector: int) -> int:
        return (sector + 1) * self._sector_bytes

    def _chain(self, sector: int) -> bytes:
        pieces: list[bytes] = []
        for _ in range(len(self._next)):
            if sector >= _LAST:
                return b"".join(pieces)
            pieces.append(self._data[self._offset(sector) :][: self._sector_bytes])
            sector = self._next[sector]
        if sector < _LAST:
            raise broken(_WHAT)  # it goes round in a circle
        return b"".join(pieces)

    def _content(self, entry: _Entry) -> bytes:
        if entry.size >= self._small_limit:
            return self._chain(entry.start)[: entry.size]
        pieces: list[bytes] = []
        sector = entry.start
        for _ in range(-(-entry.size // 64)):
            pieces.append(self._small[sector * 64 : sector * 64 + 64])
            sector = self._small_next[sector]
        return b"".join(pieces)[: entry.size]

    def _walk(self, first: int, folder: str) -> Iterator[tuple[str, _Entry]]:
        """Give each stream below an entry; each entry once, however they point at each other."""
        seen = set()
        waiting = [(first, folder)]
        while waiting:
            number, path = waiting.pop()
            if number in seen or number >= len(self._entries):
                continue
            seen.add(number)
            entry = self._entries[number]
            waiting += [(entry.left, path), (entry.right, path)]
            if entry.kind == _FOLDER:
                waiting.append((entry.inside, f"{path}{entry.name}/"))
            else:
                yield f"{path}{entry.name}", entry


def _entry(data: bytes, at: int) -> _Entry:
    name, length, kind, _, left, right, inside = struct.unpack_from("<64sHBBIII", data, at)
    start, size, _ = struct.unpack_from("<III", data, at + 116)
    return _Entry(name[: max(0, length - 2)].decode("utf-16-le", "replace"), kind, left, right, inside, start, size)
