"""Documents and collections, for whoever may see or change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, NotFound

from trivium_gateway.domain.ids import checked_ids
from trivium_gateway.domain.limits import check_document_id, check_page_size
from trivium_gateway.domain.readers import checked_readers
from trivium_gateway.gateway.calls import CollectionCalls
from trivium_gateway.gateway.metered import BulkMeter
from trivium_gateway.gateway.results import each_result, log_causes
from trivium_gateway.library.documents import DocumentStatus
from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.metering.kinds import Kind, Operation
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Sequence

    from trivium_serving.pulse import Pulse

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.ingestion.ingester import Ingester
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.documents import DocumentResult, Documents, NewDocument, StoredDocument
    from trivium_gateway.library.metrics import DocumentMetrics
    from trivium_gateway.library.originals import Originals
    from trivium_gateway.library.permitting import Permissions
    from trivium_gateway.library.tuning import CollectionTuning
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.request.call_limit import CallLimit
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.principal import Principal

_WRITTEN = (DocumentStatus.INDEXED, DocumentStatus.UPDATED)


class Library:
    """Documents and collections, with bounded work.

    Attributes:
        calls: Lets calls about collections in.

    Args:
        collections: All collections.
        documents: What is in them.
        permissions: Says who may read them.
        ingester: Adds to them.
        originals: Where the files are kept that they came in.
        tuning: Changes how they are searched and judged.
        ingestions: Bounds the calls that add documents.
        calls: Bounds the other calls about documents and collections.
        quotas: Counts what is used, and limits it.
        audit: Notes who changed what.
        qdrant: Whether Qdrant answers at all.
        document_metrics: Where documents are counted.
        question_metrics: Where tokens are counted.
        limits: What is accepted.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        documents: Documents,
        permissions: Permissions,
        ingester: Ingester,
        originals: Originals,
        tuning: CollectionTuning,
        ingestions: CallLimit,
        calls: CallLimit,
        quotas: Quotas,
        audit: AuditLog,
        qdrant: Pulse,
        document_metrics: DocumentMetrics,
        question_metrics: QuestionMetrics,
        limits: GatewayLimits,
    ) -> None:
        self._collections = collections
        self._documents = documents
        self._permissions = permissions
        self._ingester, self._originals = ingester, originals
        self._tuning = tuning
        self._ingestions = ingestions
        self._quotas, self._meter = quotas, BulkMeter(quotas, question_metrics)
        self._audit = audit
        self.calls = CollectionCalls(collections, calls, quotas, audit, qdrant)
        self._document_metrics = document_metrics
        self._limits = limits

    async def create_collection(self, principal: Principal, name: str) -> CollectionDescription:
        """Creates a collection; see Collections.create."""
        async with self.calls.noted(principal, "collections.create", name) as collections:
            return await collections.create(name, reader=principal.reader)

    async def get_collection(self, principal: Principal, name: str) -> CollectionDescription:
        """Describes a collection; see Collections.get."""
        async with self.calls.call(principal, Scope.READ) as collections:
            return await collections.get(name, reader=principal.reader)

    async def list_collections(self, principal: Principal) -> list[CollectionDescription]:
        """Describes all collections; see Collections.list."""
        async with self.calls.call(principal, Scope.READ) as collections:
            return await collections.list(reader=principal.reader)

    async def delete_collection(self, principal: Principal, name: str) -> None:
        """Deletes a collection; see Collections.delete."""
        async with self.calls.noted(principal, "collections.delete", name) as collections:
            await self._originals.forget_collection(principal.tenant, name)
            await collections.delete(name, tenant=principal.tenant)

    async def change_settings(
        self,
        principal: Principal,
        name: str,
        settings: CollectionSettings,
        *,
        clear: Sequence[str] = (),
        note: str = "",
        based_on: int | None = None,
    ) -> CollectionDescription:
        """Changes how a collection is searched and judged; see CollectionTuning.change."""
        async with self.calls.noted(principal, "collections.set", name) as collections:
            await self._tuning.change(
                name, settings, clear=clear, note=note, based_on=based_on, tenant=principal.tenant
            )
            return await collections.get(name, reader=principal.reader)

    async def roll_back_settings(self, principal: Principal, name: str) -> CollectionDescription:
        """Takes the last change of a collection's settings back; see CollectionTuning.roll_back."""
        async with self.calls.noted(principal, "collections.roll-back", name) as collections:
            await self._tuning.roll_back(name, tenant=principal.tenant)
            return await collections.get(name, reader=principal.reader)

    async def ingest(
        self,
        principal: Principal,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
    ) -> list[DocumentResult]:
        """Adds or replaces documents; see Ingester.ingest. What is written when the time is over stays.

        Args:
            principal: Whose documents.
            collection: Name of the collection; empty for `default`.
            documents: The documents.
            max_documents: Most documents in one call.
        """
        where = collection or DEFAULT_COLLECTION
        await self._audit.permit(principal, Scope.INGEST, "documents.ingest", collection=where)
        await self._quotas.begin(principal, Operation.INGEST)
        async with self._ingestions.call(principal.tenant):
            return await self._ingest(principal, collection, documents, max_documents)

    async def ingest_unbounded(
        self,
        principal: Principal,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
    ) -> list[DocumentResult]:
        """The same as `ingest` beside the calls that are bounded, and counted, for who has its own of both."""
        await self._quotas.begin(principal, Operation.INGEST, requests=0)
        return await self._ingest(principal, collection, documents, max_documents)

    async def _ingest(
        self,
        principal: Principal,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        max_documents: int,
    ) -> list[DocumentResult]:
        where = collection or DEFAULT_COLLECTION
        async with self._audit.action(principal, "documents.ingest", collection=where) as entry:
            principal.require(Scope.INGEST)
            resolved = await self._collections.resolve(collection, tenant=principal.tenant)
            with self._meter.bulk(principal) as used:
                results = await self._ingester.ingest(
                    resolved, documents, max_documents=max_documents, reader=principal.keeper
                )
                used[Kind.DOCUMENTS] = sum(one.error is None and one.status in _WRITTEN for one in each_result(results))
            entry.documents = {
                one.id: one.error.reason if one.error else one.status.value for one in each_result(results)
            }
        log_causes(results)
        self._document_metrics.count_received(resolved.alias, results)
        return results

    async def get_document(self, principal: Principal, collection: str, document_id: str) -> StoredDocument:
        """Returns one document with its stored text.

        Raises:
            NotFound: There is no such document, or no such collection.
        """
        check_document_id(document_id, self._limits)
        async with self.calls.call(principal, Scope.READ) as collections:
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                raise NotFound(f"There is no document {document_id!r} in this collection.", reason="DOCUMENT_NOT_FOUND")
            return await self._documents.get(resolved, document_id, reader=principal.reader)

    async def list_documents(
        self, principal: Principal, collection: str, *, page_size: int, page_token: str
    ) -> tuple[list[StoredDocument], str]:
        """Returns a page of documents, and the token of the next; see Documents.list."""
        check_page_size(page_size, self._limits)
        async with self.calls.call(principal, Scope.READ) as collections:
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                return [], ""
            return await self._documents.list(
                resolved, page_size=page_size, page_token=page_token, reader=principal.reader
            )

    async def delete_documents(self, principal: Principal, collection: str, document_ids: Sequence[str]) -> list[str]:
        """Deletes documents; those that do not exist are passed over.

        Returns:
            The ids of those that were there.

        Raises:
            InvalidField: No id is given, or one is not a possible id.
        """
        if not document_ids:
            raise InvalidField("ids", "No document id is given.")
        for document_id in document_ids:
            check_document_id(document_id, self._limits)
        where = collection or DEFAULT_COLLECTION
        async with (
            self._audit.action(principal, "documents.delete", collection=where) as entry,
            self.calls.call(principal, Scope.INGEST) as collections,
        ):
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                return []
            deleted = await self._documents.delete(resolved, document_ids, reader=principal.keeper)
            now = await collections.moved(resolved)
            if now.indexes != resolved.indexes:  # another index answers, or is filled, since
                deleted += await self._documents.delete(now, document_ids, reader=principal.keeper)
                deleted = list(dict.fromkeys(deleted))
            entry.documents = dict.fromkeys(deleted, "deleted")
        self._document_metrics.count_deleted(len(deleted))
        return deleted

    async def permit(
        self, principal: Principal, collection: str, document_ids: Sequence[str], readers: Sequence[str]
    ) -> list[str]:
        """Changes who may read documents; those that do not exist are passed over. See Permissions.change.

        Returns:
            The ids of those that were there.

        Raises:
            InvalidField: No id is given, one is not a possible id, or one of the readers is none.
        """
        where = collection or DEFAULT_COLLECTION
        async with (
            self._audit.action(principal, "documents.permit", collection=where) as entry,
            self.calls.call(principal, Scope.INGEST) as collections,
        ):
            checked_readers(readers, self._limits)
            checked_ids(document_ids, self._limits)
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                return []
            changed = await self._permissions.change(resolved, document_ids, readers, reader=principal.keeper)
            entry.documents = dict.fromkeys(changed, f"readers: {', '.join(readers)}")
        return changed
