"""What the gateway does, whichever surface it is asked through."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField, NotFound, Overloaded
from trivium_serving.logs import log_failure
from trivium_serving.request_context import caller_timeout, request_id

from trivium_gateway.answering.events import Delta, Sources, Summary
from trivium_gateway.answering.question import NOTHING_SEARCHED, Search, Searched
from trivium_gateway.answering.replaying import Replay, changed
from trivium_gateway.domain.limits import check_document_id, check_page_size
from trivium_gateway.library.collections import DEFAULT_COLLECTION
from trivium_gateway.request.principal import Scope
from trivium_gateway.request.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from trivium_serving.pulse import Pulse

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.answering.answerer import Answerer
    from trivium_gateway.answering.embedding import Embeddings, EmbedTask, TextEmbedder
    from trivium_gateway.answering.events import Event
    from trivium_gateway.answering.explaining import Explainer
    from trivium_gateway.answering.feedback import FeedbackBox
    from trivium_gateway.answering.question import Question
    from trivium_gateway.answering.reranking import RankedTexts, Reranker, RerankTask
    from trivium_gateway.answering.retrieval import Retriever
    from trivium_gateway.answering.rewriting import QuestionRewriter
    from trivium_gateway.answering.trace_store import Traces
    from trivium_gateway.answering.traces import Trace
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.explanations import Explanation
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.health.readiness import Readiness
    from trivium_gateway.ingestion.ingester import Ingester
    from trivium_gateway.ingestion.jobs.jobs import Jobs
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.documents import DocumentResult, Documents, NewDocument, StoredDocument
    from trivium_gateway.library.metrics import DocumentMetrics
    from trivium_gateway.library.reindexing import Reindexer, ReindexProgress
    from trivium_gateway.library.tuning import CollectionTuning
    from trivium_gateway.request.admission import CallLimit, Place, QuestionAdmission
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.outcomes import Outcomes
    from trivium_gateway.request.principal import Principal
    from trivium_gateway.request.record import Timings

_logger = logging.getLogger(__name__)

_BEGIN_SECONDS = 1.0
"""An answer that has not begun so long after its passages were found is a language model's: it admits for itself."""

_REINDEX_SECONDS = 10.0
"""How long one call works on a collection that is made anew. Those who wait for it see that it goes on."""


@dataclass(frozen=True, slots=True)
class Found:
    """The passages for a query.

    Attributes:
        passages: Best first.
        timings: When each stage ran, and for how long.
        degraded: Stages that were replaced by the next best means.
        searched: What was searched for.
    """

    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    searched: Searched = NOTHING_SEARCHED


@dataclass(frozen=True, slots=True)
class Gateway:
    """What surfaces ask.

    Attributes:
        questions: Whatever is asked.
        library: What is kept.
        jobs: Ingestions that go on by themselves.
        feedback: What people say of answers.
        readiness: How each stage is.
        limits: What is accepted.
    """

    questions: Questions
    library: Library
    jobs: Jobs
    feedback: FeedbackBox
    readiness: Readiness
    limits: GatewayLimits


