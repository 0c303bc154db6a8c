"""SHA-256 digests of files, remembered for the large ones."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from trivium_encoders.errors import ModelDamaged

_log = logging.getLogger(__name__)

_REMEMBERED_BYTES = 16 << 20


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(value: object) -> str:
    """The SHA-256 of a JSON value in canonical form, as 64 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class DigestCache:
    """Digests of files; those of 16 MiB and more are remembered under path, size and time of last change.

    Args:
        folder: Where digests are remembered; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digests(self, paths: Iterable[Path]) -> list[str]:
        """Digests of some files, in order; large files are read in parallel."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            return list(pool.map(self._digest, paths))

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        if stat.st_size < _REMEMBERED_BYTES:
            return file_digest(path)
        identity = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
        record = self._folder / f"{text_digest(identity)}.sha256"
        try:
            known = record.read_text()
        except OSError:
            known = ""
        if len(known) == 64:
            return known
        digest = file_digest(path)
        partial = record.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(digest)
            partial.replace(record)
        except OSError as error:  # a full disk, or one that nobody may write to
            _log.warning("the digest of %s cannot be remembered, and is computed at each start: %s", path, error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        return digest


def verify_files(folder: Path, expected: Mapping[str, str], remedy: str) -> None:
    """Checks files against known digests.

    Args:
        folder: Where the files are.
        expected: Relative path of each file to its SHA-256.
        remedy: What to do about a file that differs; ends the error's message.

    Raises:
        ModelDamaged: A file is missing or differs; names it.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = dict(zip(expected, pool.map(lambda name: _digest_or_none(folder / name), expected), strict=True))
    for name, digest in expected.items():
        if found[name] != digest:
            what = "is missing" if found[name] is None else f"has SHA-256 {found[name]}, expected {digest}"
            raise ModelDamaged(f"{folder / name} {what}; {remedy}")


def _digest_or_none(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None
