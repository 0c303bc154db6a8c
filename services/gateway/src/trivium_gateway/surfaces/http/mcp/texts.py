"""The outputs of tools as text, for clients that show a model nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trivium_serving.errors import status_of
from trivium_serving.request_context import request_id

from trivium_gateway.domain.counting import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trivium_serving.errors import TriviumError

    from trivium_gateway.surfaces.http.mcp import shapes
    from trivium_gateway.surfaces.http.shapes.answers import DegradationShape


def search_text(found: shapes.SearchOutput) -> str:
    """The passages with their sources."""
    passages = [f"{_heading(one)}, score {one.score:.2f}{_also(one)}\n{one.text}" for one in found.passages]
    return _text(passages or ["Nothing was found."], found.degraded)


def answer_text(answer: shapes.AnswerOutput) -> str:
    """The answer, and the sources that it cites."""
    parts = [answer.answer or "The documents do not answer this question."]
    if not answer.answerable and not answer.refused:
        parts.append("The documents hardly answer this question: the answer above rests on what came nearest.")
    doubted = [f"[{one.index}] {one.verdict}" for one in answer.citations if one.verdict != "supported"]
    if doubted:
        parts.append(f"Not clearly said by their source: {', '.join(doubted)}.")
    if answer.sources:
        parts.append("\n".join(["Sources:", *map(_heading, answer.sources)]))
    return _text(parts, answer.degraded)


def documents_text(page: shapes.ListDocumentsOutput) -> str:
    """One document a line."""
    lines = [
        f"- {json.dumps(one.id, ensure_ascii=False)}{_titled(one.title)}{_from(one.uri)}" for one in page.documents
    ]
    if page.next_page_token:
        lines.append(f"There are more: go on with page_token {page.next_page_token!r}.")
    return "\n".join(lines or ["There are no documents."])


def document_text(part: shapes.ReadDocumentOutput) -> str:
    """The text, and where to go on."""
    end = part.start + len(part.text)
    where = f"characters {part.start} to {end} of {part.total_characters}"
    go_on = f"\n\n[{where}; go on with start {part.next_start}]" if part.next_start is not None else ""
    return f"{part.title or part.id}{_from(part.uri)}\n\n{part.text}{go_on}"


def ingest_text(done: shapes.IngestOutput) -> str:
    """One outcome a line."""
    return "\n".join(
        f"- {json.dumps(one.id, ensure_ascii=False)}: {one.status}"
        + (f": {one.error.message} ({one.error.reason})" if one.error else f", {counted(one.chunks, 'piece')}")
        for one in done.documents
    )


def collections_text(listed: shapes.ListCollectionsOutput) -> str:
    """One collection a line."""
    lines = [
        f"- {one.name}: {one.state if one.chunk_count is None else counted(one.chunk_count, 'piece')}"
        + (f"; metadata {', '.join(one.metadata_keys)}" if one.metadata_keys else "")
        for one in listed.collections
    ]
    return "\n".join(lines or ["There are no collections; `default` is made when the first document comes."])


def error_text(error: TriviumError) -> str:
    """What is wrong, what to do about it, and, unless the caller can, under which id the log has the cause."""
    field = f"{error.field}: " if error.field and error.field not in error.message else ""
    under = f", request {request_id()}" if status_of(error).http_status >= 500 else ""
    return f"{field}{error.message} ({error.reason}{under})"


def _heading(passage: shapes.FoundPassage) -> str:
    document = json.dumps(passage.document_id, ensure_ascii=False)
    return f"[{passage.index}]{_titled(passage.title)} document {document}{_on(passage.page)}{_from(passage.uri)}"


def _also(passage: shapes.FoundPassage) -> str:
    return f", also in {json.dumps(passage.duplicates, ensure_ascii=False)}" if passage.duplicates else ""


def _on(page: int | None) -> str:
    return "" if page is None else f", page {page}"


def _titled(title: str) -> str:
    return f" {title}," if title else ""


def _from(uri: str) -> str:
    return f" <{uri}>" if uri else ""


def _text(parts: Iterable[str], degraded: Iterable[DegradationShape]) -> str:
    return "\n\n".join([*parts, *_notes(degraded)])


def _notes(degraded: Iterable[DegradationShape]) -> Iterator[str]:
    """What was replaced, said plainly: the reader may want to ask again later."""
    for one in degraded:
        why = f"{one.reason}: {one.detail}" if one.detail else one.reason
        yield f"Note: {one.stage} is not available now ({why}); {one.fallback} was used in its place."
