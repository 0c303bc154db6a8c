"""What a source has: a folder of this machine, or an address that fsspec knows."""

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec

from trivium_client._batches import MAX_DOCUMENT_BYTES
from trivium_client._documents import NewDocument
from trivium_client._files import (
    FILE_ENDINGS,
    SIDECAR_ENDING,
    Unreadable,
    is_sidecar,
    sidecar_of,
    special_kind,
)

IGNORE_FILE = ".triviumignore"
"""At the root of a source: patterns of files to leave out, as in .gitignore."""

SETTLING_SECONDS = 2.0
"""A file that changed so short a time ago may change again within the same tick of its file system's clock."""


class SourceUnavailable(Exception):
    """The source cannot be looked at as a whole; says why. Nothing may be deleted because of it."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source.

    Attributes:
        key: Its path in the source, with slashes.
        uri: Where it is; identifies its document.
        size: Its size in bytes; None if that is not known.
        stamp: Stays the same as long as nothing of it changes; empty if nothing tells that.
        read: Reads it. Raises Unreadable.
    """

    key: str
    uri: str
    size: int | None
    stamp: str
    read: Callable[[], NewDocument]


@dataclass(slots=True)
class Listing:
    """What a source has now.

    Attributes:
        files: The files to take, in the order of their keys.
        skipped: What was passed over, by ending or kind.
        unseen: Where nobody could look: uris of folders, and of files. What is stored of them stays.
    """

    files: list[SourceFile] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unseen: list[str] = field(default_factory=list)


class Source(ABC):
    """Where documents come from.

    Args:
        uri: Its address, without a slash at the end.
        name: What to call it.
        ignore: Patterns of files to leave out, as in .gitignore.
        metadata: Facts about all of its files. What a file's sidecar says goes before.
        readers: Who may read its documents; see `NewDocument`.
    """

    def __init__(
        self, uri: str, name: str, ignore: Sequence[str], metadata: Mapping[str, Any], readers: Sequence[str]
    ) -> None:
        self.uri = uri
        self.name = name
        self.metadata = metadata
        self.readers = readers
        self._ignore = ignore
        facts = [metadata, sorted(readers)] if readers else metadata
        self._facts_stamp = _digest(json.dumps(facts, sort_keys=True, default=str).encode()) if facts else ""

    @abstractmethod
    def list(self) -> Listing:
        """Look at all files, without reading them.

        Raises:
            SourceUnavailable: The source as a whole is not there.
        """

    def has(self, uri: str) -> bool:
        """Whether a uri is one of the source's, now or before."""
        return uri.startswith(self.uri.rstrip("/") + "/")

    def _ignored(self, own: str) -> pathspec.PathSpec[Any]:
        return pathspec.GitIgnoreSpec.from_lines([*own.splitlines(), *self._ignore])

    def _is_taken(self, key: str, listing: Listing) -> bool:
        path = PurePosixPath(key)
        if path.name.startswith(".") or path.suffix.lower() not in FILE_ENDINGS:
            if path.name != IGNORE_FILE:
                listing.skipped[path.suffix.lower() or path.name] += 1
            return False
        return True


class Folder(Source):
    """A folder of this machine. Links to folders are not followed; hidden files are left out."""

    def __init__(
        self,
        path: Path,
        ignore: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        readers: Sequence[str] = (),
    ) -> None:
        self._root = path.resolve()
        super().__init__(self._root.as_posix(), self._root.name, ignore, metadata or {}, readers)

    def list(self) -> Listing:
        """Look at all files: a stat for each."""
        if not self._root.is_dir():
            raise SourceUnavailable(f"there is no folder {self._root}")
        listing = Listing()
        try:
            os.listdir(self._root)
            own = self._root / IGNORE_FILE
            ignored = self._ignored(own.read_text() if own.is_file() else "")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceUnavailable(f"{self._root} cannot be read: {error}") from None
        listing.files = sorted(self._files(listing, ignored), key=lambda file: file.key)
        return listing

    def _files(self, listing: Listing, ignored: pathspec.PathSpec[Any]) -> Iterator[SourceFile]:
        def unseen(error: OSError) -> None:
            listing.unseen.append(Path(error.filename).as_posix())

        for parent, folders, files in os.walk(self._root, onerror=unseen):
            below = Path(parent).relative_to(self._root)
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".") and not ignored.match_file(f"{(below / name).as_posix()}/")
            ]
            for name in files:
                path, key = Path(parent, name), (below / name).as_posix()
                if ignored.match_file(key) or is_sidecar(path):
                    continue
                if special := special_kind(path):
                    listing.skipped[special] += 1
                elif self._is_taken(key, listing):
                    file = self._file(path, key)
                    if file is None:
                        listing.unseen.append(path.as_posix())
                    else:
                        yield file

    def _file(self, path: Path, key: str) -> SourceFile | None:
        try:
            state = path.stat()
            sidecar = Path(f"{path}{SIDECAR_ENDING}")
            beside = sidecar.stat().st_mtime_ns if sidecar.exists() else 0
        except OSError:
            return None
        changed = max(state.st_mtime_ns, state.st_ctime_ns, beside)
        stamp = f"{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_size}:{state.st_ino}:{beside}:{self._facts_stamp}"
        if time.time() - changed / 1e9 < SETTLING_SECONDS:
            stamp = ""
        return SourceFile(key, path.as_posix(), state.st_size, stamp, lambda: self._read(path))

    def _read(self, path: Path) -> NewDocument:
        try:
            if special := special_kind(path):
                raise Unreadable("NOT_A_FILE", f"it is a {special}")
            check_size(path.stat().st_size)
            document = NewDocument.from_file(path, metadata={**self.metadata, **sidecar_of(path)})
        except OSError as error:
            raise Unreadable("UNREADABLE", error.strerror or str(error)) from None
        return replace(document, uri=path.as_posix())


def open_source(
    address: str,
    ignore: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    readers: Sequence[str] = (),
) -> Source:
    """Open a source.

    Args:
        address: A folder, or an address that fsspec knows: `s3://bucket/manuals`, `gs://`, `https://`, `github://`.
        ignore: Patterns of files to leave out, as in .gitignore.
        metadata: Facts about all files.
        readers: Who may read the documents; see `NewDocument`.

    Raises:
        SourceUnavailable: The address needs a library that is not installed, or none knows it.
    """
    if "://" not in address and "::" not in address:
        return Folder(Path(address), ignore, metadata, readers)
    from trivium_client.sync.remote import RemoteSource

    return RemoteSource(address, ignore, metadata, readers)


def check_size(size: int) -> None:
    """Refuse a file that fits in no message.

    Raises:
        Unreadable: It is one.
    """
    if size > MAX_DOCUMENT_BYTES:
        raise Unreadable("TOO_LARGE", f"it has {size:,} bytes; at most {MAX_DOCUMENT_BYTES:,} can be sent")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
