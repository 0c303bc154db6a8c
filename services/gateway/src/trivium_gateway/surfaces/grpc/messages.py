"""Protobuf messages to domain objects and back, for the servicer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2, span_pb2, usage_pb2
from trivium_conversation.messages import logprob_messages, sampling_from, tool_call_message, tools_from, turns_from
from trivium_conversation.sampling import FinishReason
from trivium_evidence.support import Verdict
from trivium_serving.errors import InvalidField
from trivium_serving.request_context import request_id

from trivium_gateway.answering.events import Delta, Sources
from trivium_gateway.answering.question import Expansion, Origin, Query, Question, Search, SearchOptions
from trivium_gateway.domain.answerability import Refusal, UnanswerableReason
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.degradation import Reason, Stage
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.library.descriptions import CollectionState
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.surfaces.door import principal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.struct_pb2 import Struct, Value

    from trivium_gateway.answering.events import Event, Summary
    from trivium_gateway.answering.question import Searched
    from trivium_gateway.domain.chunks import Span
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.metadata import JsonValue, Metadata
    from trivium_gateway.domain.passages import Citation, Passage
    from trivium_gateway.domain.settings import SettingsVersion
    from trivium_gateway.gateway import Found
    from trivium_gateway.health.readiness import Readiness
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.documents import DocumentResult, StoredDocument
    from trivium_gateway.request.record import Timings

_MODES = {
    pb.ANSWER_MODE_UNSPECIFIED: AnswerMode.AUTO,
    pb.ANSWER_MODE_AUTO: AnswerMode.AUTO,
    pb.ANSWER_MODE_MODEL: AnswerMode.MODEL,
    pb.ANSWER_MODE_EXTRACTIVE: AnswerMode.EXTRACTIVE,
}
_REFUSALS: dict[int, Refusal | None] = {
    pb.REFUSAL_UNSPECIFIED: None,
    pb.REFUSAL_OFF: Refusal.OFF,
    pb.REFUSAL_MARK: Refusal.MARK,
    pb.REFUSAL_REFUSE: Refusal.REFUSE,
}
_REFUSAL_VALUES = {
    None: pb.REFUSAL_UNSPECIFIED,
    Refusal.OFF: pb.REFUSAL_OFF,
    Refusal.MARK: pb.REFUSAL_MARK,
    Refusal.REFUSE: pb.REFUSAL_REFUSE,
}
_UNANSWERABLE_REASONS = {
    None: pb.UNANSWERABLE_REASON_UNSPECIFIED,
    UnanswerableReason.NO_PASSAGES: pb.UNANSWERABLE_REASON_NO_PASSAGES,
    UnanswerableReason.WEAK_EVIDENCE: pb.UNANSWERABLE_REASON_WEAK_EVIDENCE,
    UnanswerableReason.NOT_STATED: pb.UNANSWERABLE_REASON_NOT_STATED,
}
_VERDICTS = {
    Verdict.SUPPORTED: pb.VERDICT_SUPPORTED,
    Verdict.WEAK: pb.VERDICT_WEAK,
    Verdict.UNSUPPORTED: pb.VERDICT_UNSUPPORTED,
}
_EXPANSIONS = {pb.EXPANSION_QUERIES: Expansion.QUERIES, pb.EXPANSION_HYDE: Expansion.HYDE}
_ORIGINS = {
    Origin.QUESTION: pb.QUERY_ORIGIN_QUESTION,
    Origin.REQUEST: pb.QUERY_ORIGIN_REQUEST,
    Origin.MODEL: pb.QUERY_ORIGIN_MODEL,
    Origin.PASSAGE: pb.QUERY_ORIGIN_PASSAGE,
}
_FINISH_REASONS = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
}
_STAGES: dict[str, degradation_pb2.Stage.ValueType] = {
    Stage.EMBED: degradation_pb2.STAGE_EMBED,
    Stage.SEARCH_DENSE: degradation_pb2.STAGE_SEARCH_DENSE,
    Stage.SEARCH_SPARSE: degradation_pb2.STAGE_SEARCH_SPARSE,
    Stage.RERANK: degradation_pb2.STAGE_RERANK,
    Stage.GENERATE: degradation_pb2.STAGE_GENERATE,
}
_REASONS = {
    Reason.UNAVAILABLE: degradation_pb2.DEGRADATION_REASON_UNAVAILABLE,
    Reason.TIMEOUT: degradation_pb2.DEGRADATION_REASON_TIMEOUT,
    Reason.OVERLOADED: degradation_pb2.DEGRADATION_REASON_OVERLOADED,
    Reason.LOADING: degradation_pb2.DEGRADATION_REASON_LOADING,
}
_STATUSES = {
    DocumentStatus.INDEXED: pb.DOCUMENT_STATUS_INDEXED,
    DocumentStatus.UPDATED: pb.DOCUMENT_STATUS_UPDATED,
    DocumentStatus.UNCHANGED: pb.DOCUMENT_STATUS_UNCHANGED,
    DocumentStatus.FAILED: pb.DOCUMENT_STATUS_FAILED,
}
_COLLECTION_STATES = {
    CollectionState.READY: pb.COLLECTION_STATE_READY,
    CollectionState.OPENING: pb.COLLECTION_STATE_OPENING,
    CollectionState.DAMAGED: pb.COLLECTION_STATE_DAMAGED,
    CollectionState.UNAVAILABLE: pb.COLLECTION_STATE_UNAVAILABLE,
}
# From here on a double no longer holds every whole number.
_LARGEST_EXACT_NUMBER = 2**53


def search_from(request: pb.RetrieveRequest) -> Search:
    """What a request asks to look for.

    Raises:
        InvalidField: A role or an expansion is none that there is.
    """
    rerank = request.rerank if request.HasField("rerank") else None
    return Search.of(
        Query(request.query),
        principal(),
        _options(request, rerank),
        history=turns_from("history", request.history),
        queries=request.queries,
        expand=_expansions(request.expand),
    )


def question_from(request: pb.AnswerRequest) -> Question:
    """What a request asks.

    Raises:
        InvalidField: The mode, a role or the choice of tools is none that there is.
    """
    if request.mode not in _MODES:
        raise InvalidField("mode", f"mode {request.mode} does not exist.")
    if request.refusal not in _REFUSALS:
        raise InvalidField("refusal", f"refusal {request.refusal} does not exist.")
    return Question(
        request.question,
        principal(),
        _options(request),
        turns_from("history", request.history),
        _MODES[request.mode],
        sampling_from(request.sampling),
        tools=tools_from(request.tools),
        tool_turns=turns_from("tool_turns", request.tool_turns),
        queries=tuple(request.queries),
        expand=_expansions(request.expand),
        refusal=_REFUSALS[request.refusal],
        strict=request.strict,
    )


def _expansions(expand: Iterable[pb.Expansion.ValueType]) -> tuple[Expansion, ...]:
    wanted = tuple(expand)
    for number, one in enumerate(wanted):
        if one not in _EXPANSIONS:
            raise InvalidField(f"expand[{number}]", f"expand[{number}] must be EXPANSION_QUERIES or EXPANSION_HYDE.")
    return tuple(_EXPANSIONS[one] for one in wanted)


def _options(request: pb.RetrieveRequest | pb.AnswerRequest, rerank: bool | None = None) -> SearchOptions:
    return SearchOptions.of(
        collection=request.collection,
        filter=json_from(request.filter) if request.HasField("filter") else None,
        top_n=request.top_n if request.HasField("top_n") else None,
        candidates=request.candidates if request.HasField("candidates") else None,
        rerank=rerank,
        collapse=request.collapse if request.HasField("collapse") else None,
        settings=settings_from(request.settings),
    )


def document_from(document: pb.DocumentInput) -> NewDocument:
    """A document to add or replace."""
    is_file = document.WhichOneof("content") == "file"
    return NewDocument(
        id=document.id or None,
        title=document.title,
        uri=document.uri,
        metadata=json_from(document.metadata),
        text=None if is_file else document.text,
        data=document.file.data if is_file else None,
        filename=document.file.filename,
        media_type=document.file.media_type,
        default_id=document.default_id,
        moved_from=document.moved_from,
    )


def json_from(struct: Struct) -> dict[str, JsonValue]:
    """The object that a Struct stands for. Its numbers are all doubles; whole ones come back as int."""
    return {key: _json_value(value) for key, value in struct.fields.items()}


def _json_value(value: Value) -> JsonValue:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < _LARGEST_EXACT_NUMBER else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return json_from(value.struct_value)
    if kind == "list_value":
        return [_json_value(item) for item in value.list_value.values]
    return None


def found_message(found: Found) -> pb.RetrieveResponse:
    """The answer to Retrieve."""
    return pb.RetrieveResponse(
        passages=map(_passage, found.passages),
        timings=_timings(found.timings),
        stages=_stages(found.timings),
        search_query=found.searched.search_query,
        queries=_queries(found.searched),
        degraded=_degradations(found.degraded),
        request_id=request_id(),
    )


def event_message(event: Event) -> pb.AnswerResponse:
    """One message of the answer to Answer."""
    if isinstance(event, Sources):
        sources = pb.Sources(passages=map(_passage, event.passages), search_query=event.searched.search_query)
        return pb.AnswerResponse(sources=sources)
    if isinstance(event, Delta):
        return pb.AnswerResponse(delta=_delta(event))
    return pb.AnswerResponse(summary=_summary(event))


def result_message(result: DocumentResult) -> pb.DocumentResult:
    """What became of one document."""
    message = pb.DocumentResult(id=result.id, status=_STATUSES[result.status], chunk_count=result.chunk_count)
    message.content_hash = result.content_hash
    if result.error is not None:
        message.error.reason, message.error.message = result.error.reason, result.error.message
    message.parts.extend(result_message(part) for part in result.parts)
    return message


def document_message(document: StoredDocument) -> pb.Document:
    """A stored document."""
    message = pb.Document(
        id=document.id,
        container=document.container,
        title=document.title,
        uri=document.uri,
        chunk_count=document.chunk_count,
        content_hash=document.content_hash,
        text=document.text,
    )
    _fill(message.metadata, document.metadata)
    return message


def collection_message(collection: CollectionDescription) -> pb.Collection:
    """A collection."""
    return pb.Collection(
        name=collection.name,
        chunk_count=collection.chunk_count or 0,
        model=collection.model,
        model_fingerprint=collection.model_fingerprint,
        dimension=collection.dimension,
        metadata_keys=collection.metadata_keys,
        state=_COLLECTION_STATES[collection.state],
        needs_reindex=collection.needs_reindex,
        coded_chunk_count=collection.coded_chunk_count,
        settings=_settings_version(collection.settings.now) if collection.settings.change_count else None,
        earlier_settings=map(_settings_version, collection.settings.earlier),
    )


def settings_from(message: pb.CollectionSettings) -> CollectionSettings:
    """Settings of a collection.

    Raises:
        InvalidField: The refusal is none that there is.
    """
    if message.refusal not in _REFUSALS:
        raise InvalidField("settings.refusal", f"settings.refusal {message.refusal} does not exist.")
    given = {one.name: value for one, value in message.ListFields() if one.name != "refusal"}
    return CollectionSettings(**given, refusal=_REFUSALS[message.refusal])


def _settings_version(version: SettingsVersion) -> pb.SettingsVersion:
    given = version.settings.given()
    refusal = given.pop("refusal", None)
    settings = pb.CollectionSettings(**given, refusal=_REFUSAL_VALUES[refusal])
    return pb.SettingsVersion(number=version.number, settings=settings, made_at=version.made_at, note=version.note)


def status_message(readiness: Readiness) -> pb.GetStatusResponse:
    """How each stage is."""
    stages = [
        pb.StageStatus(stage=one.stage, ready=one.ready, model=one.model, detail=one.detail)
        for one in readiness.stages()
    ]
    return pb.GetStatusResponse(ready=readiness.ready, stages=stages)


def _delta(delta: Delta) -> pb.AnswerDelta:
    return pb.AnswerDelta(
        text=delta.text,
        citations=map(_citation, delta.citations),
        tool_calls=map(tool_call_message, delta.tool_calls),
        logprobs=logprob_messages(delta.logprobs, pb.TokenLogprob),
    )


def _summary(summary: Summary) -> pb.AnswerSummary:
    return pb.AnswerSummary(
        answer=summary.answer,
        answerable=summary.answerability.answerable,
        confidence=summary.answerability.confidence,
        reason=_UNANSWERABLE_REASONS[summary.answerability.reason],
        refused=summary.refused,
        unsupported=map(_span, summary.unsupported),
        citations=map(_citation, summary.citations),
        passages=map(_passage, summary.passages),
        timings=_timings(summary.timings),
        stages=_stages(summary.timings),
        search_query=summary.searched.search_query,
        queries=_queries(summary.searched),
        degraded=_degradations(summary.degraded),
        usage=usage_pb2.Usage(
            prompt_tokens=summary.prompt_tokens,
            completion_tokens=summary.completion_tokens,
            is_estimated=summary.is_usage_estimated,
        ),
        model=summary.model,
        request_id=request_id(),
        dropped_passages=summary.dropped_passages,
        finish_reason=_FINISH_REASONS[summary.finish_reason],
        tool_calls=map(tool_call_message, summary.tool_calls),
    )


def _passage(passage: Passage) -> pb.Passage:
    chunk, scores = passage.chunk, passage.scores
    message = pb.Passage(
        id=passage.id,
        document_id=chunk.document_id,
        title=chunk.title,
        uri=chunk.uri,
        text=chunk.text,
        score=passage.score,
        scores=pb.PassageScores(
            dense=scores.dense,
            sparse=scores.sparse,
            fused=scores.fused,
            rerank=scores.rerank,
            dense_weight=scores.dense_weight,
            rerank_weight=scores.rerank_weight,
            maxsim=scores.maxsim,
            coverage=scores.coverage,
            calibrated=scores.calibrated,
            calibration=scores.calibration,
        ),
        span=_span(chunk.span),
        duplicates=passage.duplicates,
        heading=chunk.heading,
        page=chunk.page or None,
        found_by=passage.found_by,
    )
    _fill(message.metadata, chunk.metadata)
    return message


def _citation(citation: Citation) -> pb.Citation:
    passage = citation.passage
    chunk = passage.chunk
    return pb.Citation(
        index=citation.index,
        document_id=chunk.document_id,
        passage_id=passage.id,
        title=chunk.title,
        uri=chunk.uri,
        span=_span(chunk.span),
        answer_span=_span(citation.answer_span),
        page=citation.page or None,
        heading=citation.heading,
        support=citation.support,
        verdict=_VERDICTS[citation.verdict],
        quote=None if citation.quote is None else _span(citation.quote),
        sentence=_span(citation.sentence),
        boxes=(pb.Box(page=one.page, x0=one.x0, y0=one.y0, x1=one.x1, y1=one.y1) for one in citation.boxes),
    )


def _queries(searched: Searched) -> Iterable[pb.SearchedQuery]:
    return (pb.SearchedQuery(text=one.text, origin=_ORIGINS[one.origin]) for one in searched.queries)


def _span(span: Span) -> span_pb2.Span:
    return span_pb2.Span(start=span.start, end=span.end)


def _timings(timings: Timings) -> pb.StageTimings:
    return pb.StageTimings(
        embed_ms=timings.of("embed"),
        search_ms=timings.of("search"),
        rerank_ms=timings.of("rerank"),
        generate_ms=timings.of("generate"),
        total_ms=timings.total,
    )


def _stages(timings: Timings) -> Iterable[pb.StageTime]:
    return (pb.StageTime(name=one.name, start_ms=one.start, duration_ms=one.duration) for one in timings.stages)


def _degradations(degraded: Iterable[Degradation]) -> list[degradation_pb2.Degradation]:
    return [
        degradation_pb2.Degradation(
            stage=_STAGES.get(one.stage, degradation_pb2.STAGE_UNSPECIFIED),
            reason=_REASONS[one.reason],
            fallback=one.fallback,
            detail=one.detail,
            stage_name=one.stage,
        )
        for one in degraded
    ]


def _fill(struct: Struct, metadata: Metadata) -> None:
    struct.update(dict(metadata))
