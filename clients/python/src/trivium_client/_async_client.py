"""The client, for event loops."""

import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from trivium.gateway.v1 import feedback_service_pb2 as feedback_pb
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import job_service_pb2 as jobs_pb
from trivium.gateway.v1 import key_service_pb2 as keys_pb
from trivium.gateway.v1 import trace_service_pb2 as traces_pb
from trivium.gateway.v1 import transfer_service_pb2 as transfers_pb
from trivium.gateway.v1 import usage_service_pb2 as usage_pb

from trivium_client import _index_responses, _requests, _responses, _transfers
from trivium_client._answers import Answer, AnswerEvent, AnswerMode, Expansion, Message, Refusal
from trivium_client._async_connection import AsyncConnection
from trivium_client._async_ingestion import AsyncIngestion
from trivium_client._channel import ChannelSettings
from trivium_client._collections import Collection, SettingValues
from trivium_client._documents import Document, DocumentResult, IngestProgress, NewDocument
from trivium_client._errors import TemporaryError
from trivium_client._feedback import Feedback, FeedbackLines, Rating, feedback_from
from trivium_client._indexes import ReindexEstimate, ReindexProgress
from trivium_client._jobs import POLL_SECONDS, Job, job_from, start_requests
from trivium_client._keys import Key, MadeKey, key_from, timestamp
from trivium_client._passages import Retrieval
from trivium_client._retries import DEFAULT_RETRIES, Patience, or_default
from trivium_client._status import Status
from trivium_client._structs import json_object
from trivium_client._transfers import Exported, ExportedCollection, ExportedDocument
from trivium_client._usage import Quota, UsageReport, quota_from, report_from


