"""Room on the disk, looked at before the engine writes.

The engine writes through maps of files that are mostly holes. Where the disk has no block left for a page, the kernel
ends the process (SIGBUS), and an error can no longer be given. So what would store more is refused while there still is
room for what must go on: deletions, flushes, and the next start.

The reserve is half a file without holes, which others that fill the disk cannot take and which is given up when they
have, and half free blocks, so that one write and the flush after it always fit.

What was not flushed yet, a start after a kill reads from the log and stores again, in other places: it needs room
twice.

On a file system in memory (tmpfs) even reading a hole takes a block, and the engine reads all vectors when it opens a
collection: there the holes count as taken.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, StorageFull

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger(__name__)

# What a write takes on the disk, at most, for each byte of its message: the log and the storage, either with room to
# spare. Measured with 384 floats, 30 terms and 1 kB of text a point: 1.8.
_BYTES_PER_BYTE = 4

# Of a small disk the reserve takes at most this part.
_LARGEST_PART = 8

# The engine makes files for vectors in chunks of this size, holes at first.
_CHUNK_BYTES = 32 << 20
_CHUNKS = "vector_storage-*/vectors/chunk_*.mmap"

# Other files, beneath a segment, of which the engine reads even the holes when it opens a collection.
_READ_AT_OPENING = (
    "vector_storage-*/deleted/flags_*.dat",
    "payload_index/*/*.dat",
    "payload_index/*/*/*.dat",
)

_TAKES_ROOM = 3
_TRIAL = f"""
import mmap, os, sys, tempfile
with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
    file.truncate(mmap.PAGESIZE)
    with mmap.mmap(file.fileno(), mmap.PAGESIZE) as pages:
        pages.read(1)
    sys.exit({_TAKES_ROOM} if os.fstat(file.fileno()).st_blocks else 0)
"""

# Free blocks below this part of the reserve are too few for a deletion or a flush.
_GIVE_UP_PART = 16


class Room:
    """The room that a folder's disk has. Used from any thread.

    Args:
        folder: The folder.
        reserve_bytes: What must stay free.
    """

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._folder = folder
        self._file = folder / "reserve"
        disk = os.statvfs(folder)
        self._reserve_bytes = min(reserve_bytes, disk.f_blocks * disk.f_frsize // _LARGEST_PART)
        self._holes_count = _reading_takes_room(folder)
        self._holes: dict[Path, int] = {}
        self._unflushed_bytes: dict[Path, int] = {}

    def check(self, size_bytes: int, shard: Path, files_bytes: int = 0) -> None:
        """Checks that a message of a size can be stored, so that the next start can open what comes of it.

        Args:
            size_bytes: The size.
            shard: Where the collection's files are.
            files_bytes: How long the files are that it makes, holes and all, if not those for vectors.

        Raises:
            StorageFull: There is no room for it.
            FailedPrecondition: The disk is read-only by now.
        """
        again = sum(self._unflushed_bytes.values())
        needed = self._reserve_bytes // 2 + _BYTES_PER_BYTE * (size_bytes + again)
        free = self._free()
        if self._holes_count:
            left_in_chunks = self._look_at(shard)
            free -= sum(self._holes.values())
            if files_bytes:
                needed += files_bytes
            elif left_in_chunks < _BYTES_PER_BYTE * size_bytes:
                needed += _CHUNK_BYTES
        if free < needed:
            raise StorageFull(
                f"No space left on device: {needed >> 20} MiB must be free to store this and keep a reserve, and "
                f"{max(free, 0) >> 20} MiB are. Reading and deleting go on. Make room on the disk of {self._folder}: "
                "delete collections, or enlarge it."
            )

    def note_write(self, size_bytes: int, shard: Path) -> None:
        """Notes that a message of a size was stored and not flushed."""
        self._unflushed_bytes[shard] = self._unflushed_bytes.get(shard, 0) + size_bytes

    def note_flush(self, shard: Path) -> None:
        """Notes that everything that was stored in a shard is flushed."""
        self._unflushed_bytes.pop(shard, None)

    @property
    def is_left(self) -> bool:
        """Whether what need not be written may be."""
        return self._free() >= self._reserve_bytes // 2

    def check_opening(self, shard: Path) -> None:
        """Checks that a shard can be opened; only where reading takes room can it be that not.

        Raises:
            StorageFull: There is no room.
        """
        if self._holes_count:
            self._look_at(shard)
            if self._holes[shard] > self._free():
                raise StorageFull(
                    f"No space left on device: to open it, {self._holes[shard] >> 20} MiB must be free in memory "
                    f"beneath {self._folder}"
                )

    def forget(self, shard: Path) -> None:
        """Counts a shard no more: it is gone."""
        self._holes.pop(shard, None)
        self._unflushed_bytes.pop(shard, None)

    def make_way(self) -> None:
        """Gives the reserve up if what must go on would not fit otherwise.

        Raises:
            StorageFull: There is no room even so.
            FailedPrecondition: The disk is read-only by now.
        """
        least = self._reserve_bytes // _GIVE_UP_PART
        if self._free() >= least:
            return
        if self._file.exists():
            self._file.unlink()
            _logger.error("the disk of %s is full: the reserve is given up for deletions and flushes", self._folder)
        if self._free() < least // 2:
            raise StorageFull(
                f"No space left on device: not even the reserve is left on the disk of {self._folder}. Reading goes "
                "on. Make room there: what fills it is not this service."
            )

    def keep(self) -> None:
        """Takes the reserve, if it is not taken and the disk has the room."""
        size = self._reserve_bytes // 2
        try:
            held = self._file.stat().st_blocks * 512
        except FileNotFoundError:
            held = 0
        if held >= size or self._free() < self._reserve_bytes + size:
            return
        try:
            with self._file.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            _logger.warning("cannot reserve %d MiB in %s: %s", size >> 20, self._file, error.strerror)
            self._file.unlink(missing_ok=True)

    def _look_at(self, shard: Path) -> int:
        """Notes the holes of a shard, and returns those in the files for vectors."""
        left_in_chunks = _holes(shard, _CHUNKS)
        self._holes[shard] = left_in_chunks + sum(_holes(shard, pattern) for pattern in _READ_AT_OPENING)
        return left_in_chunks

    def _free(self) -> int:
        disk = os.statvfs(self._folder)
        if disk.f_flag & os.ST_RDONLY:
            raise read_only(self._folder)
        return disk.f_bavail * disk.f_frsize


def read_only(folder: Path) -> FailedPrecondition:
    """The error of a write into a folder that cannot be written to."""
    return FailedPrecondition(
        f"The data folder {folder} is read-only: collections can be read, and nothing can be changed. Make it writable "
        "and start the service again.",
        reason="READ_ONLY",
    )


def _holes(shard: Path, pattern: str) -> int:
    files = [file.stat() for file in shard.glob(f"segments/*/{pattern}")]
    return sum(max(0, file.st_size - file.st_blocks * 512) for file in files)


def _reading_takes_room(folder: Path) -> bool:
    """Tries it in a process of its own, which the kernel ends where not even that block is left."""
    tried = subprocess.run([sys.executable, "-I", "-S", "-c", _TRIAL, str(folder)], capture_output=True, check=False)
    return tried.returncode in (_TAKES_ROOM, -signal.SIGBUS)
