"""What is asked of jobs, checked against who asks and what is allowed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, InvalidField, NotFound, Overloaded, Unavailable

from trivium_gateway.domain.limits import GatewayLimits, check_document_count, check_page_size
from trivium_gateway.ingestion.finishing import to_the_end
from trivium_gateway.ingestion.windows import each_of
from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.metering.kinds import Operation
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Sequence

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.ingestion.jobs.job import Job, KeptDocument
    from trivium_gateway.ingestion.jobs.runner import JobRunner
    from trivium_gateway.ingestion.jobs.spool import Spool, SpoolFile
    from trivium_gateway.ingestion.jobs.store import JobStore
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.documents import NewDocument
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.request.principal import Principal

__all__ = ["Jobs"]

_COLLECTION_SECONDS = 2.0
_FAILURES_IN_LISTS = 10
_NOTED_CHARACTERS = 128


class Jobs:
    """Jobs. Each sees its own; who keeps all documents of a tenant, all of its.

    Args:
        store: Where they are kept.
        spool: Where the bytes of their documents are.
        runner: Runs them.
        collections: Where documents can go.
        limits: What is allowed.
        max_bytes: Most bytes of documents that are kept, of all tenants together; half of it of one. 0 for no jobs.
        quotas: Counts what is used, and limits it.
        audit: Notes who did what.
    """

    def __init__(
        self,
        store: JobStore,
        spool: Spool,
        runner: JobRunner,
        collections: Collections,
        limits: GatewayLimits,
        max_bytes: int,
        quotas: Quotas,
        audit: AuditLog,
    ) -> None:
        self._store = store
        self._spool = spool
        self._runner = runner
        self._collections = collections
        self._limits = limits
        self._max_bytes = max_bytes
        self._quotas = quotas
        self._audit = audit

    async def add(
        self,
        principal: Principal,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        job_id: str = "",
        max_documents: int,
    ) -> Job:
        """Takes documents, to add or replace them without the caller. What was taken survives a crash.

        Sending them again to the same job changes nothing: it has each id once, with what came last.

        Args:
            principal: Whose documents.
            collection: Name of the collection; empty for `default`.
            documents: The documents.
            job_id: The job to add them to; empty for a new one.
            max_documents: Most documents in one call.

        Raises:
            TooLarge: There are more documents than that, or in the job than it may have.
            QuotaExceeded: The principal has used what it may.
            Unavailable: This gateway takes no jobs, or cannot keep any now (JOBS_UNAVAILABLE).
            Overloaded: There are too many jobs (TOO_MANY_JOBS), or bytes of their documents (JOBS_FULL).
            StorageFull: The disk has no room.
            NotFound: There is no such job, or collection.
            TriviumError: See JobStore.add.
        """
        collection = collection or DEFAULT_COLLECTION
        await self._audit.permit(principal, Scope.INGEST, "jobs.start", collection=collection)
        await self._begin(principal, Operation.INGEST)
        if not self._max_bytes:
            raise Unavailable(
                "This gateway takes no jobs. Wait for the documents, or send them to a gateway that takes some.",
                reason="JOBS_UNAVAILABLE",
            )
        with suppress(Unavailable, Overloaded, DeadlineExceeded, TimeoutError):  # the job will wait for it
            async with asyncio.timeout(_COLLECTION_SECONDS):
                await self._collections.resolve(collection, tenant=principal.tenant)
        if job_id:
            self._store.check(job_id)
        else:
            await self._make_room(principal)
        file = await asyncio.to_thread(self._spool.create)
        try:
            kept = await self._write(principal, file, documents, max_documents)
        except BaseException:
            await asyncio.to_thread(file.discard)
            raise
        # A caller that leaves now must not leave documents behind that have no bytes.
        async with self._audit.action(principal, "jobs.start", collection=collection, subject=job_id) as entry:
            job = await to_the_end(asyncio.to_thread(self._keep, principal, collection, job_id, file, kept))
            entry.subject = job.id
        self._runner.wake()
        return job

    async def get(self, principal: Principal, job_id: str, *, page_size: int, page_token: str) -> tuple[Job, str]:
        """Returns a job with the failures of some of its documents, and the token of the next; see JobStore.get."""
        await self._begin(principal, Operation.OTHER)
        check_page_size(page_size, self._limits)
        if not (page_token.isascii() and page_token.isdigit() and len(page_token) < 19) and page_token:
            raise InvalidField("page_token", "The page token is not one that the gateway gave.")
        self._store.check(job_id)
        job, last = await asyncio.to_thread(
            self._store.get, principal.keeper, job_id, failures=page_size, after=int(page_token or 0)
        )
        return job, str(last or "")

    async def page(self, principal: Principal, *, page_size: int, page_token: str) -> tuple[list[Job], str]:
        """Returns a page of the principal's jobs, the latest first, and the token of the next."""
        await self._begin(principal, Operation.OTHER)
        check_page_size(page_size, self._limits)
        if not self._store.exists:
            return [], ""
        try:
            jobs = await asyncio.to_thread(
                self._store.page,
                principal.keeper,
                limit=page_size + 1,
                before=page_token,
                failures=_FAILURES_IN_LISTS,
            )
        except NotFound:
            raise InvalidField("page_token", "The job at which this page begins is forgotten. Begin anew.") from None
        return jobs[:page_size], jobs[page_size - 1].id if len(jobs) > page_size else ""

    async def delete(self, principal: Principal, job_id: str) -> tuple[Job, bool]:
        """Ends a job that goes on; forgets one that has ended, and says whether it did."""
        async with self._audit.action(principal, "jobs.delete", subject=job_id[:_NOTED_CHARACTERS]):
            await self._begin(principal, Operation.OTHER)
            self._store.check(job_id)
            job, forgotten, gone = await asyncio.to_thread(self._store.cancel_or_forget, principal.keeper, job_id)
        self._runner.stop(job_id)
        await asyncio.to_thread(self._spool.remove, *gone)
        return job, forgotten

    async def retry(self, principal: Principal, job_id: str) -> Job:
        """Has the documents of a job that failed, or were cancelled, tried again."""
        async with self._audit.action(principal, "jobs.retry", subject=job_id[:_NOTED_CHARACTERS]):
            await self._begin(principal, Operation.OTHER)
            self._store.check(job_id)
            job = await asyncio.to_thread(self._store.retry, principal.keeper, job_id)
        self._runner.wake()
        return job

    async def _begin(self, principal: Principal, operation: Operation) -> None:
        principal.require(Scope.INGEST)
        await self._quotas.begin(principal, operation)

    def _keep(
        self, principal: Principal, collection: str, job_id: str, file: SpoolFile, documents: Sequence[KeptDocument]
    ) -> Job:
        try:
            file.keep()
            return self._store.add(
                principal.keeper,
                collection,
                job_id,
                (file.name, file.size),
                documents,
                self._limits.max_job_documents,
                key_id=principal.key_id,
            )
        except BaseException:
            file.discard()
            raise

    async def _make_room(self, principal: Principal) -> None:
        free, gone = await asyncio.to_thread(self._store.make_room, principal.tenant, self._limits.max_jobs)
        await asyncio.to_thread(self._spool.remove, *gone)
        if not free:
            raise Overloaded(
                f"{self._limits.max_jobs} jobs have not ended. Wait for some, add to one of them, or cancel some.",
                reason="TOO_MANY_JOBS",
                retry_after_seconds=30,
            )

    async def _write(
        self,
        principal: Principal,
        file: SpoolFile,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        max_documents: int,
    ) -> list[KeptDocument]:
        own, others = await asyncio.to_thread(self._store.bytes_kept, principal.tenant)
        most = min(self._max_bytes - others, self._max_bytes // 2 - own)
        kept: list[KeptDocument] = []
        async with aclosing(each_of(documents)) as each:
            async for document in each:
                check_document_count(len(kept) + 1, max_documents)
                size = len(document.data or document.text or "")
                if file.size + size > most:
                    raise self._full(size)
                kept.append(await asyncio.to_thread(file.append, document))
        return kept

    def _full(self, size: int) -> Overloaded:
        return Overloaded(
            f"The documents of jobs may take {self._max_bytes} bytes of the disk, and half of that for one tenant; "
            f"{size} more do not fit. Wait until some are in, or forget jobs whose documents failed.",
            reason="JOBS_FULL",
            retry_after_seconds=10,
        )
