"""The bytes of documents that wait, in files of their own: one for each call that brought some."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, StorageFull, Unavailable

from trivium_gateway.access.databases import is_full
from trivium_gateway.access.private_files import open_private
from trivium_gateway.ingestion.jobs.job import KeptDocument
from trivium_gateway.ingestion.preparation import document_id_of
from trivium_gateway.library.documents import NewDocument

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

__all__ = ["Spool", "SpoolFile", "unusable"]

_FIELDS = ("id", "title", "uri", "metadata", "filename", "media_type", "default_id", "moved_from", "readers")
_ORPHANED_SECONDS = 3600.0
"""A file that nobody knows is older than this: a younger one may be on its way."""
_RESERVE_BYTES = 256 * 1024 * 1024
_RESERVE_SHARE = 8


class Spool:
    """A folder of such files. Everything here blocks.

    Args:
        folder: Made with the first file, for the owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> SpoolFile:
        """Begins a file.

        Raises:
            StorageFull: There is no room.
            Unavailable: The folder cannot be written to.
        """
        name = uuid.uuid4().hex
        try:
            return SpoolFile(self._folder / name)
        except OSError as error:
            raise unusable(error) from error

    def read(self, name: str, kept: KeptDocument) -> NewDocument:
        """Gives a document as it came; one whose bytes are gone says that it has failed."""
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(kept.start)
                content = file.read(kept.size)
            if len(content) < kept.size:
                raise OSError(errno.EIO, "the file is shorter than it was")
        except OSError:
            failure = InvalidField(
                "file", "The gateway has lost the document's bytes. Send it again.", reason="DOCUMENT_LOST"
            )
            return NewDocument(**json.loads(kept.fields), text="", failure=failure)
        document = NewDocument(**json.loads(kept.fields))
        if kept.is_text:
            return replace(document, text=content.decode("utf-8", "surrogatepass"))
        return replace(document, data=content)

    def remove(self, *names: str) -> None:
        """Deletes files, if they are there."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def remove_orphans(self, known: Set[str]) -> None:
        """Deletes old files that nobody knows: a crash left them."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name not in known and time.time() - path.stat().st_mtime > _ORPHANED_SECONDS:
                path.unlink(missing_ok=True)


class SpoolFile:
    """One file while it is written.

    Args:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.size = 0
        self._path = path
        self._file = os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")
        total = shutil.disk_usage(path.parent).total
        self._reserve = min(_RESERVE_BYTES, total // _RESERVE_SHARE)

    def append(self, document: NewDocument) -> KeptDocument:
        """Writes a document's bytes.

        Raises:
            StorageFull: There is no room, or too little for everybody else.
            Unavailable: They cannot be written.
        """
        is_text = document.text is not None or document.data is None
        content = (document.text or "").encode("utf-8", "surrogatepass") if is_text else document.data or b""
        try:
            if shutil.disk_usage(self._path.parent).free - len(content) < self._reserve:
                raise OSError(errno.ENOSPC, "what is left is for others")
            self._file.write(content)
        except OSError as error:
            raise unusable(error) from error
        fields = {name: value for name in _FIELDS if (value := getattr(document, name))}
        document_id = document_id_of(document)
        kept = KeptDocument(
            id=document_id.encode(errors="replace").decode(),
            key=hashlib.sha256(document_id.encode("utf-8", "surrogatepass")).hexdigest()[:32],
            fields=json.dumps(fields),
            is_text=is_text,
            start=self.size,
            size=len(content),
        )
        self.size += len(content)
        return kept

    def keep(self) -> None:
        """Closes the file, so that a crash does not take it back.

        Raises:
            StorageFull: There is no room.
            Unavailable: It cannot be written.
        """
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise unusable(error) from error

    def discard(self) -> None:
        """Deletes the file."""
        try:
            self._file.close()
        except OSError:
            pass  # what could not be written any more
        finally:
            self._path.unlink(missing_ok=True)


def unusable(error: Exception) -> StorageFull | Unavailable:
    """What a caller is told of an error of the disk, or of SQLite."""
    if is_full(error):
        return StorageFull(
            "The gateway's data folder has no room for the documents of a job. Make room there, then send them again."
        ).because(str(error))
    return Unavailable(
        "Jobs cannot be kept now, because the gateway's data folder cannot be used. Its log says why.",
        reason="JOBS_UNAVAILABLE",
    ).because(str(error))
