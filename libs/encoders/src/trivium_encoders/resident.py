"""Keeps what is in memory twice from staying there twice."""

import ctypes
import mmap
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def release_file_pages(path: Path) -> int:
    """Gives the pages of a file that this process has mapped, but not changed, back to the system.

    OpenVINO keeps the weights' file mapped, though it has made its own form of nearly all of it. A page that is used
    again is read again, mostly from the system's cache of the file. Nothing else changes.

    Args:
        path: The file.

    Returns:
        Mapped bytes that were given back; 0 where the system does not say what is mapped.
    """
    released = 0
    for start, end in _mappings(path):
        if _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED) == 0:
            released += end - start
    return released


def _mappings(path: Path) -> list[tuple[int, int]]:
    """Where the file is mapped for reading alone: first and last address, the last excluded."""
    wanted = str(path.resolve())
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == wanted and fields[1].startswith("r--"):
            first, _, last = fields[0].partition("-")
            found.append((int(first, 16), int(last, 16)))
    return found
