"""The files that documents came in, as they came: to be looked at and taken away again, never searched."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_formats import FORMATS, Format

from trivium_gateway.access.private_files import open_private
from trivium_gateway.domain.names import alias_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["Original", "OriginalFile", "Originals"]

_logger = logging.getLogger(__name__)

_DIGEST_CHARACTERS = 40
_RESERVE_BYTES = 256 * 1024 * 1024
_RESERVE_SHARE = 8
# A file that is being written; of an hour ago nobody writes it any more.
_PARTIAL = "."
_PARTIAL_SECONDS = 3600.0
_FORMATS = {one.name: one for one in FORMATS}


@dataclass(frozen=True, slots=True)
class Original:
    """What a document's text was taken out of.

    Attributes:
        document_id: The document.
        text: Its stored text. A file is given back only for the very text that was taken out of it.
        data: The file; None for a document that came as text.
        format_name: The file's format.
        is_carried: Whether the document was exported, and comes without its file: that of the very text stays.
    """

    document_id: str
    text: str
    data: bytes | None
    format_name: str
    is_carried: bool = False


@dataclass(frozen=True, slots=True)
class OriginalFile:
    """A file that is kept.

    Attributes:
        path: Where.
        format: Its format.
        size: Its bytes.
    """

    path: Path
    format: Format
    size: int

    @property
    def media_type(self) -> str:
        """The media type of its format."""
        return self.format.media_types[0] if self.format.media_types else "application/octet-stream"


class Originals:
    """A folder of such files: `<tenant>/<collection>/<document>.<text>.<format>`, the first four as digests.

    A document has at most one. It is written once the document is, and deleted before the document is, so that a crash
    leaves a document without its file, and never a file without its document. What does not fit is not kept, and the
    document is there all the same.

    Args:
        folder: Made with the first file, for the owner only.
        most_bytes: Most bytes of all files, and twice those of one tenant's; 0 to keep none.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._sizes: dict[str, int] | None = None  # by tenant's folder
        self._lock = threading.Lock()

    async def keep(self, collection: ResolvedCollection, originals: Sequence[Original]) -> None:
        """Keep the files of documents that have just been written, or are stored as they are; earlier ones go."""
        if self._is_used():
            await asyncio.to_thread(self._keep_all, collection, originals)

    async def forget(self, collection: ResolvedCollection, document_ids: Sequence[str]) -> None:
        """Delete the files of documents that are about to be deleted."""
        if document_ids and self._folder.is_dir():
            await asyncio.to_thread(self._forget_all, collection, document_ids)

    async def forget_collection(self, tenant: str, name: str) -> None:
        """Delete the files of all documents of a collection that is about to be deleted."""
        folder = self._folder / _digest(tenant) / _digest(alias_of(tenant, name))
        if folder.is_dir():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            self._sizes = None  # counted anew

    async def find(self, collection: ResolvedCollection, document_id: str, text: str) -> OriginalFile | None:
        """Give the file that a document's stored text was taken out of; None if it is not kept."""
        if not self._folder.is_dir():
            return None
        return await asyncio.to_thread(self._find, collection, document_id, text)

    def _is_used(self) -> bool:
        return self._most_bytes > 0 or self._folder.is_dir()

    def _find(self, collection: ResolvedCollection, document_id: str, text: str) -> OriginalFile | None:
        wanted = f".{_digest(text)}."
        for path in self._files_of(collection, document_id):
            found = _FORMATS.get(path.suffix[1:])
            if wanted in path.name and found is not None:
                try:
                    return OriginalFile(path, found, path.stat().st_size)
                except FileNotFoundError:  # deleted since
                    return None
        return None

    def _keep_all(self, collection: ResolvedCollection, originals: Sequence[Original]) -> None:
        for one in originals:
            files = self._files_of(collection, one.document_id)
            name = f"{_digest(one.document_id)}.{_digest(one.text)}.{one.format_name}"
            if one.is_carried:
                own = name.removesuffix(one.format_name)
                self._remove(collection.tenant, [path for path in files if not path.name.startswith(own)])
                continue
            self._remove(collection.tenant, [path for path in files if path.name != name or one.data is None])
            if one.data is None or any(path.name == name for path in files):
                continue
            try:
                self._write(collection, name, one.data)
            except OSError as error:
                _logger.warning("the file of a document is not kept, the document is: %s", error)

    def _write(self, collection: ResolvedCollection, name: str, data: bytes) -> None:
        folder = self._folder_of(collection, name)
        tenant = _digest(collection.tenant)
        with self._lock:
            sizes = self._counted()
            own, everyones = sizes.get(tenant, 0) + len(data), sum(sizes.values()) + len(data)
            if own > self._most_bytes // 2 or everyones > self._most_bytes:
                return
            sizes[tenant] = own
        partial = folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            with os.fdopen(open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                disk = shutil.disk_usage(folder)
                if disk.free - len(data) < min(_RESERVE_BYTES, disk.total // _RESERVE_SHARE):
                    raise OSError("what is left of the disk is for others")
                file.write(data)
            partial.rename(folder / name)
        except OSError:
            partial.unlink(missing_ok=True)
            self._freed(collection.tenant, len(data))
            raise

    def _forget_all(self, collection: ResolvedCollection, document_ids: Sequence[str]) -> None:
        for document_id in document_ids:
            self._remove(collection.tenant, self._files_of(collection, document_id))

    def _remove(self, tenant: str, files: Sequence[Path]) -> None:
        for path in files:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:  # another gateway was quicker
                continue
            self._freed(tenant, size)

    def _freed(self, tenant: str, size: int) -> None:
        with self._lock:
            if self._sizes is not None:
                self._sizes[_digest(tenant)] = self._sizes.get(_digest(tenant), 0) - size

    def _files_of(self, collection: ResolvedCollection, document_id: str) -> list[Path]:
        digest = _digest(document_id)
        folder = self._folder_of(collection, digest)
        return list(folder.glob(f"{digest}.*")) if folder.is_dir() else []

    def _folder_of(self, collection: ResolvedCollection, name: str) -> Path:
        return self._folder / _digest(collection.tenant) / _digest(collection.alias) / name[:2]

    def _counted(self) -> dict[str, int]:
        """How much each tenant has; counted once, and from then on kept in step."""
        if self._sizes is None:
            tenants = list(self._folder.iterdir()) if self._folder.is_dir() else []
            self._sizes = {tenant.name: sum(map(_size_kept, tenant.rglob("*"))) for tenant in tenants}
        return self._sizes


def _size_kept(path: Path) -> int:
    """A file's bytes; one that a gateway that was killed left half written is deleted."""
    with suppress(FileNotFoundError):  # deleted since
        if path.is_file():
            found = path.stat()
            if not path.name.startswith(_PARTIAL) or time.time() - found.st_mtime < _PARTIAL_SECONDS:
                return found.st_size
            path.unlink()
    return 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
