"""Does what a plan says."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from trivium_client._client import Trivium
from trivium_client._documents import DocumentError, DocumentResult, NewDocument
from trivium_client._files import Unreadable
from trivium_client.sync.memory import Memory, Seen
from trivium_client.sync.planning import Deletions, Plan, Sending, hash_of, make_plan
from trivium_client.sync.sources import Source

_SAVED_EVERY = 256
_DELETED_AT_ONCE = 500


@dataclass(slots=True)
class SyncReport:
    """What was done.

    Attributes:
        counts: How many files were `new`, `changed`, `moved`, `unchanged`, `deleted`, `kept` and `failed`. A file that
            was read and says what is stored already is unchanged; what was moved is not deleted.
        failed: Files that could not be stored, and why; what is stored of them stays.
        skipped: What was passed over, by ending or kind.
        unseen: Where nobody could look; what is stored of it stays.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, DocumentError]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A file on its way."""

    sending: Sending
    file_hash: str
    size: int


class Synchronizer:
    """Makes what is stored of a source equal to it.

    New and changed files are sent first, and what is gone is deleted last, so that at no time anything is missing that
    the source has.

    Args:
        trivium: The gateway.
        source: The source.
        memory: What was seen of it.
        collection: Where it is kept; empty for `default`.
        deletions: What becomes of documents whose files are gone.
    """

    def __init__(
        self,
        trivium: Trivium,
        source: Source,
        memory: Memory,
        *,
        collection: str = "",
        deletions: Deletions = Deletions.BOUNDED,
    ) -> None:
        self._trivium = trivium
        self._source = source
        self._memory = memory
        self._collection = collection
        self._deletions = deletions

    def plan(self) -> Plan:
        """Compare; changes nothing.

        Raises:
            SourceUnavailable: The source as a whole is not there.
            TooManyDeletions: Too many documents would go.
            TriviumError: The gateway cannot say what is stored.
        """
        listing = self._source.list()
        documents = self._trivium.list_documents(collection=self._collection)
        return make_plan(self._source, listing, documents, self._memory, self._deletions)

    def run(self, plan: Plan, on_progress: Callable[[SyncReport], None] = lambda _: None) -> SyncReport:
        """Do what a plan says. What was done is remembered, also if it breaks off.

        Args:
            plan: What to do.
            on_progress: Called after each file.

        Raises:
            TriviumError: The gateway cannot be reached, or refuses.
        """
        report = SyncReport(skipped=plan.skipped, unseen=plan.unseen)
        report.counts.update(unchanged=plan.unchanged_count, kept=len(plan.kept))
        moved_in_vain: set[str] = set()
        sent: deque[_Sent] = deque()
        try:
            documents = self._documents(plan, sent, report, moved_in_vain)
            for number, result in enumerate(self._trivium.ingest_stream(documents, collection=self._collection), 1):
                self._take(sent.popleft(), result, report, moved_in_vain)
                on_progress(report)
                if number % _SAVED_EVERY == 0:
                    self._memory.save()
            self._delete(plan, report, moved_in_vain)
        finally:
            self._memory.save()
        return report

    def _documents(
        self, plan: Plan, sent: deque[_Sent], report: SyncReport, moved_in_vain: set[str]
    ) -> Iterator[NewDocument]:
        for sending in plan.sendings:
            try:
                document = sending.file.read()
            except Unreadable as problem:
                moved_in_vain.add(sending.moved_from)
                _fail(report, sending, DocumentError(problem.reason, problem.message))
                continue
            data = document.data or b""
            sent.append(_Sent(sending, hash_of(data), len(data)))
            yield replace(
                document,
                id=sending.id,
                default_id=sending.default_id,
                moved_from=sending.moved_from,
                readers=self._source.readers,
            )

    def _take(self, sent: _Sent, result: DocumentResult, report: SyncReport, moved_in_vain: set[str]) -> None:
        sending = sent.sending
        if result.error is not None:
            moved_in_vain.add(sending.moved_from)
            _fail(report, sending, result.error)
            return
        file = sending.file
        report.counts["unchanged" if result.status == "unchanged" else sending.change] += 1
        self._memory.note(Seen(file.stamp, file.uri, sent.size, sent.file_hash, result.content_hash))

    def _delete(self, plan: Plan, report: SyncReport, moved_in_vain: set[str]) -> None:
        moved = {sending.moved_from for sending in plan.sendings}
        ids = [document.id for document in plan.deletions if document.id not in moved_in_vain]
        for start in range(0, len(ids), _DELETED_AT_ONCE):
            deleted = self._trivium.delete_documents(ids[start : start + _DELETED_AT_ONCE], collection=self._collection)
            report.counts["deleted"] += sum(one not in moved for one in deleted)
        stored = {sending.file.uri for sending in plan.sendings}
        for document in plan.deletions:
            if document.id not in moved_in_vain and document.uri not in stored:
                self._memory.forget(document.uri)


def _fail(report: SyncReport, sending: Sending, error: DocumentError) -> None:
    report.counts["failed"] += 1
    report.failed.append((sending.file.uri, error))
