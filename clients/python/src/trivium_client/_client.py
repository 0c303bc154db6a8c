"""The client."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client import _requests, _responses
from trivium_client._answers import Answer, AnswerEvent, AnswerMode, Message
from trivium_client._collections import Collection
from trivium_client._connection import Connection, Stub
from trivium_client._documents import Document, DocumentResult, IngestProgress, NewDocument
from trivium_client._errors import InternalError
from trivium_client._ingestion import Ingestion
from trivium_client._passages import Retrieval
from trivium_client._status import Status

_Response = TypeVar("_Response")


class Trivium:
    """Answers from your own documents, over gRPC. Safe to share between threads.

    ```
    with Trivium() as trivium:
        trivium.ingest([NewDocument("The warranty lasts 24 months.", id="warranty")])
        print(trivium.ask("How long does the warranty last?").answer)
    ```

    Every method raises a `TriviumError`, or one of the kinds beneath it, if the call fails.

    Args:
        address: The gateway's gRPC address, HOST:PORT. None for the environment's TRIVIUM_GATEWAY, else
            127.0.0.1:50050.
        timeout_seconds: For calls that read or delete.
        answer_timeout_seconds: For one answer, to its last word.
        ingest_timeout_seconds: For one batch of documents.
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
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> None:
        self._connection = Connection(address, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key)
        self._timeout_seconds = timeout_seconds
        self._answer_timeout_seconds = answer_timeout_seconds
        self._ingest_timeout_seconds = ingest_timeout_seconds

    @property
    def address(self) -> str:
        """The gateway's address, HOST:PORT."""
        return self._connection.address

    def ask(
        self,
        question: str,
        *,
        collection: str = "",
        history: Sequence[Message] = (),
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        mode: AnswerMode = "auto",
    ) -> Answer:
        """Answers a question, and waits for the whole answer; see `ask_stream` for the arguments."""
        events = self.ask_stream(
            question,
            collection=collection,
            history=history,
            top_n=top_n,
            candidates=candidates,
            filter=filter,
            mode=mode,
        )
        for event in events:
            if isinstance(event, Answer):
                return event
        raise InternalError("the gateway ended the answer without its summary", reason="INCOMPLETE_RESPONSE")

    def ask_stream(
        self,
        question: str,
        *,
        collection: str = "",
        history: Sequence[Message] = (),
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        mode: AnswerMode = "auto",
    ) -> Iterator[AnswerEvent]:
        """Answers a question piece by piece. Closing the iterator cancels the work.

        Args:
            question: The question; not blank.
            collection: The collection to answer from; empty for `default`.
            history: Earlier turns of the conversation, oldest first.
            top_n: Most passages to answer from, 1 to 100; None for the gateway's default.
            candidates: How many candidates the search hands to the reranker, 1 to 1000; None for the default.
            filter: Conditions that all must hold: `{"metadata.year": {"gte": 2020}, "metadata.lang": ["en"]}`.
            mode: By which means the answer is written.

        Yields:
            One AnswerSources, then AnswerDeltas, then one Answer.
        """
        request = pb.AnswerRequest(
            question=question,
            history=_requests.messages(history),
            top_n=top_n,
            candidates=candidates,
            collection=collection,
            filter=_requests.filter_struct(filter),
            mode=_requests.answer_mode(mode),
        )
        messages = self._connection.stream(
            lambda stub, timeout: stub.Answer(request, timeout=timeout), self._answer_timeout_seconds
        )
        with closing(messages):
            for message in messages:
                event = _responses.answer_event(message)
                if event is not None:
                    yield event

    def retrieve(
        self,
        query: str,
        *,
        collection: str = "",
        top_n: int | None = None,
        candidates: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the interface's word
        rerank: bool | None = None,
    ) -> Retrieval:
        """Finds the passages that answer a query; arguments as in `ask_stream`, `rerank=False` skips reranking."""
        request = pb.RetrieveRequest(
            query=query,
            top_n=top_n,
            candidates=candidates,
            collection=collection,
            filter=_requests.filter_struct(filter),
            rerank=rerank,
        )
        return _responses.retrieval(self._call(lambda stub, timeout: stub.Retrieve(request, timeout=timeout)))

    def ingest(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        collection: str = "",
        on_progress: Callable[[IngestProgress], None] | None = None,
        batch_size: int = 64,
        concurrency: int = 3,
        patience_seconds: float = 60.0,
    ) -> list[DocumentResult]:
        """Adds or replaces documents, and waits until all can be found. Repeating it is safe and cheap.

        A document that fails fails alone: look at the `status` and `error` of each result.

        Args:
            documents: The documents, or mappings in the form of the HTTP interface; read as they are needed.
            collection: The collection to write to; empty for `default`, which is created on first use.
            on_progress: Called after each document.
            batch_size: Most documents in one call.
            concurrency: Most calls at once.
            patience_seconds: How long to repeat a batch while the gateway is overloaded, restarts, or loads.

        Returns:
            One result per document, in order.
        """
        results: list[DocumentResult] = []
        failed_count = 0
        for result in self.ingest_stream(
            documents,
            collection=collection,
            batch_size=batch_size,
            concurrency=concurrency,
            patience_seconds=patience_seconds,
        ):
            results.append(result)
            failed_count += result.status == "failed"
            if on_progress is not None:
                on_progress(IngestProgress(len(results), failed_count))
        return results

    def ingest_stream(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        collection: str = "",
        batch_size: int = 64,
        concurrency: int = 3,
        patience_seconds: float = 60.0,
    ) -> Iterator[DocumentResult]:
        """The same as `ingest`, yielding each result when it is known; for more documents than memory holds."""
        ingestion = Ingestion(
            self._connection,
            collection=collection,
            batch_size=batch_size,
            concurrency=concurrency,
            timeout_seconds=self._ingest_timeout_seconds,
            patience_seconds=patience_seconds,
        )
        return ingestion.run(documents)

    def get_document(self, document_id: str, *, collection: str = "") -> Document:
        """Returns a document with its stored text; raises NotFound if there is none."""
        request = pb.GetDocumentRequest(id=document_id, collection=collection)
        response = self._call(lambda stub, timeout: stub.GetDocument(request, timeout=timeout))
        return _responses.document(response.document, with_text=True)

    def list_documents(self, *, collection: str = "", page_size: int = 100) -> Iterator[Document]:
        """Yields all documents of a collection, without their texts, fetching page after page."""
        request = pb.ListDocumentsRequest(collection=collection, page_size=page_size)
        while True:
            response = self._call(lambda stub, timeout: stub.ListDocuments(request, timeout=timeout))
            for message in response.documents:
                yield _responses.document(message, with_text=False)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    def delete_documents(self, ids: Iterable[str], *, collection: str = "") -> list[str]:
        """Deletes documents; returns the ids of those that were there."""
        request = pb.DeleteDocumentsRequest(ids=ids, collection=collection)
        response = self._call(lambda stub, timeout: stub.DeleteDocuments(request, timeout=timeout))
        return list(response.deleted_ids)

    def create_collection(self, name: str) -> Collection:
        """Creates a collection; raises AlreadyExists if the name is taken."""
        request = pb.CreateCollectionRequest(name=name)
        response = self._call(lambda stub, timeout: stub.CreateCollection(request, timeout=timeout))
        return _responses.collection(response.collection)

    def get_collection(self, name: str) -> Collection:
        """Describes a collection; raises NotFound if there is none."""
        request = pb.GetCollectionRequest(name=name)
        response = self._call(lambda stub, timeout: stub.GetCollection(request, timeout=timeout))
        return _responses.collection(response.collection)

    def list_collections(self) -> list[Collection]:
        """Returns all collections, in the order of their names."""
        response = self._call(lambda stub, timeout: stub.ListCollections(pb.ListCollectionsRequest(), timeout=timeout))
        return [_responses.collection(message) for message in response.collections]

    def delete_collection(self, name: str) -> None:
        """Deletes a collection and everything in it; raises NotFound if there is none."""
        request = pb.DeleteCollectionRequest(name=name)
        self._call(lambda stub, timeout: stub.DeleteCollection(request, timeout=timeout))

    def status(self) -> Status:
        """Says how each stage is."""
        response = self._call(lambda stub, timeout: stub.GetStatus(pb.GetStatusRequest(), timeout=timeout))
        return _responses.status(response)

    def _call(self, call: Callable[[Stub, float], _Response]) -> _Response:
        return self._connection.unary(call, self._timeout_seconds)

    def close(self) -> None:
        """Closes the connection; calls that run are cancelled."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
