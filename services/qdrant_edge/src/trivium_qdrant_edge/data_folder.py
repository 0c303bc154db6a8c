"""The folder that holds the database: its lock, its layout, and writes that are whole or did not happen.

    qdrant/
      lock                              held by the process that serves the folder
      catalog.json                      which collections and aliases there are
      collections/<id>/<generation>/    a collection's data, in the engine's own format

A collection's files exist before the catalog names them and are deleted after it stopped naming them, so whatever the
catalog does not name is left over from an interrupted change.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

if TYPE_CHECKING:
    from collections.abc import Iterable
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
        self.collections_path = root / "collections"
        try:
            self.collections_path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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

    def remove_all_but(self, known: Iterable[tuple[str, int]]) -> None:
        """Deletes what interrupted changes left behind.

        Args:
            known: Id and generation of each collection in the catalog.
        """
        generations = dict(known)
        for folder in self.collections_path.iterdir():
            kept = generations.get(folder.name)
            if kept is None:
                _logger.warning("deleting %s, left over from an interrupted change", folder)
                remove_tree(folder)
                continue
            for other in folder.iterdir():
                if other.name != str(kept):
                    _logger.warning("deleting %s, left over from an interrupted change", other)
                    remove_tree(other)


def remove_tree(path: Path) -> None:
    """Deletes a folder or file. What cannot be deleted is logged; the next start tries again."""

    def report(_function: object, name: str, details: tuple[type[BaseException], BaseException, object]) -> None:
        _logger.warning("cannot delete %s: %s", name, details[1])

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=report)
    else:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file's content so that at any time the old or the new is there in full, on the disk.

    Raises:
        OSError: It could not be written; the old content is still there.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_files(path: Path) -> None:
    """Forces what was written to the files beneath a folder to the disk; files that go meanwhile are no error."""
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                file = os.open(os.path.join(parent, name), os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                os.fsync(file)
            finally:
                os.close(file)


def sync_folder(path: Path) -> None:
    """Forces a folder's list of names to the disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