class Questions:
    """Questions and queries: checked, let in as they can be answered in time, and recorded.

    Args:
        rewriter: Makes of a question what is searched for.
        retriever: Finds passages.
        answerer: Answers questions.
        reranker: Orders texts.
        embedder: Embeds texts.
        admission: Lets them in.
        pulses: By service, whether it answers at all.
        outcomes: Where it is noted whether each stage worked.
        metrics: Where they are counted.
        traces: Where what they went through is kept.
        explainer: Says what became of a document.
        explanations: Bounds the calls that it is asked by.
        limits: What is accepted.
        longest_seconds: Longest time of one; a shorter deadline of the caller goes before.
    """

    def __init__(
        self,
        *,
        rewriter: QuestionRewriter,
        retriever: Retriever,
        answerer: Answerer,
        reranker: Reranker,
        embedder: TextEmbedder,
        admission: QuestionAdmission,
        pulses: Mapping[str, Pulse],
        outcomes: Outcomes,
        metrics: QuestionMetrics,
        traces: Traces,
        explainer: Explainer,
        explanations: CallLimit,
        limits: GatewayLimits,
        longest_seconds: float,
    ) -> None:
        self._rewriter = rewriter
        self._retriever = retriever
        self._answerer = answerer
        self._reranker = reranker
        self._embedder = embedder
        self._admission = admission
        self._pulses = pulses
        self._outcomes = outcomes
        self._metrics = metrics
        self._traces = traces
        self._explainer = explainer
        self._explanations = explanations
        self._limits = limits
        self.longest_seconds = longest_seconds

    async def retrieve(self, search: Search, *, timeout_seconds: float | None = None) -> Found:
        """Finds the passages that answer a query.

        Args:
            search: What to look for, unchecked.
            timeout_seconds: How long to look at most, if that is shorter than the caller waits.

        Raises:
            TriviumError: See Search.check and Retriever.retrieve; Overloaded if there are too many questions.
        """
        with (
            self._recorded("retrieve", search.principal, timeout_seconds) as record,
            self._traces.tracing(search, record) as trace,
        ):
            search.check(self._limits)
            # Before it has a place: a language model that rewrites admits for itself, and others search meanwhile.
            trace.plan = plan = await self._rewriter.rewrite(search, record)
            async with self._place(record) as place:
                found = await self._retriever.retrieve(plan, record)
                trace.show(found.passages)
                _note_retrieval(place, record)
                record.end()
                return Found(
                    found.passages, record.timings(), record.degraded, Searched.of(search.queries[0].text, plan)
                )

    async def answer(self, question: Question) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels the work.

        Args:
            question: The question, unchecked.

        Raises:
            TriviumError: See Question.check and Answerer.answer; Overloaded if there are too many questions.
        """
        with self._recorded("answer", question.principal) as record, self._traces.tracing(question, record) as trace:
            question.check(self._limits)
            plan = await self._rewriter.rewrite(question.search(), record) if question.uses_documents else None
            trace.plan = plan
            answering = aclosing(self._answerer.answer(question, plan, record))
            async with self._place(record) as place, answering as events:
                async for event in events:
                    if isinstance(event, Sources):
                        trace.show(event.passages)
                        _note_retrieval(place, record)
                        asyncio.get_running_loop().call_later(_BEGIN_SECONDS, place.leave)
                    elif isinstance(event, Delta):
                        record.begin_text()
                        place.leave()
                    elif isinstance(event, Summary):
                        record.end()
                        trace.end(event)
                        self._traces.keep(trace, record)  # who has read the answer may ask for its trace
                    yield event

    async def rerank(self, principal: Principal, task: RerankTask) -> RankedTexts:
        """Orders texts of the caller by how well they answer a query.

        Args:
            principal: Who asks.
            task: What to order, unchecked.

        Raises:
            TriviumError: See RerankTask.check and Reranker.rerank; Overloaded if there are too many questions.
        """
        with self._recorded("rerank", principal) as record:
            task.check(self._limits)
            async with self._place(record):
                ranked = await self._reranker.rerank(task, record)
                record.end()
                return ranked

    async def embed(self, principal: Principal, task: EmbedTask) -> Embeddings:
        """Embeds texts of the caller.

        Args:
            principal: Who asks.
            task: What to embed, unchecked.

        Raises:
            TriviumError: See EmbedTask.check and TextEmbedder.embed; Overloaded if there are too many questions.
        """
        with self._recorded("embed", principal) as record:
            task.check(self._limits)
            async with self._place(record) as place:
                if len(task.texts) > 1:  # bulk work, which the embed service does behind all questions
                    place.leave()
                embeddings = await self._embedder.embed(task, record)
                record.end()
                return embeddings

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that decide how questions are answered."""
        return self._traces.settings

    def trace(self, principal: Principal, wanted_id: str) -> Trace:
        """What a request went through; see Traces.get."""
        return self._traces.get(principal, wanted_id)

    async def explain(self, trace: Trace, document_id: str) -> Explanation:
        """Says what became of a document on the way of a question; see Explainer.explain."""
        async with self._explanations.call():
            return await self._explainer.explain(trace, document_id)

    async def replay(self, principal: Principal, wanted_id: str, changes: Mapping[str, JsonValue]) -> Replay:
        """Asks again what was asked, with other settings.

        Args:
            principal: Who asks again, and as whom it is asked.
            wanted_id: The request's id.
            changes: What to ask otherwise: see `changed`.

        Raises:
            NotFound: There is no such trace; see Traces.get.
            TriviumError: See `changed`, and `answer` or `retrieve`.
        """
        before = self._traces.get(principal, wanted_id)
        asked = changed(before.asked, changes, principal)
        if isinstance(asked, Search):
            await self.retrieve(asked)
        else:
            async with aclosing(self.answer(asked)) as events:
                async for _ in events:
                    pass
        return Replay(before, self._traces.get(principal, request_id()))

    def refusal(self, operation: str, principal: Principal) -> Overloaded | None:
        """What a question would be told if it came now, before anything of it is read; None if it can be let in.

        Who may not ask is told that, and not to come again.

        Args:
            operation: What it asks for, one of OPERATIONS.
            principal: Who asks.
        """
        refusal = self._admission.refusal() if Scope.READ in principal.scopes else None
        if refusal is not None:
            with suppress(Overloaded), self._recorded(operation, principal):
                raise refusal
        return refusal

    def coming(self) -> AbstractContextManager[None]:
        """Keeps a place for the question that is read in the block; see QuestionAdmission.coming."""
        return self._admission.coming()

    def _recorded(
        self, operation: str, principal: Principal, timeout_seconds: float | None = None
    ) -> AbstractContextManager[Record]:
        principal.require(Scope.READ)
        seconds = min(one for one in (self.longest_seconds, timeout_seconds, caller_timeout()) if one is not None)
        return self._metrics.counting(Record(operation, principal, seconds, self._pulses, self._outcomes))

    def _place(self, record: Record) -> AbstractAsyncContextManager[Place]:
        return self._admission.place(record.seconds(math.inf, 1.0))


