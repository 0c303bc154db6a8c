"""Traces as JSON, which all surfaces show alike."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trivium_gateway.answering.question import Question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trivium_gateway.answering.traces import Answered, Trace
    from trivium_gateway.domain.explanations import Explanation


def trace_json(
    trace: Trace, settings: Mapping[str, Any], explanation: Explanation | None = None, *, with_texts: bool
) -> dict[str, Any]:
    """A trace.

    Args:
        trace: It.
        settings: Settings of the gateway that decide how questions are answered.
        explanation: What became of a document, if that was asked.
        with_texts: Whether to show what was asked and answered; else ids, numbers and decisions only.
    """
    timings = trace.timings
    return {
        "request_id": trace.request_id,
        "operation": trace.operation,
        "outcome": trace.outcome,
        "error": trace.error or None,
        "started_at": datetime.fromtimestamp(trace.started_at, UTC).isoformat(timespec="milliseconds"),
        "duration_ms": round(timings.total, 3) if timings else 0.0,
        "request": _request_json(trace, with_texts=with_texts),
        "settings": {**settings, "search": dict(trace.settings)},
        "queries": [{"text": one.text if with_texts else None, "origin": one.origin.value} for one in trace.queries],
        "stages": [
            {
                "name": one.name,
                "start_ms": round(one.start, 3),
                "duration_ms": round(one.duration, 3),
                "facts": dict(facts),
            }
            for one, facts in zip(timings.stages if timings else (), trace.stage_facts, strict=True)
        ],
        "facts": dict(trace.facts),
        "degraded": [
            {"stage": one.stage, "reason": one.reason.value, "fallback": one.fallback, "detail": one.detail}
            for one in trace.degraded
        ],
        "candidates": _candidates_json(trace),
        "passages": [
            {
                "id": one.id,
                "document_id": one.document_id,
                "score": one.score,
                "scores": asdict(one.scores),
                "duplicates": list(one.duplicates),
                "collection": one.collection,
            }
            for one in trace.passages
        ],
        "answer": None if trace.answer is None else _answer_json(trace.answer, with_texts=with_texts),
        "explanation": None if explanation is None else {**asdict(explanation), "fate": explanation.fate.value},
    }


def _request_json(trace: Trace, *, with_texts: bool) -> dict[str, Any]:
    asked = trace.asked
    question = asked if isinstance(asked, Question) else None
    options = asked.options
    text = asked.text if isinstance(asked, Question) else asked.queries[0].text
    return {
        "text": text if with_texts else None,
        "history_turns": len(asked.history),
        "collection": options.names[0] or "default",
        "collections": [one or "default" for one in options.names],
        "filter": dict(options.filter) if options.filter and with_texts else None,
        "is_filtered": bool(options.filter),
        "top_n": options.top_n,
        "candidates": options.candidates,
        "rerank": options.rerank,
        "collapse": options.collapse,
        "mode": question.mode.value if question else None,
        "refusal": question.refusal.value if question and question.refusal else None,
        "strict": question.strict if question else None,
    }


def _candidates_json(trace: Trace) -> list[dict[str, Any]]:
    """All that the search found: first those that were ordered, best first, then the rest by the search's order."""
    found: dict[str, dict[str, Any]] = {}
    for number, ranking in enumerate(trace.found):
        for place, one in enumerate(ranking, start=1):
            scores = {"dense": one.dense, "sparse": one.sparse, "fused": one.fused, "learned": one.learned}
            found.setdefault(one.id, {"id": one.id, "query": number, "search_rank": place, **scores})
    unknown = dict.fromkeys(("query", "search_rank", "dense", "sparse", "fused", "learned"))
    ordered = [
        {
            **found.pop(one.id, {"id": one.id, **unknown}),
            "document_id": one.document_id,
            "rank": rank,
            "rerank": one.rerank,
            "score": one.score,
            "passage": None if one.place is None else one.place + 1,
        }
        for rank, one in enumerate(trace.ordered, start=1)
    ]
    rest = dict.fromkeys(("document_id", "rank", "rerank", "score", "passage"))
    return [*ordered, *({**one, **rest} for one in found.values())]


def _answer_json(answer: Answered, *, with_texts: bool) -> dict[str, Any]:
    return {
        "text": answer.text if with_texts else None,
        "answerable": answer.answerable,
        "confidence": answer.confidence,
        "reason": answer.reason or None,
        "refused": answer.refused,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "citations": [asdict(one) for one in answer.citations],
        "dropped_passages": list(answer.dropped_passages),
        "unsupported_count": answer.unsupported_count,
    }
