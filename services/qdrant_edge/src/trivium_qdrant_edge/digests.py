"""Digests of a shard's files, kept beside it: so damage is seen when the shard is opened, and not in an answer.

The engine has checksums in its log only. Two files beside the folder of a generation fill the gap:

    <generation>.sealed.json   what building an index wrote and no later write touches, while the generation lives
    <generation>.clean.json    every file, as it was when nothing had been written for a while or the service ended;
                               deleted, durably, before the shard is opened or written to again

So everything is checked but what was written shortly before a process was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_qdrant_edge.data_folder import data_ranges, sync_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# In a segment with an index. Deletions are noted in other files; what changes moves to another segment.
_SEALED = (
    "segments/*/vector_storage-*/matrix.dat",
    "segments/*/vector_index-*/*",
    "segments/*/id_tracker.mappings",
)

_BLOCK_BYTES = 1 << 16
_ZEROS = bytes(_BLOCK_BYTES)

# The log's files have this size from the start.
_LOG_BYTES = 32 << 20


class Damaged(TriviumError):
    """A file is not what it was."""

    default_reason = "COLLECTION_DAMAGED"


def digest_sealed(shard: Path) -> dict[str, str]:
    """The digests of the files that no later write touches, by their path in the shard."""
    return {name: _digest(path) for name, path in _files(shard) if any(fnmatch(name, sealed) for sealed in _SEALED)}


def digest_all(shard: Path) -> dict[str, str]:
    """The digests of all files of a shard, by their path in it."""
    return {name: _digest(path) for name, path in _files(shard)}


def keep_sealed(shard: Path, digests: Mapping[str, str]) -> None:
    """Keeps what `digest_sealed` found.

    Raises:
        OSError: They cannot be written.
    """
    _write(sealed_path(shard), digests)


def keep_clean(shard: Path, digests: Mapping[str, str]) -> None:
    """Keeps what `digest_all` found, of a shard that was flushed and not written to since.

    Raises:
        OSError: They cannot be written.
    """
    _write(clean_path(shard), digests)


def forget_clean(shard: Path) -> None:
    """Deletes what `keep_clean` kept, durably, before something is written to the shard."""
    try:
        clean_path(shard).unlink()
    except FileNotFoundError:
        return
    sync_folder(shard.parent)


def verify(shard: Path) -> None:
    """Compares a shard's files with the digests that were kept of them.

    Raises:
        Damaged: A file is not what it was, or is missing.
    """
    for path in shard.glob("wal/*-*"):
        if path.name != "first-index" and path.stat().st_size < _LOG_BYTES:
            raise Damaged(f"{path} is truncated")
    for kept in (clean_path(shard), sealed_path(shard)):
        try:
            digests = json.loads(kept.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise Damaged(f"{kept} cannot be read ({error}); delete it to open the collection unchecked") from error
        for name, digest in digests.items():
            path = shard / name
            if not path.exists():
                raise Damaged(f"{path} is missing; delete {kept} to open the collection all the same")
            if _digest(path) != digest:
                raise Damaged(f"{path} is not what was written; delete {kept} to open the collection all the same")
        return  # the first covers the second


def sealed_path(shard: Path) -> Path:
    """Where a shard's digests of sealed files are."""
    return shard.with_name(f"{shard.name}.sealed.json")


def clean_path(shard: Path) -> Path:
    """Where a shard's digests of all files are."""
    return shard.with_name(f"{shard.name}.clean.json")


def _write(path: Path, digests: Mapping[str, str]) -> None:
    write_atomically(path, json.dumps(digests, indent=0, sort_keys=True).encode())


def _files(shard: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(shard.rglob("*")):
        if path.is_file():
            yield path.relative_to(shard).as_posix(), path


def _digest(path: Path) -> str:
    """The digest of a file's size and content; a block of zeros counts as a hole, which copies may fill."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
        done = 0
        for start, end in data_ranges(file.fileno(), size):
            offset = max(done, start - start % _BLOCK_BYTES)
            while offset < end:
                block = os.pread(file.fileno(), _BLOCK_BYTES, offset)
                if block != _ZEROS[: len(block)]:
                    digest.update(offset.to_bytes(8, "little"))
                    digest.update(block)
                offset += _BLOCK_BYTES
            done = max(done, offset)
        return digest.hexdigest()
