"""The folder that holds the database: its lock, its layout, and writes that are whole or did not happen.

    qdrant/
      lock                              held by the process that serves the folder
      catalog.json, catalog.copy.json   which collections and aliases there are
      collections/<id>/<generation>/    a collection's data, in the engine's own format
      set-aside/<time>-<name>           what nothing names and nobody has discarded

A collection's files exist before the catalog names them. When it stops naming them, it says in the same change that
they may be deleted. Whatever else it does not name is set aside at the next start, and never deleted: it may be the
remains of an interrupted change, or somebody's data.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trivium_serving.errors import StorageFull, TriviumError

if TYPE_CHECKING:
    from collections.abc import Iterator, Set
    from pathlib import Path

_logger = logging.getLogger(__name__)


class DataFolderError(TriviumError):
    """The data folder cannot be used as it is."""

    default_reason = "DATA_FOLDER"


class DataFolder:
    """The folder, locked until `release` or the end of the process.

    Args:
        root: Where it is; made if it does not exist.

    Raises:
        DataFolderError: Another process holds it, or it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog_path = root / "catalog.json"
        self.catalog_copy_path = root / "catalog.copy.json"
        self.collections_path = root / "collections"
        self._set_aside_path = root / "set-aside"
        try:
            self.collections_path.mkdir(parents=True, exist_ok=True)
            self.is_read_only = not os.access(root, os.W_OK)
            mode = os.O_RDONLY if self.is_read_only else os.O_RDWR | os.O_CREAT
            self._lock = os.open(root / "lock", mode | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderError(
                f"cannot use the data folder {root}: {error.strerror}. Set TRIVIUM_DATA_DIR to a folder that this user "
                "can write to."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise DataFolderError(
                f"the data folder {root} is served by another process (pid {holder}). Stop that one, or set "
                "TRIVIUM_DATA_DIR to another folder."
            ) from error
        with suppress(OSError):  # full or read-only: only the error above is the poorer for it
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Lets another process have the folder."""
        os.close(self._lock)

    def collection_path(self, collection_id: str) -> Path:
        """Where all generations of a collection are."""
        return self.collections_path / collection_id

    def shard_path(self, collection_id: str, generation: int) -> Path:
        """Where one generation of a collection is."""
        return self.collection_path(collection_id) / str(generation)

    def has_collections(self) -> bool:
        """Whether there is anything that a catalog should name."""
        return any(self.collections_path.iterdir())

    def has(self, discarded: str) -> bool:
        """Whether there still is something at a path beneath the folder of collections."""
        return (self.collections_path / discarded).exists()

    def clear(self, parent: Path, kept: Set[str], discarded: Set[str]) -> None:
        """Deletes what is discarded directly beneath a folder, and sets aside whatever else is not kept.

        Args:
            parent: The folder.
            kept: Names in it that stay.
            discarded: Paths beneath the folder of collections.
        """
        for path in list(parent.iterdir()):
            if path.name in kept:
                continue
            if str(path.relative_to(self.collections_path)) in discarded:
                _logger.info("deleting %s, which was discarded before the last end", path)
                remove_tree(path)
            else:
                self.set_aside(path)

    def set_aside(self, path: Path) -> None:
        """Moves something out of the way, for people to look at; nothing to do if it is not there."""
        if not path.exists():
            return
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = f"{moment}-{time.monotonic_ns()}-{'-'.join(path.relative_to(self.root).parts)}"
        try:
            self._set_aside_path.mkdir(exist_ok=True)
            path.rename(self._set_aside_path / name)
            sync_folder(self._set_aside_path)
        except OSError as error:
            _logger.error("no collection names %s, and it cannot be set aside: %s", path, error.strerror)
        else:
            _logger.error("no collection names %s: it is set aside as %s", path, self._set_aside_path / name)

    def set_aside_count(self) -> int:
        """How many things lie set aside."""
        try:
            return sum(1 for _ in self._set_aside_path.iterdir())
        except FileNotFoundError:
            return 0


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translates what the operating system says when something cannot be written.

    Raises:
        StorageFull: There is no room.
        DataFolderError: It cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"No space left on device: {path} cannot be written. Nothing was changed.") from error
        raise DataFolderError(
            f"cannot write {path}: {error.strerror}. Nothing was changed.", reason="CATALOG_UNWRITABLE"
        ) from error


def building_path(shard: Path) -> Path:
    """Where a copy of a shard is worked on; it is never served, and so never holds what the shard does not."""
    return shard.with_name(f"{shard.name}.optimized")


def remove_tree(path: Path) -> None:
    """Deletes a folder or file. What cannot be deleted is logged."""

    def report(_function: object, name: str, details: tuple[type[BaseException], BaseException, object]) -> None:
        _logger.warning("cannot delete %s: %s", name, details[1])

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=report)
    else:
        path.unlink(missing_ok=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a folder; the holes in its files, most of what an engine's file seems to be, stay holes."""
    shutil.copytree(source, target, copy_function=_copy_with_holes)


def _copy_with_holes(source: str, target: str) -> None:
    with open(source, "rb") as reading, open(target, "wb") as copied:
        size = os.fstat(reading.fileno()).st_size
        for start, end in data_ranges(reading.fileno(), size):
            copied.seek(start)
            while start < end and (count := os.sendfile(copied.fileno(), reading.fileno(), start, end - start)):
                start += count
        copied.truncate(size)


def data_ranges(file: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of an open file of a size that are no holes, in their order."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole to the end
                return
            raise
        end = min(os.lseek(file, start, os.SEEK_HOLE), size)
        yield start, end


def size_on_disk(path: Path) -> int:
    """How many bytes the files beneath a folder take, without their holes."""
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file's content so that at any time the old or the new is there in full, on the disk.

    Raises:
        OSError: It could not be written; the old content is still there.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    try:
        sync_folder(path.parent)
    except OSError as error:  # the new content is there; whether it would survive a loss of power is not known
        _logger.error("cannot force %s to the disk: %s", path.parent, error.strerror)


def sync_files(path: Path) -> None:
    """Forces the files and folders beneath a folder, and itself, to the disk; what goes meanwhile is no error."""
    for parent, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                _sync(os.path.join(parent, name))
        with suppress(FileNotFoundError):
            _sync(parent)


def sync_folder(path: Path) -> None:
    """Forces a folder's list of names to the disk."""
    _sync(str(path))


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
