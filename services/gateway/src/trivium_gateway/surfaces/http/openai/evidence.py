"""What an answer rests on: as OpenAI's annotations, and in full in the field `trivium`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from trivium_gateway.surfaces.http.rendering import sources_json, summary_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from trivium_gateway.answering.events import Sources, Summary
    from trivium_gateway.domain.passages import Citation, Passage

# Only addresses that are safe to put into a link: a document's uri is whatever the one who added it wrote.
_LINKABLE = ("http://", "https://")
# Fields of /v1/answer that have a place of their own in an answer of OpenAI's.
_SHOWN_ELSEWHERE = ("answer", "usage", "tool_calls", "finish_reason")


class Links:
    """Addresses of documents, for citations.

    Args:
        request: Whose address of the gateway to use where a document has none of its own.
        collection: The collection that was asked; empty for `default`.
    """

    def __init__(self, request: Request, collection: str) -> None:
        self._base = str(request.base_url)
        self._query = f"?{urlencode({'collection': collection})}" if collection else ""

    def to(self, passage: Passage) -> str:
        """The document's uri if that is an address of the web, else where the gateway shows it."""
        if passage.chunk.uri.lower().startswith(_LINKABLE):
            return passage.chunk.uri
        return f"{self._base}v1/documents/{quote(passage.chunk.document_id)}{self._query}"

    def annotations(self, citations: Iterable[Citation]) -> list[dict[str, Any]]:
        """Citations as chat completions have them; a span is a half-open range of code points."""
        return [{"type": "url_citation", "url_citation": self._url_citation(one)} for one in _marked(citations)]

    def flat_annotations(self, citations: Iterable[Citation]) -> list[dict[str, Any]]:
        """Citations as responses have them."""
        return [{"type": "url_citation", **self._url_citation(one)} for one in _marked(citations)]

    def _url_citation(self, citation: Citation) -> dict[str, Any]:
        passage, span = citation.passage, citation.answer_span
        return {
            "start_index": span.start,
            "end_index": span.end,
            "url": self.to(passage),
            "title": passage.chunk.title or passage.chunk.document_id,
        }


def _marked(citations: Iterable[Citation]) -> Iterable[Citation]:
    """Those that have a mark in the text; the others stand in the field `trivium`."""
    return (one for one in citations if one.answer_span.end > one.answer_span.start)


def evidence_json(summary: Summary, dropped_messages: int, *, with_passages: bool = True) -> dict[str, Any]:
    """The field `trivium` of an answer: what /v1/answer says beside the text.

    Args:
        summary: The answer.
        dropped_messages: How many of the oldest messages were left out.
        with_passages: Whether to repeat the passages, which streams begin with.
    """
    left_out = _SHOWN_ELSEWHERE if with_passages else (*_SHOWN_ELSEWHERE, "passages")
    shown = {name: value for name, value in summary_json(summary).items() if name not in left_out}
    return {**shown, "dropped_messages": dropped_messages}


def sources_evidence_json(sources: Sources) -> dict[str, Any]:
    """The field `trivium` of the first piece of a stream."""
    return sources_json(sources)
