"""Puts the candidates of a search in their final order, as passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_evidence.signs import COMPARED

from trivium_gateway.domain.duplicates import near_duplicates
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.standings import Ordered
from trivium_gateway.models.ranking import ScoreKind, descending_order, final_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.answering.plan import SearchOptions
    from trivium_gateway.answering.weighing import Weights
    from trivium_gateway.library.candidates import Candidate
    from trivium_gateway.models.rerank import Reranking
    from trivium_gateway.request.record import Record


def best_passages(
    candidates: Sequence[Candidate],
    judged: Reranking | None,
    weights: Weights,
    options: SearchOptions,
    record: Record,
    unread_scores: Sequence[float] = (),
) -> tuple[Passage, ...]:
    """The best candidates as passages, best first.

    Args:
        candidates: What was found.
        judged: The reranker's judgement of each; None to go by the search.
        weights: How much the stages count.
        options: How many are wanted, and whether duplicates stand for each other. There are more where that is few:
            each is scored beside the others.
        record: Takes note of what happens.
        unread_scores: The search scores of what was found behind the candidates, beside which theirs are to be seen.
    """
    searched = [one.search_score for one in candidates]
    if judged is not None:
        scores = final_scores(searched, judged.scores, judged.kind, weights.rerank)
    else:
        scores = final_scores([*searched, *unread_scores])[: len(searched)]
    order = descending_order(scores)
    if judged is not None:
        record.note({"trivium.best_position": order[0] + 1})
    most = max(options.top_n, COMPARED)
    groups = [[rank] for rank in range(len(order))][:most]
    if options.collapse:
        groups = near_duplicates([candidates[position].chunk.text for position in order], most)
    record.ordered = _ordered(candidates, judged, scores, order, groups[: options.top_n])
    passages = []
    for group in groups:
        position, *others = (order[rank] for rank in group)
        one = candidates[position]
        passages.append(
            Passage(
                one.id,
                one.chunk,
                scores[position],
                _scores(one, judged, position, weights),
                _other_documents(one, [candidates[other] for other in others]),
            )
        )
    return tuple(passages)


def _ordered(
    candidates: Sequence[Candidate],
    judged: Reranking | None,
    scores: Sequence[float],
    order: Sequence[int],
    groups: Sequence[Sequence[int]],
) -> list[Ordered]:
    """Where each candidate ends: in `order`, of which each of `groups` is shown as one passage."""
    places = {rank: place for place, group in enumerate(groups) for rank in group}
    first = {group[0] for group in groups}
    return [
        Ordered(
            candidates[position].id,
            candidates[position].chunk.document_id,
            judged.scores[position] if judged else None,
            scores[position],
            places.get(rank),
            rank in first,
        )
        for rank, position in enumerate(order)
    ]


def _scores(candidate: Candidate, judged: Reranking | None, position: int, weights: Weights) -> Scores:
    is_voice = judged is not None and judged.kind is ScoreKind.SIMILARITY
    return Scores(
        candidate.dense,
        candidate.sparse,
        candidate.fused,
        judged.scores[position] if judged else None,
        dense_weight=None if candidate.fused is None else weights.dense,
        rerank_weight=weights.rerank if is_voice else None,
        maxsim=judged.maxsim[position] if judged and judged.maxsim else None,
        learned=candidate.learned,
    )


def _other_documents(candidate: Candidate, duplicates: Sequence[Candidate]) -> tuple[str, ...]:
    documents = dict.fromkeys(one.chunk.document_id for one in duplicates)
    return tuple(one for one in documents if one != candidate.chunk.document_id)
