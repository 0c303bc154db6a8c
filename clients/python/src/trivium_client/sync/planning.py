"""What has to be done so that what is stored equals a source."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from trivium_client._documents import Document
from trivium_client._files import Unreadable
from trivium_client.sync.memory import Memory
from trivium_client.sync.sources import Listing, Source, SourceFile

_FEW = 3
"""So many documents may go without a question, if others stay."""

Change = Literal["new", "changed", "moved"]


class Deletions(Enum):
    """What becomes of documents whose files are gone."""

    BOUNDED = "bounded"
    """They go, but never more than half of them, and none if the source is empty."""
    ALL = "all"
    """They go, however many they are."""
    NONE = "none"
    """They stay."""


class TooManyDeletions(Exception):
    """More documents would go than anybody is likely to have meant.

    Attributes:
        count: How many would go.
        stored_count: How many are stored of the source.
    """

    def __init__(self, count: int, stored_count: int) -> None:
        super().__init__(
            f"{count} of the {stored_count} documents of this source would be deleted, because their files are gone. "
            "Nothing was changed. If that is meant, say --delete; to keep them, --keep"
        )
        self.count = count
        self.stored_count = stored_count


@dataclass(frozen=True, slots=True)
class Sending:
    """A file whose document has to be sent.

    Attributes:
        file: The file.
        change: Why.
        id: The id of its document, if it is stored; else empty.
        default_id: The id that it gets otherwise.
        moved_from: The document that it was; empty unless it was moved.
    """

    file: SourceFile
    change: Change
    id: str = ""
    default_id: str = ""
    moved_from: str = ""


@dataclass(slots=True)
class Plan:
    """What has to be done.

    Attributes:
        sendings: What to send, in the order of the files.
        deletions: Documents to delete once all is sent.
        kept: Documents whose files are gone, and that stay.
        unchanged_count: Files whose documents are as they should be.
        skipped: What was passed over, by ending or kind.
        unseen: Where nobody could look.
    """

    sendings: list[Sending] = field(default_factory=list)
    deletions: list[Document] = field(default_factory=list)
    kept: list[Document] = field(default_factory=list)
    unchanged_count: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unseen: list[str] = field(default_factory=list)


def make_plan(
    source: Source, listing: Listing, documents: Iterable[Document], memory: Memory, deletions: Deletions
) -> Plan:
    """Compare what a source has with what is stored.

    Args:
        source: The source.
        listing: What it has.
        documents: All documents of the collection.
        memory: What was seen of the files before.
        deletions: What becomes of documents whose files are gone.

    Raises:
        TooManyDeletions: Too many documents would go.
    """
    plan = Plan(skipped=listing.skipped, unseen=listing.unseen)
    stored: dict[str, list[Document]] = {}
    uri_of: dict[str, str] = {}
    for document in documents:
        uri_of[document.id] = document.uri
        # What is in a mail or an archive comes and goes with it.
        if source.has(document.uri) and not document.container:
            stored.setdefault(document.uri, []).append(document)
    there = {file.uri for file in listing.files}
    gone = [
        document
        for uri, those in stored.items()
        if uri not in there and not _is_unseen(uri, listing.unseen)
        for document in those
    ]
    moves = _Moves(gone, memory)
    for file in listing.files:
        own, others = _own(stored.get(file.uri, []), file.key)
        plan.deletions += others
        if own is not None and _is_unchanged(file, own, memory):
            plan.unchanged_count += 1
        elif own is not None:
            plan.sendings.append(Sending(file, "changed", own.id))
        else:
            before = moves.find(file)
            default_id = _free_id(file, source, uri_of)
            uri_of.setdefault(default_id, file.uri)
            plan.sendings.append(
                Sending(
                    file, "moved" if before else "new", default_id=default_id, moved_from=before.id if before else ""
                )
            )
    lost = [document for document in gone if document.id not in moves.found]
    _check_deletions(len(lost), sum(map(len, stored.values())), bool(listing.files), deletions)
    if deletions is Deletions.NONE:
        plan.kept = lost
        lost = []
    plan.deletions += [*moves.found.values(), *lost]
    return plan


class _Moves:
    """Finds the document that a new file was before it was moved: the bytes are the same, and the old file is gone."""

    def __init__(self, gone: Iterable[Document], memory: Memory) -> None:
        self._by_size: dict[int, dict[str, Document]] = {}
        self.found: dict[str, Document] = {}
        for document in gone:
            if (seen := memory.get(document.uri)) and seen.content_hash == document.content_hash:
                self._by_size.setdefault(seen.size, {})[seen.file_hash] = document

    def find(self, file: SourceFile) -> Document | None:
        candidates = self._by_size.get(-1 if file.size is None else file.size)
        if not candidates:
            return None
        try:
            document = candidates.pop(hash_of(file.read().data or b""), None)
        except Unreadable:  # which sending it will say
            return None
        if document is not None:
            self.found[document.id] = document
        return document


def hash_of(content: bytes) -> str:
    """The hash by which a file is known again."""
    return hashlib.sha256(content).hexdigest()


def _is_unchanged(file: SourceFile, document: Document, memory: Memory) -> bool:
    seen = memory.get(file.uri)
    return bool(seen and file.stamp and seen.stamp == file.stamp and seen.content_hash == document.content_hash != "")


def _own(documents: list[Document], key: str) -> tuple[Document | None, list[Document]]:
    """Of several documents of one file, the one that stays, and the others."""
    ordered = sorted(documents, key=lambda document: (document.id != key, document.id))
    return (ordered[0], ordered[1:]) if ordered else (None, [])


def _free_id(file: SourceFile, source: Source, uri_of: dict[str, str]) -> str:
    """An id for a new document that none from elsewhere has. A document without a uri, as an upload, is taken over."""
    for candidate in (file.key, f"{source.name}/{file.key}"):
        if uri_of.get(candidate, "") in ("", file.uri):
            return candidate
    return file.uri


def _is_unseen(uri: str, unseen: list[str]) -> bool:
    return any(uri == place or uri.startswith(place.rstrip("/") + "/") for place in unseen)


def _check_deletions(count: int, stored_count: int, has_files: bool, deletions: Deletions) -> None:
    is_bold = count and (not has_files or (count > _FEW and 2 * count > stored_count))
    if is_bold and deletions is Deletions.BOUNDED:
        raise TooManyDeletions(count, stored_count)
