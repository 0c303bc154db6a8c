"""Reads the contract's messages into this library's values."""

from collections.abc import Iterable

from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2, span_pb2

from trivium_client._answers import (
    Answer,
    AnswerDelta,
    AnswerEvent,
    AnswerSources,
    Box,
    Citation,
    UnanswerableReason,
    Usage,
    Verdict,
)
from trivium_client._collections import Collection, CollectionState, SettingsVersion
from trivium_client._documents import Document, DocumentError, DocumentResult, DocumentStatus
from trivium_client._errors import InternalError
from trivium_client._index_responses import comparison, index_beside
from trivium_client._passages import (
    Cached,
    Degradation,
    Passage,
    Retrieval,
    Scores,
    SearchedQuery,
    Span,
    StageTime,
    Timings,
)
from trivium_client._setting_values import setting_values
from trivium_client._status import StageStatus, Status
from trivium_client._structs import json_object

_STAGES = {
    degradation_pb2.STAGE_EMBED: "embed",
    degradation_pb2.STAGE_SEARCH_DENSE: "search.dense",
    degradation_pb2.STAGE_SEARCH_SPARSE: "search.sparse",
    degradation_pb2.STAGE_RERANK: "rerank",
    degradation_pb2.STAGE_GENERATE: "generate",
}
_REASONS = {
    degradation_pb2.DEGRADATION_REASON_UNAVAILABLE: "unavailable",
    degradation_pb2.DEGRADATION_REASON_TIMEOUT: "timeout",
    degradation_pb2.DEGRADATION_REASON_OVERLOADED: "overloaded",
    degradation_pb2.DEGRADATION_REASON_LOADING: "loading",
}
_ORIGINS: dict[int, str] = {
    pb.QUERY_ORIGIN_QUESTION: "question",
    pb.QUERY_ORIGIN_REQUEST: "request",
    pb.QUERY_ORIGIN_MODEL: "model",
    pb.QUERY_ORIGIN_PASSAGE: "passage",
}
_UNANSWERABLE_REASONS: dict[int, UnanswerableReason] = {
    pb.UNANSWERABLE_REASON_NO_PASSAGES: "no_passages",
    pb.UNANSWERABLE_REASON_WEAK_EVIDENCE: "weak_evidence",
    pb.UNANSWERABLE_REASON_NOT_STATED: "not_stated",
}
_VERDICTS: dict[int, Verdict] = {
    pb.VERDICT_SUPPORTED: "supported",
    pb.VERDICT_WEAK: "weak",
    pb.VERDICT_UNSUPPORTED: "unsupported",
}
_STATUSES: dict[int, DocumentStatus] = {
    pb.DOCUMENT_STATUS_INDEXED: "indexed",
    pb.DOCUMENT_STATUS_UPDATED: "updated",
    pb.DOCUMENT_STATUS_UNCHANGED: "unchanged",
    pb.DOCUMENT_STATUS_FAILED: "failed",
}
_COLLECTION_STATES: dict[int, CollectionState] = {
    pb.COLLECTION_STATE_UNSPECIFIED: "ready",  # an earlier gateway shows no others
    pb.COLLECTION_STATE_READY: "ready",
    pb.COLLECTION_STATE_OPENING: "opening",
    pb.COLLECTION_STATE_DAMAGED: "damaged",
    pb.COLLECTION_STATE_UNAVAILABLE: "unavailable",
}


def retrieval(message: pb.RetrieveResponse) -> Retrieval:
    return Retrieval(
        passages=_passages(message.passages),
        timings=_timings(message.timings),
        degraded=_degraded(message.degraded),
        request_id=message.request_id,
        stages=_stages(message.stages),
        search_query=_search_query(message),
        queries=_queries(message.queries),
        cached=_cached(message.cached),
    )


def answer_event(message: pb.AnswerResponse) -> AnswerEvent | None:
    """Returns None for an event that this version does not know."""
    match message.WhichOneof("event"):
        case "sources":
            return AnswerSources(_passages(message.sources.passages), _search_query(message.sources))
        case "delta":
            return AnswerDelta(message.delta.text, _citations(message.delta.citations))
        case "summary":
            return _answer(message.summary)
        case _:
            return None


def without_summary() -> InternalError:
    """What a stream means that ended without its last message."""
    return InternalError("the gateway ended the answer without its summary", reason="INCOMPLETE_RESPONSE")


def document_result(message: pb.DocumentResult) -> DocumentResult:
    status = _STATUSES.get(message.status, "failed")
    error = DocumentError(message.error.reason, message.error.message) if message.HasField("error") else None
    parts = tuple(document_result(part) for part in message.parts)
    return DocumentResult(message.id, status, message.chunk_count, error, message.content_hash, parts)


def document(message: pb.Document, *, with_text: bool) -> Document:
    return Document(
        id=message.id,
        title=message.title,
        uri=message.uri,
        metadata=json_object(message.metadata),
        chunk_count=message.chunk_count,
        text=message.text if with_text else None,
        container=message.container,
        content_hash=message.content_hash,
        readers=tuple(message.readers),
    )


def collection(message: pb.Collection) -> Collection:
    return Collection(
        name=message.name,
        chunk_count=message.chunk_count,
        model=message.model,
        model_fingerprint=message.model_fingerprint,
        dimension=message.dimension,
        metadata_keys=tuple(message.metadata_keys),
        state=_COLLECTION_STATES.get(message.state, "unavailable"),
        needs_reindex=message.needs_reindex,
        coded_chunk_count=message.coded_chunk_count if message.HasField("coded_chunk_count") else None,
        settings=_settings_version(message.settings) if message.HasField("settings") else None,
        earlier_settings=tuple(map(_settings_version, message.earlier_settings)),
        index_beside=index_beside(message.index_beside) if message.HasField("index_beside") else None,
        comparison=comparison(message.comparison) if message.HasField("comparison") else None,
        sparse_fingerprint=message.sparse_fingerprint,
    )