class AsyncTrivium:
    """Answers from your own documents, over gRPC, with asyncio: the methods of `Trivium`, to be awaited.

    ```
    async with AsyncTrivium() as trivium:
        await trivium.ingest([NewDocument("The warranty lasts 24 months.", id="warranty")])
        async for event in trivium.ask_stream("How long does the warranty last?"):
            ...
    ```

    One client is enough for an event loop: its methods may be called from many tasks at once, over one connection. It
    belongs to the loop of its first call, and is not for other threads. Cancelling a task, or closing an iterator,
    cancels the work in all services. Every method raises a `TriviumError`, or one of the kinds beneath it, if the call
    fails, and takes `timeout_seconds`, a deadline for this call in place of the client's.

    Args:
        address: The gateway's gRPC address, HOST:PORT, or those of several with commas between them. None for the
            environment's TRIVIUM_GATEWAY, else 127.0.0.1:50050.
        timeout_seconds: Deadline of calls that read or delete, all attempts together.
        answer_timeout_seconds: Deadline of one answer, to its last word.
        ingest_timeout_seconds: Deadline of one batch of documents.
        retries: How often a call is sent again that the gateway was too busy for, or that was lost while a gateway shut
            down; 0 for never. The gateway's word on when to come back is kept, unless that is past the deadline: then
            the error comes at once. Calls that change something are sent again only if they were refused before they
            began. Ingestion has its own, `patience_seconds`.
        api_key: What the gateway knows you by, `tv_...`, if it asks for a key. None for the environment's
            TRIVIUM_API_KEY.
        tls_ca: File with the certificates of the authorities that the gateway's may come from, PEM. None for the
            environment's TRIVIUM_TLS_CA, else a connection without TLS.
        tls_cert: File of the certificate to show, if the gateway asks for one (mTLS). None for the environment's
            TRIVIUM_TLS_CERT. Like the others it is read once: after a change make another client.
        tls_key: File of its key. None for the environment's TRIVIUM_TLS_KEY.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        answer_timeout_seconds: float = 120.0,
        ingest_timeout_seconds: float = 600.0,
        retries: int = DEFAULT_RETRIES,
        api_key: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> None:
        self._connection = AsyncConnection(
            ChannelSettings.resolve(
                address, retries=retries, api_key=api_key, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
            )
        )
        self._timeout_seconds = timeout_seconds
        self._answer_timeout_seconds = answer_timeout_seconds
        self._ingest_timeout_seconds = ingest_timeout_seconds

    @property
    def address(self) -> str:
        """The gateway's address, HOST:PORT."""
        return self._connection.address

    async def ask(
        self,
        question: str,
        *,
        collection: str = "",
        collections: Sequence[str] = (),
        history: Sequence[Message] = (),
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        mode: AnswerMode = "auto",
        collapse: bool | None = None,
        queries: Sequence[str] = (),
        expand: Sequence[Expansion] = (),
        refusal: Refusal | None = None,
        strict: bool = False,
        settings: SettingValues | None = None,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """Answers a question, and waits for the whole answer; see `ask_stream` for the arguments."""
        request = _requests.answer(
            question,
            collection=collection,
            collections=collections,
            history=history,
            top_n=top_n,
            candidates=candidates,
            conditions=filter,
            mode=mode,
            collapse=collapse,
            queries=queries,
            expand=expand,
            refusal=refusal,
            strict=strict,
            settings=settings,
        )
        events = self._events(request, or_default(timeout_seconds, self._answer_timeout_seconds), is_shown=False)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise _responses.without_summary()

    def ask_stream(
        self,
        question: str,
        *,
        collection: str = "",
        collections: Sequence[str] = (),
        history: Sequence[Message] = (),
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        mode: AnswerMode = "auto",
        collapse: bool | None = None,
        queries: Sequence[str] = (),
        expand: Sequence[Expansion] = (),
        refusal: Refusal | None = None,
        strict: bool = False,
        settings: SettingValues | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Answers a question piece by piece. Closing the iterator cancels the work; see `contextlib.aclosing`.

        Args:
            question: The question; not blank.
            collection: The collection to answer from; empty for `default`.
            collections: Several collections to answer from in its place, at most 16.
            history: Earlier turns of the conversation, oldest first.
            top_n: Most passages to answer from, 1 to 100; None for the gateway's default.
            candidates: How many candidates the search hands to the reranker, 1 to 1000; None for the default.
            filter: Conditions that all must hold: `{"metadata.year": {"gte": 2020}, "metadata.lang": ["en"]}`.
            mode: By which means the answer is written.
            collapse: False to show passages that say the same in nearly the same words each for itself.
            queries: What to search for beside the question, at most 10; what is found is judged by the question.
            expand: What the language model adds to what is searched for.
            refusal: What becomes of a question that the documents hardly answer; None for the gateway's own setting.
            strict: Whether to leave out the sentences that no passage supports.
            settings: What goes before the collection's own settings, for this once; see `update_collection`.
            timeout_seconds: Deadline to the last word; None for the client's.

        Yields:
            One AnswerSources, then AnswerDeltas, then one Answer.
        """
        request = _requests.answer(
            question,
            collection=collection,
            collections=collections,
            history=history,
            top_n=top_n,
            candidates=candidates,
            conditions=filter,
            mode=mode,
            collapse=collapse,
            queries=queries,
            expand=expand,
            refusal=refusal,
            strict=strict,
            settings=settings,
        )
        return self._events(request, or_default(timeout_seconds, self._answer_timeout_seconds))

    async def _events(
        self, request: pb.AnswerRequest, timeout_seconds: float, *, is_shown: bool = True
    ) -> AsyncGenerator[AnswerEvent, None]:
        messages = self._connection.stream(self._connection.stub.Answer, request, timeout_seconds, is_shown=is_shown)
        async with aclosing(messages):
            async for message in messages:
                event = _responses.answer_event(message)
                if event is not None:
                    yield event

    async def retrieve(
        self,
        query: str,
        *,
        collection: str = "",
        collections: Sequence[str] = (),
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        rerank: bool | None = None,
        collapse: bool | None = None,
        history: Sequence[Message] = (),
        queries: Sequence[str] = (),
        expand: Sequence[Expansion] = (),
        settings: SettingValues | None = None,
        timeout_seconds: float | None = None,
    ) -> Retrieval:
        """Finds the passages that answer a query; arguments as in `ask_stream`, `rerank=False` skips reranking."""
        request = _requests.retrieve(
            query,
            collection=collection,
            collections=collections,
            top_n=top_n,
            candidates=candidates,
            conditions=filter,
            rerank=rerank,
            collapse=collapse,
            history=history,
            queries=queries,
            expand=expand,
            settings=settings,
        )
        return _responses.retrieval(
            await self._connection.unary(self._connection.stub.Retrieve, request, self._timeout(timeout_seconds))
        )

    async def ingest(
        self,
        documents: AsyncIterable[NewDocument | Mapping[str, Any]] | Iterable[NewDocument | Mapping[str, Any]],
        *,
        collection: str = "",
        on_progress: Callable[[IngestProgress], Awaitable[None] | None] | None = None,
        batch_size: int = 64,
        concurrency: int = 3,
        patience_seconds: float = 60.0,
        timeout_seconds: float | None = None,
    ) -> list[DocumentResult]:
        """Adds or replaces documents, and waits until all can be found. Repeating it is safe and cheap.

        A document that fails fails alone: look at the `status` and `error` of each result.

        Args:
            documents: The documents, or mappings in the form of the HTTP interface; read as they are needed. An
                iterable that has to wait, for files or a network, should be an asynchronous one.
            collection: The collection to write to; empty for `default`, which is created on first use.
            on_progress: Called after each document, and awaited if it returns something to await.
            batch_size: Most documents in one call.
            concurrency: Most calls at once.
            patience_seconds: How long to repeat a batch while the gateway is overloaded, restarts, or loads; 0 for not
                at all.
            timeout_seconds: Deadline of each batch; None for the client's.

        Returns:
            One result per document, in order.
        """
        results: list[DocumentResult] = []
        failed_count = 0
        stream = self.ingest_stream(
            documents,
            collection=collection,
            batch_size=batch_size,
            concurrency=concurrency,
            patience_seconds=patience_seconds,
            timeout_seconds=timeout_seconds,
        )
        async with aclosing(stream):
            async for result in stream:
                results.append(result)
                failed_count += result.status == "failed"
                if on_progress is not None:
                    shown = on_progress(IngestProgress(len(results), failed_count))
                    if inspect.isawaitable(shown):
                        await shown
        return results

    def ingest_stream(
        self,
        documents: AsyncIterable[NewDocument | Mapping[str, Any]] | Iterable[NewDocument | Mapping[str, Any]],
        *,
        collection: str = "",
        batch_size: int = 64,
        concurrency: int = 3,
        patience_seconds: float = 60.0,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[DocumentResult, None]:
        """The same as `ingest`, yielding each result when it is known; for more documents than memory holds."""
        ingestion = AsyncIngestion(
            self._connection,
            collection=collection,
            batch_size=batch_size,
            concurrency=concurrency,
            timeout_seconds=or_default(timeout_seconds, self._ingest_timeout_seconds),
            patience_seconds=patience_seconds,
        )
        return ingestion.run(documents)

    async def get_document(
        self, document_id: str, *, collection: str = "", timeout_seconds: float | None = None
    ) -> Document:
        """Returns a document with its stored text; raises NotFound if there is none."""
        request = _requests.get_document(document_id, collection=collection)
        response = await self._connection.unary(
            self._connection.stub.GetDocument, request, self._timeout(timeout_seconds)
        )
        return _responses.document(response.document, with_text=True)

    async def list_documents(
        self, *, collection: str = "", page_size: int = 100, timeout_seconds: float | None = None
    ) -> AsyncGenerator[Document, None]:
        """Yields all documents of a collection, without their texts, fetching page after page.

        Args:
            collection: The collection; empty for `default`.
            page_size: Most documents to fetch at once, 1 to 1000.
            timeout_seconds: Deadline of each page; None for the client's.
        """
        request = _requests.list_documents(collection=collection, page_size=page_size)
        while True:
            page = await self._connection.unary(
                self._connection.stub.ListDocuments, request, self._timeout(timeout_seconds)
            )
            for message in page.documents:
                yield _responses.document(message, with_text=False)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete_documents(
        self, ids: Iterable[str], *, collection: str = "", timeout_seconds: float | None = None
    ) -> list[str]:
        """Deletes documents; returns the ids of those that were there."""
        request = _requests.delete_documents(ids, collection=collection)
        stub, timeout = self._connection.stub, self._timeout(timeout_seconds)
        response = await self._connection.unary(stub.DeleteDocuments, request, timeout, repeatable=False)
        return list(response.deleted_ids)

    async def set_readers(
        self,
        ids: Iterable[str],
        readers: Sequence[str],
        *,
        collection: str = "",
        timeout_seconds: float | None = None,
    ) -> list[str]:
        """Changes who may read documents, and nothing else; returns the ids of those that were there.

        Args:
            ids: The documents; what is in them, as in mails and archives, goes with them.
            readers: `user:NAME`, `group:NAME`, or `*` for everyone of the tenant.
            collection: Where they are; empty for `default`.
            timeout_seconds: Deadline of all attempts together.
        """
        request = _requests.set_readers(ids, readers, collection=collection)
        stub, timeout = self._connection.stub, self._timeout(timeout_seconds)
        response = await self._connection.unary(stub.SetReaders, request, timeout)
        return list(response.changed_ids)

    async def create_collection(self, name: str, *, timeout_seconds: float | None = None) -> Collection:
        """Creates a collection; raises AlreadyExists if the name is taken."""
        request, timeout = _requests.create_collection(name), self._timeout(timeout_seconds)
        response = await self._connection.unary(
            self._connection.stub.CreateCollection, request, timeout, repeatable=False
        )
        return _responses.collection(response.collection)

    async def get_collection(self, name: str, *, timeout_seconds: float | None = None) -> Collection:
        """Describes a collection; raises NotFound if there is none."""
        request, timeout = _requests.get_collection(name), self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.stub.GetCollection, request, timeout)
        return _responses.collection(response.collection)

    async def list_collections(self, *, timeout_seconds: float | None = None) -> list[Collection]:
        """Returns all collections, in the order of their names."""
        request, timeout = pb.ListCollectionsRequest(), self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.stub.ListCollections, request, timeout)
        return [_responses.collection(message) for message in response.collections]

    async def update_collection(
        self,
        name: str,
        settings: SettingValues,
        *,
        note: str = "",
        based_on: int | None = None,
        timeout_seconds: float | None = None,
    ) -> Collection:
        """Changes how a collection is searched and judged, for every gateway within seconds.

        Args:
            name: Its name.
            settings: What to set; what is not there stays as it is, and None leaves it to the gateway: `dense_weight`
                and `sparse_weight` from 0, not searched by, to 1; `rerank_weight` from 0, not reranked, to 4;
                `candidates`; `section_characters` of the section that a passage is read with, from 0, the piece that
                was found alone, to 8,000; `score_slope`, `score_intercept`, `confidence_slope` and
                `confidence_intercept`, a line over the log-odds of what is calibrated; `refuse_below` and `mark_below`,
                confidences; `refusal`; `language`; `chunk_tokens` and `chunk_overlap_tokens`, by which texts are cut
                from then on; `late_chunking`, whether they are embedded whole, after a reindexing where there are
                some; `learned_sparse`, whether to search by learned sparse vectors, too, after a reindexing, and
                `learned_weight`, from 0 to 1; `retention_days`, after which a document that was not written again is
                deleted; on a Qdrant server `quantisation`, `rescore` and `on_disk`.
            note: Why.
            based_on: Number of the version that must be in force, else FailedPrecondition is raised; None for any.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = _requests.update_collection(name, settings, note=note, based_on=based_on)
        stub, timeout = self._connection.stub.UpdateCollection, self._timeout(timeout_seconds)
        response = await self._connection.unary(stub, request, timeout, repeatable=False)
        return _responses.collection(response.collection)

    async def roll_back_settings(self, name: str, *, timeout_seconds: float | None = None) -> Collection:
        """Takes the last change of a collection's settings back; raises FailedPrecondition if there is none."""
        request, timeout = _requests.roll_back_settings(name), self._timeout(timeout_seconds)
        stub = self._connection.stub.RollBackCollectionSettings
        response = await self._connection.unary(stub, request, timeout, repeatable=False)
        return _responses.collection(response.collection)

    async def delete_collection(self, name: str, *, timeout_seconds: float | None = None) -> None:
        """Deletes a collection and everything in it; raises NotFound if there is none."""
        request, timeout = _requests.delete_collection(name), self._timeout(timeout_seconds)
        await self._connection.unary(self._connection.stub.DeleteCollection, request, timeout, repeatable=False)

    async def reindex_collection(
        self, name: str, *, model: str = "", force: bool = False, timeout_seconds: float | None = None
    ) -> ReindexProgress:
        """Makes a collection anew from its stored text, for some seconds; call it until it is done, or held.

        Args:
            name: Its name.
            model: The embedding model to change to, or the name of the service that runs it; empty to keep it, or to
                go on with a change that was begun.
            force: Whether the new index is to answer even if it finds less.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = _requests.reindex_collection(name, model=model, force=force)
        stub, timeout = self._connection.stub.ReindexCollection, self._timeout(timeout_seconds)
        return _index_responses.reindex_progress(await self._connection.unary(stub, request, timeout))

    async def estimate_reindex(self, name: str, model: str, *, timeout_seconds: float | None = None) -> ReindexEstimate:
        """Says what it would take to give a collection another embedding model."""
        request = _requests.estimate_reindex(name, model)
        stub, timeout = self._connection.stub.EstimateReindex, self._timeout(timeout_seconds)
        return _index_responses.reindex_estimate(await self._connection.unary(stub, request, timeout))

    async def roll_back_index(self, name: str, *, timeout_seconds: float | None = None) -> Collection:
        """Has the index before the last change of the model answer again, at once.

        What was written since then is not there before `reindex_collection` is done. Raises FailedPrecondition if
        there is no index before.
        """
        request, timeout = _requests.roll_back_index(name), self._timeout(timeout_seconds)
        stub = self._connection.stub.RollBackCollectionIndex
        response = await self._connection.unary(stub, request, timeout)
        return _responses.collection(response.collection)

    async def discard_index(self, name: str, *, timeout_seconds: float | None = None) -> Collection:
        """Deletes the index beside the one that answers: the one before, or one that is being made."""
        request, timeout = _requests.discard_index(name), self._timeout(timeout_seconds)
        stub = self._connection.stub.DiscardCollectionIndex
        response = await self._connection.unary(stub, request, timeout)
        return _responses.collection(response.collection)

    async def export_documents(
        self,
        *,
        collection: str = "",
        vectors: bool = True,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[Exported, None]:
        """Yields what a collection is, then its documents with their vectors, to be imported here or elsewhere.

        Among the documents are marks: where to go on if the call breaks off, and at last that all is there. Closing the
        iterator cancels the work; see `contextlib.aclosing`.

        Args:
            collection: The collection; empty for `default`.
            vectors: Whether the documents have their vectors.
            page_token: Of the last mark of an export that broke off, to go on there; empty to begin.
            timeout_seconds: Deadline of all; None for the client's of an ingestion.
        """
        request = transfers_pb.ExportDocumentsRequest(
            collection=collection, without_vectors=not vectors, page_token=page_token
        )
        timeout = or_default(timeout_seconds, self._ingest_timeout_seconds)
        messages = self._connection.stream(self._connection.transfer_stub.ExportDocuments, request, timeout)
        async with aclosing(messages):
            async for message in messages:
                yield _transfers.exported_from(message)

    async def import_documents(
        self,
        source: ExportedCollection,
        documents: Iterable[ExportedDocument],
        *,
        collection: str = "",
        embed: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[DocumentResult]:
        """Adds or replaces some documents as they were exported, in one call. Repeating it is safe and cheap.

        Where the collection has the model that they come from, their vectors are used and nothing is embedded.

        Args:
            source: What they come from.
            documents: The documents, of some megabytes together; what continues one stands behind it.
            collection: The collection to write to; empty for `default`, which is created on first use.
            embed: Whether to embed their texts if the collection has another model; else FailedPrecondition is raised.
            timeout_seconds: Deadline of this call; None for the client's of an ingestion.

        Returns:
            One result per document, in order.
        """
        requests = _transfers.import_requests(source, documents, collection=collection, embed=embed)
        timeout = or_default(timeout_seconds, self._ingest_timeout_seconds)
        call = _transfers.streaming(self._connection.transfer_stub.ImportDocuments)
        response = await self._connection.unary(call, requests, timeout)
        return [_responses.document_result(one) for one in response.documents]

    async def start_job(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        collection: str = "",
        job_id: str = "",
        on_progress: Callable[[Job], Awaitable[None] | None] | None = None,
        batch_size: int = 64,
        timeout_seconds: float | None = None,
    ) -> Job:
        """Has the gateway add or replace documents by itself, and waits only until it has taken them.

        What it has taken survives a crash of any process. To send a document again to the same job is safe: it has each
        id once, with what came last.

        Args:
            documents: The documents, or mappings in the form of the HTTP interface; read as they are needed.
            collection: The collection to write to; empty for `default`, which is created on first use.
            job_id: The job to add them to; empty for a new one.
            on_progress: Called with the job after each batch, and awaited if it returns something to await.
            batch_size: Most documents in one call.
            timeout_seconds: Deadline of each call; None for the client's.

        Returns:
            The job, which `get_job` and `wait_for_job` follow.
        """
        timeout = or_default(timeout_seconds, self._ingest_timeout_seconds)
        for request in start_requests(documents, collection=collection, batch_size=batch_size):
            request.job_id = job_id
            # Without an id it would be two jobs.
            response = await self._connection.unary(
                self._connection.job_stub.StartJob, request, timeout, repeatable=job_id != ""
            )
            job_id, job = response.job.id, job_from(response.job)
            if on_progress is not None:
                shown = on_progress(job)
                if inspect.isawaitable(shown):
                    await shown
        return job

    async def get_job(self, job_id: str, *, timeout_seconds: float | None = None) -> Job:
        """Says how far a job is, and everything that failed; raises NotFound if there is none."""
        request, timeout = jobs_pb.GetJobRequest(id=job_id, page_size=1000), self._timeout(timeout_seconds)
        failures: list[jobs_pb.JobFailure] = []
        while True:
            response = await self._connection.unary(self._connection.job_stub.GetJob, request, timeout)
            failures += response.job.failures
            if not response.next_page_token:
                return job_from(response.job, failures)
            request.page_token = response.next_page_token

    async def wait_for_job(
        self,
        job_id: str,
        *,
        on_progress: Callable[[Job], Awaitable[None] | None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Job:
        """Waits until a job has ended, however long that takes; while the gateway restarts, too.

        Args:
            job_id: The job's id.
            on_progress: Called with the job at each look, and awaited if it returns something to await.
            timeout_seconds: Deadline of each look, and how long the gateway may be away; None for the client's.

        Returns:
            The job, with everything that failed.
        """
        request, timeout = jobs_pb.GetJobRequest(id=job_id, page_size=1), self._timeout(timeout_seconds)
        patience = Patience(timeout_seconds=timeout, patience_seconds=timeout)
        while True:
            try:
                response = await self._connection.unary(self._connection.job_stub.GetJob, request, timeout)
            except TemporaryError as error:
                pause = patience.pause_seconds(error, reached=True)
                if pause is None:
                    raise
            else:
                job = job_from(response.job)
                if on_progress is not None:
                    shown = on_progress(job)
                    if inspect.isawaitable(shown):
                        await shown
                if job.ended is not None:
                    return await self.get_job(job_id, timeout_seconds=timeout_seconds)
                pause = POLL_SECONDS
                patience = Patience(timeout_seconds=timeout, patience_seconds=timeout)
            await self._connection.sleep(pause)

    async def list_jobs(
        self, *, page_size: int = 50, timeout_seconds: float | None = None
    ) -> AsyncGenerator[Job, None]:
        """Yields all jobs, the latest first, each with some of what failed, fetching page after page."""
        request, timeout = jobs_pb.ListJobsRequest(page_size=page_size), self._timeout(timeout_seconds)
        while True:
            page = await self._connection.unary(self._connection.job_stub.ListJobs, request, timeout)
            for message in page.jobs:
                yield job_from(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def retry_job(self, job_id: str, *, timeout_seconds: float | None = None) -> Job:
        """Has the documents of a job tried again that failed, or were cancelled."""
        request, timeout = jobs_pb.RetryJobRequest(id=job_id), self._timeout(timeout_seconds)
        return job_from((await self._connection.unary(self._connection.job_stub.RetryJob, request, timeout)).job)

    async def delete_job(self, job_id: str, *, timeout_seconds: float | None = None) -> bool:
        """Cancels a job that goes on; forgets one that has ended, and says whether it did. Its documents stay."""
        request, timeout = jobs_pb.DeleteJobRequest(id=job_id), self._timeout(timeout_seconds)
        stub = self._connection.job_stub
        response = await self._connection.unary(stub.DeleteJob, request, timeout, repeatable=False)
        return response.forgotten

    async def get_trace(
        self,
        request_id: str,
        *,
        document_id: str = "",
        include_texts: bool = False,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Returns what a question went through, while its gateway keeps that; raises NotFound if it does not.

        Args:
            request_id: The `request_id` of an Answer or a Retrieval.
            document_id: A document, to say at which stage it was lost and why: `explanation`.
            include_texts: Whether to show what was asked and answered, too.
            timeout_seconds: Deadline of this call; None for the client's.

        Returns:
            The trace, as the HTTP interface shows it.
        """
        request = traces_pb.GetTraceRequest(request_id=request_id, document_id=document_id, include_texts=include_texts)
        timeout = self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.trace_stub.GetTrace, request, timeout)
        return json_object(response.trace)

    async def replay(
        self,
        request_id: str,
        settings: Mapping[str, Any],
        *,
        include_texts: bool = False,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Asks again what was asked, with other settings.

        Args:
            request_id: The `request_id` of an Answer or a Retrieval.
            settings: What to ask otherwise, for example `{"rerank.candidates": 200}`.
            include_texts: Whether to show what was asked and answered, too.
            timeout_seconds: Deadline of this call; None for the client's of an answer.

        Returns:
            The traces `before` and `after`, as the HTTP interface shows them.
        """
        request = _requests.replay(request_id, settings, include_texts=include_texts)
        timeout = or_default(timeout_seconds, self._answer_timeout_seconds)
        response = await self._connection.unary(self._connection.trace_stub.ReplayTrace, request, timeout)
        return {"before": json_object(response.before), "after": json_object(response.after)}

    async def give_feedback(
        self,
        request_id: str,
        rating: Rating,
        *,
        comment: str = "",
        answer: str = "",
        document_ids: Sequence[str] = (),
        question: str = "",
        collection: str = "",
        timeout_seconds: float | None = None,
    ) -> Feedback:
        """Says whether an answer is right, and what would be; in place of what the same user said of it before.

        Args:
            request_id: The `request_id` of the Answer or Retrieval.
            rating: 1 for right, -1 for wrong.
            comment: What to say of it.
            answer: The right answer.
            document_ids: The documents that answer the question.
            question: What was asked, for when the gateway keeps no trace of it any more.
            collection: Where, likewise; empty for `default`.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = _requests.feedback(
            request_id=request_id,
            rating=rating,
            comment=comment,
            answer=answer,
            document_ids=list(document_ids),
            question=question,
            collection=collection,
        )
        timeout = self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.feedback_stub.GiveFeedback, request, timeout)
        return feedback_from(response.feedback)

    async def list_feedback(
        self, *, page_size: int = 100, timeout_seconds: float | None = None
    ) -> AsyncGenerator[Feedback, None]:
        """Yields the feedback that one may see, the oldest first, fetching page after page.

        Args:
            page_size: How much to fetch at once, 1 to 1000.
            timeout_seconds: Deadline of each page; None for the client's.
        """
        request = feedback_pb.ListFeedbackRequest(page_size=page_size)
        while True:
            timeout = self._timeout(timeout_seconds)
            page = await self._connection.unary(self._connection.feedback_stub.ListFeedback, request, timeout)
            for message in page.feedback:
                yield feedback_from(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete_feedback(self, request_id: str, *, timeout_seconds: float | None = None) -> int:
        """Deletes the feedback on a request that one may see; returns how much. Raises NotFound if there is none."""
        request, timeout = feedback_pb.DeleteFeedbackRequest(request_id=request_id), self._timeout(timeout_seconds)
        stub = self._connection.feedback_stub
        return (await self._connection.unary(stub.DeleteFeedback, request, timeout, repeatable=False)).count

    async def export_feedback(
        self, *, collection: str = "", judged_only: bool = False, timeout_seconds: float | None = None
    ) -> AsyncGenerator[FeedbackLines, None]:
        """Yields a set of labelled questions of the feedback that one may see, some lines of a file at a time.

        Args:
            collection: Whose questions and documents; empty for `default`.
            judged_only: Whether to leave out the documents that no question is about.
            timeout_seconds: Deadline of all; None for the client's of an ingestion.
        """
        request = feedback_pb.ExportFeedbackRequest(collection=collection, judged_only=judged_only)
        timeout = or_default(timeout_seconds, self._ingest_timeout_seconds)
        messages = self._connection.stream(self._connection.feedback_stub.ExportFeedback, request, timeout)
        async with aclosing(messages):
            async for message in messages:
                yield FeedbackLines(message.file, message.lines)

    async def create_key(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("read",),
        tenant: str = "",
        user: str = "",
        groups: Sequence[str] = (),
        expires_at: datetime | None = None,
        timeout_seconds: float | None = None,
    ) -> MadeKey:
        """Makes a key, on a gateway that asks for them.

        Args:
            name: What people call it.
            scopes: What it may do: read, ingest, admin, act-as, operator; none that this client's own key lacks.
            tenant: Whose data it opens; empty for the tenant of this client's own key.
            user: For whom it asks, if it is one person's.
            groups: What they belong to.
            expires_at: When it ends; None for never.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = keys_pb.CreateKeyRequest(
            name=name, tenant=tenant, scopes=scopes, user=user, groups=groups, expires_at=timestamp(expires_at)
        )
        timeout = self._timeout(timeout_seconds)
        made = await self._connection.unary(self._connection.key_stub.CreateKey, request, timeout, repeatable=False)
        return MadeKey(key_from(made.key), made.text)

    async def list_keys(self, *, timeout_seconds: float | None = None) -> list[Key]:
        """Lists the keys that this client's own may change, the oldest first."""
        request, timeout = keys_pb.ListKeysRequest(), self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.key_stub.ListKeys, request, timeout)
        return [key_from(message) for message in response.keys]

    async def rotate_key(
        self, key_id: str, *, grace_seconds: float | None = None, timeout_seconds: float | None = None
    ) -> MadeKey:
        """Gives a key another secret.

        Args:
            key_id: The key's id.
            grace_seconds: How long the secret that it has had is still taken; None for an hour.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = keys_pb.RotateKeyRequest(id=key_id, grace_seconds=grace_seconds)
        timeout = self._timeout(timeout_seconds)
        made = await self._connection.unary(self._connection.key_stub.RotateKey, request, timeout, repeatable=False)
        return MadeKey(key_from(made.key), made.text)

    async def revoke_key(self, key_id: str, *, timeout_seconds: float | None = None) -> None:
        """Ends a key; raises NotFound if there is none."""
        request, timeout = keys_pb.RevokeKeyRequest(id=key_id), self._timeout(timeout_seconds)
        await self._connection.unary(self._connection.key_stub.RevokeKey, request, timeout, repeatable=False)

    async def usage(
        self,
        *,
        begin: datetime | None = None,
        end: datetime | None = None,
        tenant: str = "",
        timeout_seconds: float | None = None,
    ) -> UsageReport:
        """Says what tenants and their keys used, on a gateway that asks for keys.

        Args:
            begin: Since when; the hour in which that is counts. None for the first of this month (UTC).
            end: Until when; the hour in which that is counts, too. None for now.
            tenant: Whose; empty for all that this client's key may see.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = usage_pb.GetUsageRequest(begin=timestamp(begin), end=timestamp(end), tenant=tenant)
        timeout = self._timeout(timeout_seconds)
        return report_from(await self._connection.unary(self._connection.usage_stub.GetUsage, request, timeout))

    async def list_quotas(self, *, tenant: str = "", timeout_seconds: float | None = None) -> list[Quota]:
        """Lists what tenants and their keys may use: what was set, and that of this client's own tenant."""
        request, timeout = usage_pb.ListQuotasRequest(tenant=tenant), self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.usage_stub.ListQuotas, request, timeout)
        return [quota_from(message) for message in response.quotas]

    async def set_quota(
        self,
        limits: Mapping[str, str],
        *,
        tenant: str = "",
        key_id: str = "",
        weight: float | None = None,
        timeout_seconds: float | None = None,
    ) -> Quota:
        """Sets what a tenant, or one of its keys, may use, in place of what it was.

        Args:
            limits: By what is limited, such as `{"requests": "600/m"}`; none to take back what was set.
            tenant: The tenant; empty for that of this client's own key.
            key_id: Id of a key; empty for the tenant as a whole.
            weight: The tenant's part of what tenants share, 0.1 to 10; None to leave it as it is.
            timeout_seconds: Deadline of this call; None for the client's.
        """
        request = usage_pb.SetQuotaRequest(tenant=tenant, key_id=key_id, limits=limits, weight=weight)
        timeout = self._timeout(timeout_seconds)
        response = await self._connection.unary(self._connection.usage_stub.SetQuota, request, timeout)
        return quota_from(response.quota)

    async def status(self, *, timeout_seconds: float | None = None) -> Status:
        """Says how each stage is."""
        request, timeout = pb.GetStatusRequest(), self._timeout(timeout_seconds)
        return _responses.status(await self._connection.unary(self._connection.stub.GetStatus, request, timeout))

    def _timeout(self, timeout_seconds: float | None) -> float:
        return or_default(timeout_seconds, self._timeout_seconds)

    async def close(self) -> None:
        """Closes the connection; calls that run are cancelled, and later ones raise `Cancelled`."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
