"""Cuts what an address holds into parts, each of which one worker reads and sends."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trivium_client._documents import NewDocument
from trivium_client._files import Unreadable
from trivium_client._sending import Source
from trivium_client.bulk.rows import PARQUET_ENDING, row_groups
from trivium_client.sync.sources import SourceFile, open_source

__all__ = ["PART_DOCUMENTS", "FilesPart", "Part", "parts_of"]

PART_DOCUMENTS = 500
"""About how many documents a part has. What a worker that dies has begun is begun anew, so it should be minutes."""


class Part(ABC):
    """Some documents, the same ones in each run as long as their files do not change. It can be pickled.

    Attributes:
        count: How many documents there are.
        stamp: Stays the same as long as nothing of them changes; empty if nothing tells that.
    """

    count: int
    stamp: str

    @abstractmethod
    def sources(self) -> Iterator[Source]:
        """Its documents, in their order."""


@dataclass(frozen=True)
class FilesPart(Part):
    """Some files.

    Attributes:
        files: The files.
        default_ids: What their documents are called if they are new.
        readers: Who may read them; see `NewDocument`.
        count: How many there are.
        stamp: See `Part`.
    """

    files: Sequence[SourceFile]
    default_ids: Sequence[str]
    readers: Sequence[str]
    count: int
    stamp: str

    @classmethod
    def of(cls, files: Sequence[SourceFile], default_ids: Sequence[str], readers: Sequence[str]) -> "FilesPart":
        """Makes one."""
        told = [(file.uri, file.stamp, name) for file, name in zip(files, default_ids, strict=True)]
        known = all(file.stamp for file in files)
        return cls(files, default_ids, readers, len(files), _digest(told, readers) if known else "")

    def sources(self) -> Iterator[Source]:
        """The files."""
        for file, name in zip(self.files, self.default_ids, strict=True):
            yield Source(file.uri, lambda file=file, name=name: self._read(file, name))  # type: ignore[misc]

    def _read(self, file: SourceFile, name: str) -> NewDocument:
        if not name:
            raise Unreadable("DUPLICATE_ID", f"another file has the same id, {file.key}: name a folder that holds both")
        return replace(file.read(), default_id=name, readers=self.readers)


def parts_of(
    addresses: Sequence[str],
    *,
    metadata: Mapping[str, Any] | None = None,
    readers: Sequence[str] = (),
    part_documents: int = PART_DOCUMENTS,
) -> tuple[list[Part], dict[str, int]]:
    """Cuts what some addresses hold into parts.

    Args:
        addresses: Folders, addresses that fsspec knows (`s3://bucket/manuals`), and Parquet files, whose names may have
            wildcards (`s3://bucket/rows/*.parquet`): of these each group of rows is a part.
        metadata: Facts about all documents. What is said of one goes before.
        readers: Who may read the documents, unless a row says so; see `NewDocument`.
        part_documents: About how many files are a part.

    Returns:
        The parts, and how many files were passed over, by their ending.

    Raises:
        SourceUnavailable: An address cannot be looked at.
        InvalidRequest: What reads it is not installed (EXTRA_MISSING), or a file is no Parquet (INVALID_DOCUMENT).
    """
    parts: list[Part] = []
    skipped: dict[str, int] = {}
    taken: set[str] = set()
    for address in addresses:
        if address.endswith(PARQUET_ENDING):
            parts += row_groups(address, metadata or {}, readers)
            continue
        listing = open_source(address, metadata=metadata).list()
        for ending, count in listing.skipped.items():
            skipped[ending] = skipped.get(ending, 0) + count
        for files in _cut(listing.files, part_documents):
            names = ["" if file.key in taken or taken.add(file.key) else file.key for file in files]  # type: ignore[func-returns-value]
            parts.append(FilesPart.of(files, names, readers))
    return parts, skipped


def _cut(files: Sequence[SourceFile], about: int) -> Iterator[Sequence[SourceFile]]:
    """Cuts behind files that their addresses choose: so a new file changes the part that it is in, and no other."""
    part: list[SourceFile] = []
    for file in files:
        part.append(file)
        chosen = int.from_bytes(hashlib.sha256(file.uri.encode(errors="replace")).digest()[:8], "big")
        if chosen % about == 0 or len(part) == 4 * about:
            yield part
            part = []
    if part:
        yield part


def _digest(*told: object) -> str:
    return hashlib.sha256(repr(told).encode(errors="replace")).hexdigest()[:32]
