"""What the gateway does, whichever surface it is asked through."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, InvalidField, NotFound, Overloaded
from trivium_serving.logs import log_failure
from trivium_serving.request_context import caller_timeout

from trivium_gateway.answering.answerer import Delta, Sources, Summary
from trivium_gateway.domain.limits import check_document_id, check_page_size
from trivium_gateway.library.collections import DEFAULT_COLLECTION
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.request.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from trivium_serving.pulse import Pulse

    from trivium_gateway.answering.answerer import Answerer, Event
    from trivium_gateway.answering.embedding import Embeddings, EmbedTask, TextEmbedder
    from trivium_gateway.answering.question import Question, Search
    from trivium_gateway.answering.reranking import RankedTexts, Reranker, RerankTask
    from trivium_gateway.answering.retrieval import Retriever
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.health.readiness import Readiness
    from trivium_gateway.ingestion.ingester import Ingester
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.documents import DocumentResult, Documents, NewDocument, StoredDocument
    from trivium_gateway.library.metrics import DocumentMetrics
    from trivium_gateway.library.reindexing import Reindexer, ReindexProgress
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
    """

    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the gateway is put together from."""

    retriever: Retriever
    answerer: Answerer
    reranker: Reranker
    embedder: TextEmbedder
    collections: Collections
    documents: Documents
    ingester: Ingester
    reindexer: Reindexer
    readiness: Readiness
    pulses: Mapping[str, Pulse]
    outcomes: Outcomes
    admission: QuestionAdmission
    ingestions: CallLimit
    document_calls: CallLimit
    limits: GatewayLimits
    question_metrics: QuestionMetrics
    document_metrics: DocumentMetrics


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Longest time of one call, in seconds; a shorter deadline of the caller goes before."""

    question_seconds: float
    ingestion_seconds: float
    document_seconds: float


