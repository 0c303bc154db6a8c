"""Domain objects as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from trivium_serving.request_context import request_id

from trivium_gateway.domain.degradation import header_value
from trivium_gateway.domain.readers import shown_readers
from trivium_gateway.surfaces.http.indexes_json import beside_json, comparison_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivium_gateway.answering.events import Delta, Sources, Summary
    from trivium_gateway.answering.plan import Searched
    from trivium_gateway.domain.cached import Cached
    from trivium_gateway.domain.chunks import LineBox, Span
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Citation, Passage
    from trivium_gateway.domain.settings import SettingsVersion
    from trivium_gateway.gateway import Found
    from trivium_gateway.health.readiness import Readiness
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.documents import DocumentResult, StoredDocument
    from trivium_gateway.request.record import Timings

DEGRADED_HEADER = "X-Trivium-Degraded"


class JsonResponse(Response):
    """JSON in UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        return json_bytes(content)


def json_bytes(content: Any) -> bytes:
    """JSON in UTF-8. Half a surrogate pair, which an error may quote, becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def degraded_header(degraded: Iterable[Degradation]) -> dict[str, str]:
    """The header that lists degradations, if there are any."""
    value = header_value(degraded)
    return {DEGRADED_HEADER: value} if value else {}


def found_json(found: Found) -> dict[str, Any]:
    """The body of /v1/retrieve."""
    return {
        **searched_json(found.searched),
        "passages": [passage_json(one) for one in found.passages],
        "timings": _timings_json(found.timings),
        "stages": _stages_json(found.timings),
        "degraded": [_degradation_json(one) for one in found.degraded],
        "cached": cached_json(found.cached),
        "request_id": request_id(),
    }


def summary_json(summary: Summary) -> dict[str, Any]:
    """The body of /v1/answer."""
    return {
        "answer": summary.answer,
        "answerable": summary.answerability.answerable,
        "confidence": summary.answerability.confidence,
        "reason": summary.answerability.reason,
        "refused": summary.refused,
        **searched_json(summary.searched),
        "citations": [citation_json(one) for one in summary.citations],
        "unsupported": [_span_json(one) for one in summary.unsupported],
        "passages": [passage_json(one) for one in summary.passages],
        "timings": _timings_json(summary.timings),
        "stages": _stages_json(summary.timings),
        "degraded": [_degradation_json(one) for one in summary.degraded],
        "cached": cached_json(summary.cached),
        "usage": {
            "prompt_tokens": summary.prompt_tokens,
            "completion_tokens": summary.completion_tokens,
            "is_estimated": summary.is_usage_estimated,
        },
        "dropped_passages": list(summary.dropped_passages),
        "model": summary.model,
        "request_id": request_id(),
    }


def cached_json(cached: Cached) -> dict[str, Any]:
    """What came from a cache."""
    return {
        "retrieval": cached.retrieval,
        "answer": cached.answer,
        "similar_question": cached.similar_question or None,
    }


def sources_json(sources: Sources) -> dict[str, Any]:
    """The data of a `sources` event."""
    return {
        "search_query": sources.searched.search_query,
        "passages": [passage_json(one) for one in sources.passages],
    }


def searched_json(searched: Searched) -> dict[str, Any]:
    """What was searched for."""
    return {
        "search_query": searched.search_query,
        "queries": [{"text": one.text, "origin": one.origin.value} for one in searched.queries],
    }


def delta_json(delta: Delta) -> dict[str, Any]:
    """The data of a `delta` event."""
    return {"text": delta.text, "citations": [citation_json(one) for one in delta.citations]}


def passage_json(passage: Passage) -> dict[str, Any]:
    """A passage."""
    chunk, scores = passage.chunk, passage.scores
    return {
        "id": passage.id,
        "document_id": chunk.document_id,
        "title": chunk.title,
        "uri": chunk.uri,
        "text": chunk.text,
        "score": passage.score,
        "scores": {
            "dense": scores.dense,
            "sparse": scores.sparse,
            "fused": scores.fused,
            "rerank": scores.rerank,
            "dense_weight": scores.dense_weight,
            "rerank_weight": scores.rerank_weight,
            "maxsim": scores.maxsim,
            "coverage": scores.coverage,
            "calibrated": scores.calibrated,
            "calibration": scores.calibration,
            "learned": scores.learned,
        },
        "span": _span_json(chunk.span),
        "metadata": dict(chunk.metadata),
        "duplicates": list(passage.duplicates),
        "heading": list(chunk.heading),
        "page": chunk.page or None,
        "found_by": list(passage.found_by),
        "collection": passage.collection,
    }


def result_json(result: DocumentResult) -> dict[str, Any]:
    """What became of one document."""
    shown: dict[str, Any] = {"id": result.id, "status": result.status.value, "chunks": result.chunk_count}
    if result.error is not None:
        shown["error"] = {"reason": result.error.reason, "message": result.error.message}
    if result.content_hash:
        shown["content_hash"] = result.content_hash
    if result.parts:
        shown["parts"] = [result_json(part) for part in result.parts]
    return shown


def document_json(document: StoredDocument, *, with_text: bool, with_readers: bool) -> dict[str, Any]:
    """A stored document; lists show it without its text, and who only reads, without its readers."""
    shown: dict[str, Any] = {
        "id": document.id,
        "container": document.container or None,
        "title": document.title,
        "uri": document.uri,
        "metadata": dict(document.metadata),
        "chunk_count": document.chunk_count,
        "content_hash": document.content_hash,
        "readers": shown_readers(document.readers) if with_readers else None,
    }
    if with_text:
        file = document.file
        shown["text"] = document.text
        shown["file"] = file and {"format": file.format.name, "media_type": file.media_type, "bytes": file.size}
    return shown


def boxes_json(boxes: Iterable[LineBox]) -> list[dict[str, Any]]:
    """Where the lines of a document stand on its pages."""
    return [{"start": one.start, **_box_json(one)} for one in boxes]


def collection_json(collection: CollectionDescription) -> dict[str, Any]:
    """A collection."""
    return {
        "name": collection.name,
        "state": collection.state.value,
        "chunk_count": collection.chunk_count,
        "coded_chunk_count": collection.coded_chunk_count,
        "model": collection.model,
        "model_fingerprint": collection.model_fingerprint,
        "dimension": collection.dimension,
        "metadata_keys": list(collection.metadata_keys),
        "needs_reindex": collection.needs_reindex,
        "settings": _settings_json(collection.settings.now) if collection.settings.change_count else None,
        "earlier_settings": [_settings_json(one) for one in collection.settings.earlier],
        "index_beside": beside_json(collection.beside),
        "sparse_fingerprint": collection.sparse_fingerprint,
        "comparison": comparison_json(collection.comparison),
    }


def _settings_json(version: SettingsVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "made_at": version.made_at or None,
        "note": version.note,
        "values": version.settings.given(),
    }


def readiness_json(readiness: Readiness) -> dict[str, Any]:
    """The body of /readyz."""
    return {
        "ready": readiness.ready,
        "stages": [
            {"stage": one.stage, "ready": one.ready, "model": one.model, "detail": one.detail}
            for one in readiness.stages()
        ],
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """A citation."""
    passage = citation.passage
    chunk = passage.chunk
    return {
        "index": citation.index,
        "document_id": chunk.document_id,
        "collection": passage.collection,
        "passage_id": passage.id,
        "title": chunk.title,
        "uri": chunk.uri,
        "span": _span_json(chunk.span),
        "answer_span": _span_json(citation.answer_span),
        "page": citation.page or None,
        "heading": list(citation.heading),
        "sentence": _span_json(citation.sentence),
        "support": citation.support,
        "verdict": citation.verdict.value,
        "quote": None if citation.quote is None else _span_json(citation.quote),
        "boxes": [_box_json(one) for one in citation.boxes],
    }


def _box_json(box: LineBox) -> dict[str, float]:
    return {"page": box.page, "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1}


def _span_json(span: Span) -> dict[str, int]:
    return {"start": span.start, "end": span.end}


def _degradation_json(degradation: Degradation) -> dict[str, str]:
    shown = {
        "stage": degradation.stage,
        "reason": degradation.reason.value,
        "fallback": degradation.fallback,
    }
    return {**shown, "detail": degradation.detail} if degradation.detail else shown


def _timings_json(timings: Timings) -> dict[str, float | None]:
    """The stages that there have always been; `_stages_json` has all."""
    measured = {stage: timings.of(stage) for stage in ("embed", "search", "rerank", "generate")}
    return {
        stage: None if value is None else round(value, 3)
        for stage, value in {**measured, "total": timings.total}.items()
    }


def _stages_json(timings: Timings) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "start_ms": round(one.start, 3), "duration_ms": round(one.duration, 3)}
        for one in timings.stages
    ]