class Library:
    """Documents and collections, with bounded work.

    Args:
        collections: All collections.
        documents: What is in them.
        ingester: Adds to them.
        reindexer: Makes collections anew.
        tuning: Changes how they are searched and judged.
        ingestions: Bounds the calls that add documents.
        calls: Bounds the other calls about documents and collections.
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
        ingester: Ingester,
        reindexer: Reindexer,
        tuning: CollectionTuning,
        ingestions: CallLimit,
        calls: CallLimit,
        audit: AuditLog,
        qdrant: Pulse,
        document_metrics: DocumentMetrics,
        question_metrics: QuestionMetrics,
        limits: GatewayLimits,
    ) -> None:
        self._collections = collections
        self._documents = documents
        self._ingester = ingester
        self._reindexer = reindexer
        self._tuning = tuning
        self._ingestions = ingestions
        self._calls = calls
        self._audit = audit
        self._qdrant = qdrant
        self._document_metrics = document_metrics
        self._question_metrics = question_metrics
        self._limits = limits

    @asynccontextmanager
    async def _call(self, principal: Principal, scope: Scope) -> AsyncIterator[Collections]:
        """The collections, for one call about them or what is in them.

        Raises:
            PermissionDenied: The principal lacks the scope.
            Overloaded: There are too many calls.
            DeadlineExceeded: The call's time is over.
        """
        principal.require(scope)
        async with self._calls.call(), self._qdrant.waiting():
            yield self._collections

    @asynccontextmanager
    async def _change(self, principal: Principal, action: str, name: str) -> AsyncIterator[Collections]:
        """The collections, for a call that changes one of them and is noted; see _call."""
        async with self._audit.action(principal, action, collection=name), self._call(principal, Scope.ADMIN) as them:
            yield them

    async def create_collection(self, principal: Principal, name: str) -> CollectionDescription:
        """Creates a collection; see Collections.create."""
        async with self._change(principal, "collections.create", name) as collections:
            return await collections.create(name, tenant=principal.tenant)

    async def get_collection(self, principal: Principal, name: str) -> CollectionDescription:
        """Describes a collection; see Collections.get."""
        async with self._call(principal, Scope.READ) as collections:
            return await collections.get(name, tenant=principal.tenant)

    async def list_collections(self, principal: Principal) -> list[CollectionDescription]:
        """Describes all collections; see Collections.list."""
        async with self._call(principal, Scope.READ) as collections:
            return await collections.list(tenant=principal.tenant)

    async def delete_collection(self, principal: Principal, name: str) -> None:
        """Deletes a collection; see Collections.delete."""
        async with self._change(principal, "collections.delete", name) as collections:
            await collections.delete(name, tenant=principal.tenant)

    async def reindex(self, principal: Principal, name: str) -> ReindexProgress:
        """Makes a collection anew from its stored text, for about ten seconds a call; see Reindexer.reindex."""
        name = name or DEFAULT_COLLECTION
        async with self._change(principal, "collections.reindex", name):
            return await self._reindexer.reindex(name, tenant=principal.tenant, seconds=_REINDEX_SECONDS)

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
        async with self._change(principal, "collections.set", name) as collections:
            await self._tuning.change(
                name, settings, clear=clear, note=note, based_on=based_on, tenant=principal.tenant
            )
            return await collections.get(name, tenant=principal.tenant)

    async def roll_back_settings(self, principal: Principal, name: str) -> CollectionDescription:
        """Takes the last change of a collection's settings back; see CollectionTuning.roll_back."""
        async with self._change(principal, "collections.roll-back", name) as collections:
            await self._tuning.roll_back(name, tenant=principal.tenant)
            return await collections.get(name, tenant=principal.tenant)

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
        principal.require(Scope.INGEST)
        async with self._ingestions.call():
            return await self.ingest_unbounded(principal, collection, documents, max_documents=max_documents)

    async def ingest_unbounded(
        self,
        principal: Principal,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
    ) -> list[DocumentResult]:
        """The same as `ingest` beside the calls that are bounded, for who bounds its own."""
        where = collection or DEFAULT_COLLECTION
        async with self._audit.action(principal, "documents.ingest", collection=where) as entry:
            principal.require(Scope.INGEST)
            resolved = await self._collections.resolve(collection, tenant=principal.tenant)
            results = await self._ingester.ingest(
                resolved, documents, max_documents=max_documents, tenant=principal.tenant
            )
            entry.documents = {
                one.id: one.error.reason if one.error else one.status.value
                for result in results
                for one in (result, *result.parts)
            }
        _log_causes(results)
        self._document_metrics.count_received(resolved.alias, results)
        tokens = sum(result.token_count for result in results)
        self._question_metrics.count_tokens(principal.tenant, "document", tokens)
        return results

    async def get_document(self, principal: Principal, collection: str, document_id: str) -> StoredDocument:
        """Returns one document with its stored text.

        Raises:
            NotFound: There is no such document, or no such collection.
        """
        check_document_id(document_id, self._limits)
        async with self._call(principal, Scope.READ) as collections:
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                raise NotFound(f"There is no document {document_id!r} in this collection.", reason="DOCUMENT_NOT_FOUND")
            return await self._documents.get(resolved, document_id, tenant=principal.tenant)

    async def list_documents(
        self, principal: Principal, collection: str, *, page_size: int, page_token: str
    ) -> tuple[list[StoredDocument], str]:
        """Returns a page of documents, and the token of the next; see Documents.list."""
        check_page_size(page_size, self._limits)
        async with self._call(principal, Scope.READ) as collections:
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                return [], ""
            return await self._documents.list(
                resolved, page_size=page_size, page_token=page_token, tenant=principal.tenant
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
            self._call(principal, Scope.INGEST) as collections,
        ):
            resolved = await collections.find(collection, tenant=principal.tenant)
            if resolved is None:
                return []
            deleted = await self._documents.delete(resolved, document_ids, tenant=principal.tenant)
            entry.documents = dict.fromkeys(deleted, "deleted")
        self._document_metrics.count_deleted(len(deleted))
        return deleted


def _note_retrieval(place: Place, record: Record) -> None:
    """Notes how long a retrieval took, if it was like others: what is left out or finds nothing is quick."""
    reranked = sum(int(stage.facts["trivium.texts"]) for stage in record.stages if stage.name == "rerank")
    if reranked and not record.degraded:
        place.note(reranked.bit_length())


def _log_causes(results: Sequence[DocumentResult]) -> None:
    """Logs why documents failed where their entries do not say it all: once for all that failed by the same error."""
    failed = Counter(result.error for result in results if result.error is not None)
    for error, count in failed.items():
        log_failure(_logger, f"{count} of {len(results)} documents", error)
