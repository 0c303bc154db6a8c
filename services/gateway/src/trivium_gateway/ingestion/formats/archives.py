"""Archives: ZIP, TAR, and single files that are compressed. They are unpacked within bounds, and never onto a disk."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Protocol

from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.formats.attached import Part
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import MAX_MEMBERS, Bounds, broken, encrypted, too_much

__all__ = ["Budget", "archive_parts", "read_archive"]

_WHAT = "archive"
_ENCRYPTED_FLAG = 0x1
_PIECE_BYTES = 1 << 20
_LEAST_SUSPECT_BYTES = 1 << 20
_MAX_RATIO = 200
"""Text comes to a tenth; what comes to less than a two-hundredth was made to be unpacked."""
_TAR_MAGIC_AT = 257
_OF_SYSTEMS = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini", ".git/")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error, NotImplementedError)


class Budget:
    """How many bytes may still be unpacked, and how many files.

    Args:
        packed_bytes: Size of the file that all come out of.
        max_bytes: Most bytes.
        max_parts: Most files.
    """

    def __init__(self, packed_bytes: int, max_bytes: int, max_parts: int) -> None:
        self._max_bytes = min(max_bytes, max(_LEAST_SUSPECT_BYTES, packed_bytes * _MAX_RATIO))
        self._max_parts = max_parts
        self.spent = (0, 0)
        """How many bytes and how many files were unpacked."""

    def take_bytes(self, count: int) -> None:
        """Note what was unpacked.

        Raises:
            TooLarge: It is too much (DOCUMENT_TOO_LARGE).
        """
        self.spent = (self.spent[0] + count, self.spent[1])
        if self.spent[0] > self._max_bytes:
            raise too_much(f"more than {self._max_bytes >> 20} MiB in it, unpacked")

    def take_part(self) -> None:
        """Note a file.

        Raises:
            TooLarge: They are too many (DOCUMENT_TOO_LARGE).
        """
        self.spent = (self.spent[0], self.spent[1] + 1)
        if self.spent[1] > self._max_parts:
            raise too_much(f"more than {self._max_parts} files in it")


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def read_archive(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """List what is in an archive; the files in it are documents of their own.

    Raises:
        InvalidField: Nothing is (EMPTY_DOCUMENT).
    """
    listed = list(_listed(data))
    if not listed:
        raise InvalidField("data", "There are no files in the archive.", reason="EMPTY_DOCUMENT")
    blocks = Blocks(bounds)
    blocks.paragraph("Files in this archive:")
    for name, size in listed:
        blocks.item(0, "-", f"{name}, {size} byte{'' if size == 1 else 's'}" if size is not None else name)
    return "", blocks.text()


def archive_parts(data: bytes, name: str, budget: Budget) -> Iterator[Part]:
    """Unpack an archive.

    Args:
        data: The archive.
        name: Its own name; the file in it is called so without its ending, if it is a single compressed one.
        budget: How much may come out.

    Raises:
        InvalidField: It is damaged (FILE_BROKEN) or needs a password (FILE_ENCRYPTED).
        TooLarge: It is over a bound (DOCUMENT_TOO_LARGE).
    """
    try:
        if data.startswith(b"PK"):
            yield from _zip_parts(data, budget)
            return
        stream = _decompressed(data)
        start = _read_some(stream, _PIECE_BYTES)
        if _is_tar(start):
            yield from _tar_parts(data, budget)
        else:
            budget.take_part()
            yield Part(PurePosixPath(name.replace("\\", "/")).stem or "content", "", _bounded(stream, budget, start))
    except _DAMAGE as error:
        raise broken(_WHAT) from error


def _listed(data: bytes) -> Iterator[tuple[str, int | None]]:
    try:
        if data.startswith(b"PK"):
            for member in _zip_members(data):
                yield member.filename, member.file_size
        elif _is_tar(_read_some(_decompressed(data), 1024)):
            with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as archive:
                for number, entry in enumerate(archive):
                    if number >= MAX_MEMBERS:
                        return
                    if entry.isreg():
                        yield entry.name, entry.size
        else:
            yield "one file", None
    except _DAMAGE as error:
        raise broken(_WHAT) from error


def _zip_members(data: bytes) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise too_much(f"{len(members)} files in it")
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        raise encrypted()
    return [member for member in members if not member.is_dir() and _is_wanted(member.filename)]


def _zip_parts(data: bytes, budget: Budget) -> Iterator[Part]:
    members = _zip_members(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in members:
            budget.take_part()
            with archive.open(member) as content:
                yield Part(member.filename, "", _bounded(content, budget))


def _tar_parts(data: bytes, budget: Budget) -> Iterator[Part]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as archive:
        for number, member in enumerate(archive):
            if number >= MAX_MEMBERS:
                raise too_much(f"more than {MAX_MEMBERS} files in it")
            if not member.isreg() or not _is_wanted(member.name):
                # A stream's entries are passed over by unpacking them.
                budget.take_bytes(member.size if member.isreg() else 0)
                continue
            budget.take_part()
            content = archive.extractfile(member)
            yield Part(member.name, "", _bounded(content, budget) if content else b"")


def _decompressed(data: bytes) -> IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    file = io.BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if data.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return lzma.LZMAFile(file) if data.startswith(b"\xfd7zXZ\0") else file


def _is_tar(start: bytes) -> bool:
    return start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def _is_wanted(name: str) -> bool:
    return not any(each in name for each in _OF_SYSTEMS)


def _read_some(stream: _Readable, size: int) -> bytes:
    return stream.read(size)


def _bounded(stream: _Readable, budget: Budget, start: bytes = b"") -> bytes:
    """Read to the end, piece by piece, so that no more is unpacked than may be."""
    pieces = [start]
    budget.take_bytes(len(start))
    while piece := stream.read(_PIECE_BYTES):
        budget.take_bytes(len(piece))
        pieces.append(piece)
    return b"".join(pieces)
