"""Pages of a mapped file that are given back."""

import mmap
from pathlib import Path

from trivium_encoders.resident import release_file_pages

_PAGES = 512


def _resident_kilobytes(path: Path) -> int:
    """What is in memory of the mappings of a file."""
    found, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(maxsplit=1)[0]:
            found = line.endswith(f" {path}")
        elif found and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_release_file_pages_mapped_file_leaves_memory_and_reads_as_before(tmp_path: Path) -> None:
    path = tmp_path / "weights with spaces.bin"
    content = b"".join(number.to_bytes(2, "big") * (mmap.PAGESIZE // 2) for number in range(_PAGES))
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == content
        assert _resident_kilobytes(path) == len(content) // 1024
        assert release_file_pages(path) == len(content)
        assert _resident_kilobytes(path) == 0
        assert mapped[:] == content


def test_release_file_pages_file_that_is_not_mapped_changes_nothing(tmp_path: Path) -> None:
    assert release_file_pages(tmp_path / "other.bin") == 0
