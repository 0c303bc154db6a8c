"""Writes mails in Outlook's own form: properties in a compound file, laid out as MS-CFB and MS-OXMSG say."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_SECTOR, _SMALL_SECTOR, _SMALL_FILE = 512, 64, 4096
_FREE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_TEXT, _BYTES, _LONG = 0x001F, 0x0102, 0x0003


@dataclass
class _Entry:
    name: str
    kind: int  # 5 the root, 1 a folder, 2 a file
    data: bytes = b""
    inside: list[_Entry] = field(default_factory=list)


def msg(subject: str, text: str, attached: dict[str, bytes] | None = None) -> bytes:
    """A mail with attachments."""
    root = _Entry("Root Entry", 5)
    root.inside += _properties(
        {0x001A: "IPM.Note", 0x0037: subject, 0x1000: text, 0x0C1A: "Jo", 0x0C1F: "jo@example.org", 0x0E04: "ed"}, 32
    )
    root.inside.append(_Entry("__nameid_version1.0", 1))
    for number, (name, data) in enumerate((attached or {}).items()):
        folder = _Entry(f"__attach_version1.0_#{number:08X}", 1)
        folder.inside += _properties({0x3707: name, 0x3704: name, 0x3701: data, 0x3705: 1}, 8)
        root.inside.append(folder)
    return _compound(root)


def _properties(values: dict[int, str | bytes | int], header: int) -> list[_Entry]:
    files, fixed = [], b"\0" * header
    for tag, value in values.items():
        if isinstance(value, int):
            fixed += struct.pack("<HHIII", _LONG, tag, 6, value, 0)
            continue
        kind = _TEXT if isinstance(value, str) else _BYTES
        data = value.encode("utf-16-le") if isinstance(value, str) else value
        files.append(_Entry(f"__substg1.0_{tag:04X}{kind:04X}", 2, data))
        fixed += struct.pack("<HHIII", kind, tag, 6, len(data) + (2 if kind == _TEXT else 0), 0)
    return [*files, _Entry("__properties_version1.0", 2, fixed)]


def _compound(root: _Entry) -> bytes:
    entries = [root]
    links: list[tuple[int, int, int]] = [(_FREE, _FREE, _FREE)]
    _flatten(root, 0, entries, links)
    table: list[int] = []
    small_table: list[int] = []
    sectors, small = bytearray(), bytearray()
    starts, sizes = [_END] * len(entries), [0] * len(entries)
    for number, entry in enumerate(entries[1:], 1):
        if entry.kind == 2 and entry.data:
            target, chain, size = (
                (small, small_table, _SMALL_SECTOR) if len(entry.data) < _SMALL_FILE else (sectors, table, _SECTOR)
            )
            starts[number], sizes[number] = _append(target, chain, entry.data, size), len(entry.data)
    starts[0], sizes[0] = _append(sectors, table, bytes(small), _SECTOR), len(small)
    small_packed = struct.pack(f"<{len(small_table)}I", *small_table)
    small_start = _append(sectors, table, small_packed, _SECTOR, b"\xff")
    directory = b"".join(_directory_entry(each, links[at], starts[at], sizes[at]) for at, each in enumerate(entries))
    directory_start = _append(sectors, table, directory, _SECTOR)
    count = 1
    while count * 128 < len(table) + count:
        count += 1
    table_start = len(table)
    table += [_TABLE] * count
    table += [_FREE] * (count * 128 - len(table))
    sectors += struct.pack(f"<{len(table)}I", *table)
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, 0, count,
        directory_start, 0, _SMALL_FILE, small_start, -(-len(small_packed) // _SECTOR), _END, 0,
    )  # fmt: skip
    listed = [table_start + at for at in range(count)]
    return header + struct.pack("<109I", *listed, *([_FREE] * (109 - count))) + bytes(sectors)


def _flatten(entry: _Entry, at: int, entries: list[_Entry], links: list[tuple[int, int, int]]) -> None:
    """Number what is inside a folder, and link it: each entry's right neighbour is the next in order."""
    inside = sorted(entry.inside, key=lambda each: (len(each.name), each.name.upper()))
    numbers = range(len(entries), len(entries) + len(inside))
    entries += inside
    links += [(_FREE, number + 1 if number + 1 in numbers else _FREE, _FREE) for number in numbers]
    if inside:
        links[at] = (*links[at][:2], numbers[0])
    for number, each in zip(numbers, inside, strict=True):
        _flatten(each, number, entries, links)


def _append(sectors: bytearray, table: list[int], data: bytes, size: int, filler: bytes = b"\0") -> int:
    start, count = len(table), -(-len(data) // size)
    if not count:
        return _END
    table += [*range(start + 1, start + count), _END]
    sectors += data + filler * (count * size - len(data))
    return start


def _directory_entry(entry: _Entry, link: tuple[int, int, int], start: int, size: int) -> bytes:
    name = entry.name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sI8s8sIII", name, len(name) + 2, entry.kind, 1, *link, b"", 0, b"", b"",
        start if size else (_END if entry.kind != 1 else 0), size, 0,
    )  # fmt: skip


def tnef(subject: str, body: str, attachments: dict[str, bytes]) -> bytes:
    """What Outlook sends to others as `winmail.dat`."""

    def attribute(level: int, kind: int, tag: int, content: bytes) -> bytes:
        return struct.pack("<BHHI", level, tag, kind, len(content)) + content + struct.pack("<H", sum(content) & 0xFFFF)

    def text(tag: int, value: str) -> bytes:
        content = value.encode("utf-16-le") + b"\0\0"
        return struct.pack("<HHII", 0x1F, tag, 1, len(content)) + content + b"\0" * (-len(content) % 4)

    number = struct.pack("<HHi", 3, 0x3705, 1)
    named = struct.pack("<HH16sIII", 0x0B, 0x8001, b"", 0, 5, 1)
    found = b"\x78\x9f\x3e\x22\x01\0" + attribute(1, 1, 0x8004, subject.encode("cp1252") + b"\0")
    found += attribute(1, 6, 0x9003, struct.pack("<I", 3) + named + number + text(0x1000, body))
    for name, data in attachments.items():
        found += attribute(2, 6, 0x9002, b"\0" * 14) + attribute(2, 1, 0x8010, b"SHORT~1.TXT\0")
        found += attribute(2, 6, 0x800F, data)
        found += attribute(2, 6, 0x9005, struct.pack("<I", 2) + number + text(0x3707, name))
    return found
