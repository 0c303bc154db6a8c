"""What was found, and the parts of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2, span_pb2, usage_pb2
from trivium_conversation.messages import logprob_messages, tool_call_message
from trivium_conversation.sampling import FinishReason
from trivium_evidence.support import Verdict
from trivium_serving.request_context import request_id

from trivium_gateway.answering.events import Delta, Sources
from trivium_gateway.answering.plan import Origin
from trivium_gateway.domain.answerability import UnanswerableReason
from trivium_gateway.domain.degradation import Reason, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivium_gateway.answering.events import Event, Summary
    from trivium_gateway.answering.plan import Searched
    from trivium_gateway.domain.cached import Cached
    from trivium_gateway.domain.chunks import Span
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Citation, Passage
    from trivium_gateway.gateway import Found
    from trivium_gateway.request.record import Timings

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


def found_message(found: Found) -> pb.RetrieveResponse:
    """The answer to Retrieve."""
    return pb.RetrieveResponse(
        passages=map(_passage, found.passages),
        timings=_timings(found.timings),
        stages=_stages(found.timings),
        search_query=found.searched.search_query,
        queries=_queries(found.searched),
        degraded=_degradations(found.degraded),
        cached=_cached(found.cached),
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
        cached=_cached(summary.cached),
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
            learned=scores.learned,
        ),
        span=_span(chunk.span),
        duplicates=passage.duplicates,
        heading=chunk.heading,
        page=chunk.page or None,
        found_by=passage.found_by,
        collection=passage.collection,
    )
    message.metadata.update(dict(chunk.metadata))
    return message


def _citation(citation: Citation) -> pb.Citation:
    passage = citation.passage
    chunk = passage.chunk
    return pb.Citation(
        index=citation.index,
        document_id=chunk.document_id,
        collection=passage.collection,
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


def _cached(cached: Cached) -> pb.Cached:
    return pb.Cached(retrieval=cached.retrieval, answer=cached.answer, similar_question=cached.similar_question or None)


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