class Gateway:
    """Every operation of the gateway, with checked input and bounded work.

    Args:
        parts: What does the work.
        times: How long it may take.
    """

    def __init__(self, parts: Parts, times: CallTimes) -> None:
        self._parts = parts
        self.times = times
        self.limits = parts.limits
        self.readiness = parts.readiness

    async def retrieve(self, search: Search, *, timeout_seconds: float | None = None) -> Found:
        """Finds the passages that answer a query.

        Args:
            search: What to look for, unchecked.
            timeout_seconds: How long the caller waits; None for as long as is allowed.

        Raises:
            TriviumError: See Search.check and Retriever.retrieve; Overloaded if there are too many questions.
        """
        with self._recorded("retrieve", search.principal, timeout_seconds) as record:
            search.check(self.limits)
            async with self._place(record) as place:
                passages = await self._parts.retriever.retrieve(search, record)
                _note_retrieval(place, record)
                record.end()
                return Found(passages, record.timings(), record.degraded)

    async def answer(self, question: Question, *, timeout_seconds: float | None = None) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels the work.

        Args:
            question: The question, unchecked.
            timeout_seconds: How long the caller waits; None for as long as is allowed.

        Raises:
            TriviumError: See Question.check and Answerer.answer; Overloaded if there are too many questions.
        """
        with self._recorded("answer", question.principal, timeout_seconds) as record:
            question.check(self.limits)
            answering = aclosing(self._parts.answerer.answer(question, record))
            async with self._place(record) as place, answering as events:
                async for event in events:
                    if isinstance(event, Sources):
                        _note_retrieval(place, record)
                        asyncio.get_running_loop().call_later(_BEGIN_SECONDS, place.leave)
                    elif isinstance(event, Delta):
                        record.begin_text()
                        place.leave()
                    elif isinstance(event, Summary):
                        record.end()
                    yield event

    async def rerank(self, task: RerankTask, *, timeout_seconds: float | None = None) -> RankedTexts:
        """Orders texts of the caller by how well they answer a query.

        Args:
            task: What to order, unchecked.
            timeout_seconds: How long the caller waits; None for as long as is allowed.

        Raises:
            TriviumError: See RerankTask.check and Reranker.rerank; Overloaded if there are too many questions.
        """
        with self._recorded("rerank", EVERYBODY, timeout_seconds) as record:
            task.check(self.limits)
            async with self._place(record):
                ranked = await self._parts.reranker.rerank(task, record)
                record.end()
                return ranked

    async def embed(self, task: EmbedTask, *, timeout_seconds: float | None = None) -> Embeddings:
        """Embeds texts of the caller.

        Args:
            task: What to embed, unchecked.
            timeout_seconds: How long the caller waits; None for as long as is allowed.

        Raises:
            TriviumError: See EmbedTask.check and TextEmbedder.embed; Overloaded if there are too many questions.
        """
        with self._recorded("embed", EVERYBODY, timeout_seconds) as record:
            task.check(self.limits)
            async with self._place(record) as place:
                if len(task.texts) > 1:  # bulk work, which the embed service does behind all questions
                    place.leave()
                embeddings = await self._parts.embedder.embed(task, record)
                record.end()
                return embeddings

    async def ingest(
        self,
        collection: str,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
        timeout_seconds: float | None = None,
    ) -> list[DocumentResult]:
        """Adds or replaces documents; see Ingester.ingest.

        Args:
            collection: Name of the collection; empty for `default`.
            documents: The documents.
            max_documents: Most documents in one call.
            timeout_seconds: How long the caller waits; None for as long as is allowed. What was reported as written
                before stays; all of it may be sent again.
        """
        async with self._call(self._parts.ingestions, self.times.ingestion_seconds, timeout_seconds):
            resolved = await self._parts.collections.resolve(collection)
            results = await self._parts.ingester.ingest(resolved, documents, max_documents=max_documents)
        _log_causes(results)
        self._parts.document_metrics.count_received(resolved.name, results)
        self._parts.question_metrics.count_tokens("document", sum(result.token_count for result in results))
        return results

    async def get_document(
        self, collection: str, document_id: str, *, timeout_seconds: float | None = None
    ) -> StoredDocument:
        """Returns one document with its stored text.

        Raises:
            NotFound: There is no such document, or no such collection.
        """
        check_document_id(document_id, self.limits)
        async with self._document_call(timeout_seconds):
            resolved = await self._parts.collections.find(collection)
            if resolved is None:
                raise _no_document(document_id)
            return await self._parts.documents.get(resolved, document_id)

    async def list_documents(
        self, collection: str, *, page_size: int, page_token: str, timeout_seconds: float | None = None
    ) -> tuple[list[StoredDocument], str]:
        """Returns a page of documents, and the token of the next; see Documents.list."""
        check_page_size(page_size, self.limits)
        async with self._document_call(timeout_seconds):
            resolved = await self._parts.collections.find(collection)
            if resolved is None:
                return [], ""
            return await self._parts.documents.list(resolved, page_size=page_size, page_token=page_token)

    async def delete_documents(
        self, collection: str, document_ids: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[str]:
        """Deletes documents; those that do not exist are passed over.

        Returns:
            The ids of those that were there.

        Raises:
            InvalidField: No id is given, or one is not a possible id.
        """
        if not document_ids:
            raise InvalidField("ids", "No document id is given.")
        for document_id in document_ids:
            check_document_id(document_id, self.limits)
        async with self._document_call(timeout_seconds):
            resolved = await self._parts.collections.find(collection)
            if resolved is None:
                return []
            deleted = await self._parts.documents.delete(resolved, document_ids)
        self._parts.document_metrics.count_deleted(len(deleted))
        return deleted

    async def create_collection(self, name: str, *, timeout_seconds: float | None = None) -> CollectionDescription:
        """Creates a collection; see Collections.create."""
        async with self._document_call(timeout_seconds):
            return await self._parts.collections.create(name)

    async def get_collection(self, name: str, *, timeout_seconds: float | None = None) -> CollectionDescription:
        """Describes a collection; see Collections.get."""
        async with self._document_call(timeout_seconds):
            return await self._parts.collections.get(name)

    async def list_collections(self, *, timeout_seconds: float | None = None) -> list[CollectionDescription]:
        """Describes all collections, in the order of their names."""
        async with self._document_call(timeout_seconds):
            return await self._parts.collections.list()

    async def delete_collection(self, name: str, *, timeout_seconds: float | None = None) -> None:
        """Deletes a collection and everything in it; see Collections.delete."""
        async with self._document_call(timeout_seconds):
            await self._parts.collections.delete(name)

    async def reindex_collection(self, name: str, *, timeout_seconds: float | None = None) -> ReindexProgress:
        """Makes a collection anew from its stored text, for about ten seconds a call; see Reindexer.reindex."""
        async with self._document_call(timeout_seconds):
            return await self._parts.reindexer.reindex(name or DEFAULT_COLLECTION, seconds=_REINDEX_SECONDS)

    def _recorded(
        self, operation: str, principal: Principal, timeout_seconds: float | None
    ) -> AbstractContextManager[Record]:
        longest, parts = self.times.question_seconds, self._parts
        asked = timeout_seconds if timeout_seconds is not None else caller_timeout()
        seconds = longest if asked is None else min(asked, longest)
        return parts.question_metrics.counting(Record(operation, principal, seconds, parts.pulses, parts.outcomes))

    def refusal(self, operation: str) -> Overloaded | None:
        """What a question would be told if it came now, before anything of it is read; None if it can be let in.

        Args:
            operation: What it asks for, one of OPERATIONS.
        """
        refusal = self._parts.admission.refusal()
        if refusal is not None:
            with suppress(Overloaded), self._recorded(operation, EVERYBODY, None):
                raise refusal
        return refusal

    def _place(self, record: Record) -> AbstractAsyncContextManager[Place]:
        return self._parts.admission.place(record.seconds(math.inf, 1.0))

    @asynccontextmanager
    async def _call(self, calls: CallLimit, longest_seconds: float, asked_seconds: float | None) -> AsyncIterator[None]:
        """Runs the block as one call about documents or collections: with a place, and within its time.

        Raises:
            Overloaded: There is no place.
            DeadlineExceeded: Its time is over.
        """
        asked = asked_seconds if asked_seconds is not None else caller_timeout()
        seconds = longest_seconds if asked is None else min(asked, longest_seconds)
        with calls.place():
            try:
                async with asyncio.timeout(seconds) as limit:
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(f"The call was not done within {seconds:g} s. Allow it more time.") from error

    @asynccontextmanager
    async def _document_call(self, asked_seconds: float | None) -> AsyncIterator[None]:
        call = self._call(self._parts.document_calls, self.times.document_seconds, asked_seconds)
        async with call, self._parts.pulses["search"].waiting():
            yield


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


def _no_document(document_id: str) -> NotFound:
    return NotFound(f"There is no document {document_id!r} in this collection.", reason="DOCUMENT_NOT_FOUND")
