"""Versions of documents: each write makes one of its own, and chunk 0 says which one counts."""

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.readers import EVERYONE, Readers

__all__ = [
    "ABANDONED_SECONDS",
    "DocumentVersions",
    "age_seconds",
    "begun_at",
    "content_hash_of",
    "copied_version",
    "current_version",
    "is_abandoned",
    "is_copy",
    "is_copy_of",
    "new_version",
]

ABANDONED_SECONDS = 3600.0
"""The age at which a version that is not committed is taken for what a crash has left. No write takes half as long."""

_COPY = "of-"
"""Before the mark of the version that one is a copy of; where one is not, there is a random number."""


def new_version(content_hash: str) -> str:
    """Name a version that nobody else writes: the hash of its content, when it was begun, and a random part."""
    return f"{content_hash}.{int(time.time()):x}.{secrets.token_hex(8)}"


def copied_version(content_hash: str, original: str) -> str:
    """Name a version that is made of one in another index of the collection.

    Args:
        content_hash: The hash of its content, as it is for the new index.
        original: The version that it is a copy of.
    """
    return f"{content_hash}.{int(time.time()):x}.{_COPY}{_mark_of(original)}"


def is_copy(version: str) -> bool:
    """Whether a version was made of one in another index."""
    return version.rpartition(".")[2].startswith(_COPY)


def is_copy_of(version: str, original: str) -> bool:
    """Whether a version was made of a certain one."""
    return version.endswith(f".{_COPY}{_mark_of(original)}")


def _mark_of(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:16]


def content_hash_of(version: str) -> str:
    """Give the hash of a version's content."""
    return version.partition(".")[0]


def begun_at(version: str) -> float | None:
    """Give the Unix time at which a version was begun; None for those written before versions said so."""
    begun = version.split(".")[1:2]
    return float(int(begun[0], 16)) if begun else None


def age_seconds(version: str) -> float:
    """Give the time since a version was begun; infinite for those written before versions said so."""
    begun = begun_at(version)
    return float("inf") if begun is None else time.time() - begun


def is_abandoned(version: str) -> bool:
    """Whether nobody can be writing a version any more."""
    return age_seconds(version) > ABANDONED_SECONDS


@dataclass(slots=True)
class DocumentVersions:
    """What is stored of one document. More than one version is there while it is written, and after a crash.

    Attributes:
        heads: Chunk 0 of each version that was committed, by version. There is one, but for documents that earlier
            versions of Trivium wrote, whose chunk 0 does not replace that of the version before.
        chunk_counts: Number of chunks of each version, those included that were never committed.
    """

    heads: dict[str, Chunk] = field(default_factory=dict)
    chunk_counts: dict[str, int] = field(default_factory=dict)

    def current(self) -> str | None:
        """Give the version that counts; None if there is none."""
        return current_version(self.heads)

    @property
    def readers(self) -> Readers:
        """Who may read the version that counts; everyone, if there is none."""
        current = self.current()
        return EVERYONE if current is None else self.heads[current].readers

    def is_whole(self, version: str) -> bool:
        """Whether all chunks of a committed version are there, as far as its chunk 0 can tell."""
        return self.chunk_counts[version] >= self.heads[version].chunk_count

    def dead(self) -> list[str]:
        """Give the versions that may be deleted with the document, or once another one took their place.

        A version that is neither committed nor abandoned may be one that another gateway is writing now.
        """
        return [version for version in self.chunk_counts if version in self.heads or is_abandoned(version)]


def current_version(committed: Iterable[str]) -> str | None:
    """Give the one of some committed versions of a document that all gateways show.

    The chunk 0 that replaces others goes before those that do not; of these, any will do that all agree on.
    """
    return max(committed, key=lambda version: ("." in version, version), default=None)