def _settings_version(message: pb.SettingsVersion) -> SettingsVersion:
    return SettingsVersion(message.number, message.made_at or None, message.note, setting_values(message.settings))


def status(message: pb.GetStatusResponse) -> Status:
    return Status(
        ready=message.ready,
        stages=tuple(StageStatus(stage.stage, stage.ready, stage.model, stage.detail) for stage in message.stages),
    )


def _answer(message: pb.AnswerSummary) -> Answer:
    return Answer(
        answer=message.answer,
        answerable=message.answerable,
        confidence=_single(message.confidence) if message.HasField("confidence") else None,
        citations=_citations(message.citations),
        passages=_passages(message.passages),
        timings=_timings(message.timings),
        degraded=_degraded(message.degraded),
        usage=Usage(message.usage.prompt_tokens, message.usage.completion_tokens, message.usage.is_estimated),
        model=message.model,
        request_id=message.request_id,
        dropped_passages=tuple(message.dropped_passages),
        stages=_stages(message.stages),
        search_query=_search_query(message),
        queries=_queries(message.queries),
        reason=_UNANSWERABLE_REASONS.get(message.reason),
        refused=message.refused,
        unsupported=tuple(map(_span, message.unsupported)),
        cached=_cached(message.cached),
    )


def _cached(message: pb.Cached) -> Cached:
    similar = message.similar_question if message.HasField("similar_question") else None
    return Cached(message.retrieval, message.answer, similar)


def _passages(messages: Iterable[pb.Passage]) -> tuple[Passage, ...]:
    return tuple(
        Passage(
            id=message.id,
            document_id=message.document_id,
            title=message.title,
            uri=message.uri,
            text=message.text,
            score=_single(message.score),
            scores=_scores(message.scores),
            span=_span(message.span),
            metadata=json_object(message.metadata),
            duplicates=tuple(message.duplicates),
            heading=tuple(message.heading),
            page=message.page if message.HasField("page") else None,
            found_by=tuple(message.found_by),
            collection=message.collection,
        )
        for message in messages
    )


def _scores(message: pb.PassageScores) -> Scores:
    return Scores(
        dense=_single(message.dense) if message.HasField("dense") else None,
        sparse=_single(message.sparse) if message.HasField("sparse") else None,
        fused=_single(message.fused) if message.HasField("fused") else None,
        rerank=_single(message.rerank) if message.HasField("rerank") else None,
        dense_weight=_single(message.dense_weight) if message.HasField("dense_weight") else None,
        rerank_weight=_single(message.rerank_weight) if message.HasField("rerank_weight") else None,
        maxsim=_single(message.maxsim) if message.HasField("maxsim") else None,
        coverage=_single(message.coverage) if message.HasField("coverage") else None,
        calibrated=message.calibrated,
        calibration=message.calibration,
        learned=_single(message.learned) if message.HasField("learned") else None,
    )


def _search_query(message: pb.RetrieveResponse | pb.Sources | pb.AnswerSummary) -> str | None:
    return message.search_query if message.HasField("search_query") else None


def _queries(messages: Iterable[pb.SearchedQuery]) -> tuple[SearchedQuery, ...]:
    return tuple(SearchedQuery(message.text, _ORIGINS.get(message.origin, "unknown")) for message in messages)


def _citations(messages: Iterable[pb.Citation]) -> tuple[Citation, ...]:
    return tuple(
        Citation(
            index=message.index,
            document_id=message.document_id,
            passage_id=message.passage_id,
            title=message.title,
            uri=message.uri,
            span=_span(message.span),
            answer_span=_span(message.answer_span),
            page=message.page if message.HasField("page") else None,
            heading=tuple(message.heading),
            sentence=_span(message.sentence) if message.HasField("sentence") else None,
            support=_single(message.support),
            verdict=_VERDICTS.get(message.verdict, "unknown"),
            quote=_span(message.quote) if message.HasField("quote") else None,
            boxes=tuple(Box(one.page, *map(_single, (one.x0, one.y0, one.x1, one.y1))) for one in message.boxes),
            collection=message.collection,
        )
        for message in messages
    )


def _timings(message: pb.StageTimings) -> Timings:
    return Timings(
        embed=_milliseconds(message.embed_ms) if message.HasField("embed_ms") else None,
        search=_milliseconds(message.search_ms) if message.HasField("search_ms") else None,
        rerank=_milliseconds(message.rerank_ms) if message.HasField("rerank_ms") else None,
        generate=_milliseconds(message.generate_ms) if message.HasField("generate_ms") else None,
        total=_milliseconds(message.total_ms) if message.HasField("total_ms") else None,
    )


def _stages(messages: Iterable[pb.StageTime]) -> tuple[StageTime, ...]:
    return tuple(StageTime(one.name, _milliseconds(one.start_ms), _milliseconds(one.duration_ms)) for one in messages)


def _degraded(messages: Iterable[degradation_pb2.Degradation]) -> tuple[Degradation, ...]:
    return tuple(
        Degradation(
            stage=message.stage_name or _STAGES.get(message.stage, "unknown"),  # an earlier gateway does not name it
            reason=_REASONS.get(message.reason, "unknown"),
            fallback=message.fallback,
            detail=message.detail,
        )
        for message in messages
    )


def _span(message: span_pb2.Span) -> Span:
    return Span(message.start, message.end)


def _single(value: float) -> float:
    """Single precision on the wire: the digits beyond it are noise that would only show in print."""
    return float(f"{value:.7g}")


def _milliseconds(value: float) -> float:
    return round(value, 3)
