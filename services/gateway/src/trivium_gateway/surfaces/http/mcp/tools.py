"""The tools: their names and descriptions, which is what a model chooses by, and what each does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_gateway.answering.plan import Query, Search, SearchOptions
from trivium_gateway.answering.question import Question
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.limits import check_document_count
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import validate
from trivium_gateway.surfaces.http.mcp import shapes, texts
from trivium_gateway.surfaces.http.questions import turns_of
from trivium_gateway.surfaces.http.rendering import citation_json, result_json
from trivium_gateway.surfaces.http.shapes.answers import DegradationShape
from trivium_gateway.surfaces.http.shapes.documents import DocumentResultShape
from trivium_gateway.surfaces.http.shapes.passages import CitationShape, SpanShape
from trivium_gateway.surfaces.http.streams import whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from pydantic import BaseModel

    from trivium_gateway.answering.events import Summary
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.gateway import Gateway
    from trivium_gateway.surfaces.http.bodies import JsonBody

    Report = Callable[[float, float, str], Awaitable[None]]

_PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool gives back.

    Attributes:
        content: The output in the tool's shape.
        text: The same for reading.
        failed: Whether nothing of what was wanted was done.
    """

    content: BaseModel
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: What it is called by.
        title: What people see.
        description: What it does and when to use it, for the model that chooses.
        input: What it takes.
        output: What it gives.
        run: Does it; the last argument takes progress, its total, and a message.
        reads_only: Whether it changes nothing.
    """

    name: str
    title: str
    description: str
    input: type[JsonBody]
    output: type[BaseModel]
    run: Callable[[Gateway, Any, Report], Awaitable[Output]]
    reads_only: bool = True

    async def call(self, gateway: Gateway, arguments: Mapping[str, Any], report: Report) -> Output:
        """Checks arguments and runs the tool.

        Raises:
            TriviumError: An argument breaks a rule, or the work failed.
        """
        return await self.run(gateway, validate(self.input, dict(arguments)), report)


async def _search(gateway: Gateway, body: shapes.SearchInput, _report: Report) -> Output:
    search = Search.of(
        Query(body.query),
        principal(),
        _options(body),
        history=turns_of(body.history),
        queries=body.queries or (),
    )
    found = await gateway.questions.retrieve(search)
    output = shapes.SearchOutput(
        passages=[_passage(index, one) for index, one in enumerate(found.passages, 1)],
        search_query=found.searched.search_query,
        degraded=_degraded(found.degraded),
    )
    return Output(output, texts.search_text(output))


async def _answer(gateway: Gateway, body: shapes.AnswerInput, _report: Report) -> Output:
    question = Question(
        body.question,
        principal(),
        _options(body),
        turns_of(body.history),
        queries=tuple(body.queries or ()),
        refusal=Refusal(body.refusal) if body.refusal else None,
    )
    summary, _ = await whole(gateway.questions, question)
    output = _answered(summary)
    return Output(output, texts.answer_text(output))


async def _list_documents(gateway: Gateway, body: shapes.ListDocumentsInput, _report: Report) -> Output:
    page_size = _PAGE_SIZE if body.page_size is None else body.page_size
    documents, token = await gateway.library.list_documents(
        principal(), body.collection or "", page_size=page_size, page_token=body.page_token or ""
    )
    listed = [
        shapes.ListedDocument(id=one.id, title=one.title, uri=one.uri, metadata=dict(one.metadata)) for one in documents
    ]
    output = shapes.ListDocumentsOutput(documents=listed, next_page_token=token)
    return Output(output, texts.documents_text(output))


async def _read_document(gateway: Gateway, body: shapes.ReadDocumentInput, _report: Report) -> Output:
    document = await gateway.library.get_document(principal(), body.collection or "", body.id)
    start = body.start or 0
    end = start + (body.max_characters or shapes.DEFAULT_CHARACTERS)
    output = shapes.ReadDocumentOutput(
        id=document.id,
        title=document.title,
        uri=document.uri,
        metadata=dict(document.metadata),
        text=document.text[start:end],
        start=start,
        total_characters=len(document.text),
        next_start=end if end < len(document.text) else None,
    )
    return Output(output, texts.document_text(output))


async def _ingest(gateway: Gateway, body: shapes.IngestInput, report: Report) -> Output:
    most = gateway.limits.max_documents_per_request
    check_document_count(len(body.documents), most)
    results = await gateway.library.ingest(
        principal(), body.collection or "", _reported(body.documents, report), max_documents=most
    )
    output = shapes.IngestOutput(documents=[DocumentResultShape.model_validate(result_json(one)) for one in results])
    return Output(output, texts.ingest_text(output), failed=all(one.error is not None for one in results))


async def _reported(documents: list[shapes.IngestedDocument], report: Report) -> AsyncIterator[NewDocument]:
    """The documents, each reported when its turn comes."""
    for number, one in enumerate(documents, 1):
        await report(number, len(documents), one.title or one.id or f"document {number}")
        yield NewDocument(
            id=one.id,
            title=one.title or "",
            uri=one.uri or "",
            metadata=one.metadata or {},
            text=one.text,
            readers=one.readers or (),
        )


async def _list_collections(gateway: Gateway, _body: shapes.ListCollectionsInput, _report: Report) -> Output:
    found = await gateway.library.list_collections(principal())
    listed = [
        shapes.ListedCollection(
            name=one.name,
            state=one.state.value,
            chunk_count=one.chunk_count,
            metadata_keys=sorted(one.metadata_keys),
        )
        for one in found
    ]
    output = shapes.ListCollectionsOutput(collections=listed)
    return Output(output, texts.collections_text(output))


TOOLS = (
    Tool(
        "search",
        "Search the documents",
        "Finds the passages of the user's own documents that fit a query best, by meaning and by words. Use it to look "
        "something up and to quote it. Each passage names its document, which read_document shows in full.",
        shapes.SearchInput,
        shapes.SearchOutput,
        _search,
    ),
    Tool(
        "answer",
        "Answer from the documents",
        "Answers a question from the user's own documents, with citations [n] of the sources that are given along. It "
        "says so if the documents have no answer. Use search instead to read the passages yourself.",
        shapes.AnswerInput,
        shapes.AnswerOutput,
        _answer,
    ),
    Tool(
        "list_documents",
        "List the documents",
        "Lists the documents of a collection, a page at a time: id, title, uri and metadata.",
        shapes.ListDocumentsInput,
        shapes.ListDocumentsOutput,
        _list_documents,
    ),
    Tool(
        "read_document",
        "Read a document",
        "Reads the text of a document, a part at a time.",
        shapes.ReadDocumentInput,
        shapes.ReadDocumentOutput,
        _read_document,
    ),
    Tool(
        "ingest",
        "Add documents",
        "Adds texts to the user's documents, so that search and answer find them from then on. A document whose id is "
        "there already is replaced. Use it only when the user wants something kept.",
        shapes.IngestInput,
        shapes.IngestOutput,
        _ingest,
        reads_only=False,
    ),
    Tool(
        "list_collections",
        "List the collections",
        "Lists the collections that documents are kept in, with the metadata that filters can use.",
        shapes.ListCollectionsInput,
        shapes.ListCollectionsOutput,
        _list_collections,
    ),
)


def _options(body: shapes.SearchInput | shapes.AnswerInput) -> SearchOptions:
    return SearchOptions.of(collection=body.collection, filter=body.filter, top_n=body.top_n, collapse=body.collapse)


def _answered(summary: Summary) -> shapes.AnswerOutput:
    cited = {one.index: one.passage for one in summary.citations}
    return shapes.AnswerOutput(
        answer=summary.answer,
        answerable=summary.answerability.answerable,
        confidence=summary.answerability.confidence,
        reason=summary.answerability.reason.value if summary.answerability.reason else None,
        refused=summary.refused,
        citations=[CitationShape.model_validate(citation_json(one)) for one in summary.citations],
        unsupported=[SpanShape(start=one.start, end=one.end) for one in summary.unsupported],
        sources=[_passage(index, cited[index]) for index in sorted(cited)],
        search_query=summary.searched.search_query,
        degraded=_degraded(summary.degraded),
    )


def _passage(index: int, passage: Passage) -> shapes.FoundPassage:
    chunk = passage.chunk
    return shapes.FoundPassage(
        index=index,
        document_id=chunk.document_id,
        title=chunk.title,
        uri=chunk.uri,
        text=chunk.readable_text,
        score=passage.score,
        duplicates=list(passage.duplicates),
        heading=list(chunk.heading),
        page=chunk.page or None,
    )


def _degraded(degraded: Iterable[Degradation]) -> list[DegradationShape]:
    return [
        DegradationShape.model_validate(
            {
                "stage": one.stage,
                "reason": one.reason.value,
                "fallback": one.fallback,
                "detail": one.detail or None,
            }
        )
        for one in degraded
    ]
