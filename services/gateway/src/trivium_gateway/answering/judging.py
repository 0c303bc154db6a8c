"""Says how surely passages answer a question: each passage's score, and all of them together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_evidence.absent_names import share_of_absent_names, without_names
from trivium_evidence.asking import what_is_asked
from trivium_evidence.calibration import by_words, calibration_for, descending, search_only
from trivium_evidence.signs import Nearness, Read, coverages, signs_of, signs_of_passage, signs_of_vectors
from trivium_evidence.steps import with_named_step
from trivium_evidence.terms import words_apart
from trivium_evidence.unstated import lacks_what_is_asked, without_what_is_asked

from trivium_gateway.domain.answerability import NO_PASSAGES, Answerability, UnanswerableReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.passages import Passage, Scores
    from trivium_gateway.domain.settings import CollectionSettings

# Of more passages than this, the first ones tell.
_MOST_PASSAGES = 5


def calibrated(
    query: str, passages: Sequence[Passage], fingerprint: str, *, by_model: bool, settings: CollectionSettings
) -> tuple[Passage, ...]:
    """Passages whose scores are probabilities, if there is a calibration for the models that found them.

    The order stays: where it and the probabilities differ, neighbours share their mean.

    Args:
        query: What they were judged by.
        passages: Best first.
        fingerprint: The embedding model's.
        by_model: Whether that model can read the query, and its vectors count.
        settings: Of the collection that they are from.
    """
    if not passages:
        return ()
    first = passages[0].scores
    key = _key(first, fingerprint, query, by_model=by_model)
    asked = what_is_asked(query)
    found = coverages(words_apart(asked), [_read(one, asked) for one in passages])
    measured = [
        replace(one, scores=replace(one.scores, coverage=covered)) for one, covered in zip(passages, found, strict=True)
    ]
    calibration = calibration_for(key)
    if calibration is None:
        return tuple(measured)
    # A cross-encoder's estimate stands for itself.
    is_voice = first.rerank is None or first.rerank_weight is not None
    scores = [one.score for one in measured]
    if is_voice:
        scores = descending(
            [
                settings.scaled_score(calibration.passage.probability(signs_of_passage(_near(one), covered)))
                for one, covered in zip(measured, found, strict=True)
            ]
        )
    return tuple(
        replace(one, score=score, scores=replace(one.scores, calibration=key, calibrated=is_voice))
        for one, score in zip(measured, scores, strict=True)
    )


async def judged(query: str, passages: Sequence[Passage], settings: CollectionSettings) -> Answerability:
    """Whether passages answer a question.

    Args:
        query: The question, as it was searched for.
        passages: What was found, best first, as `calibrated` gives them.
        settings: Of the collection that they are from.
    """
    if not passages:
        return NO_PASSAGES
    calibration = calibration_for(passages[0].scores.calibration)
    if calibration is None:
        return Answerability()
    asked = what_is_asked(query)
    signs = await asyncio.to_thread(_signs, asked, passages[:_MOST_PASSAGES])
    absent = await asyncio.to_thread(_absent, asked, passages)
    about = without_names(calibration.topic.probability(signs), absent)
    states = calibration.statement.probability(signs)
    if await asyncio.to_thread(_lacks, asked, passages):
        states = without_what_is_asked(states)
    confidence = settings.scaled_confidence(about * states)
    is_weak, is_unstated = about < calibration.weak_below, about * states < calibration.unstated_below
    refuses = about < calibration.refuse_below
    if settings.mark_below is not None:
        is_weak, is_unstated = False, confidence < settings.mark_below
    if settings.refuse_below is not None:
        is_weak = refuses = confidence < settings.refuse_below
    reason = None
    if is_weak:
        reason = UnanswerableReason.WEAK_EVIDENCE
    elif is_unstated:
        reason = UnanswerableReason.NOT_STATED
    return Answerability(round(confidence, 4), reason, refuses=refuses and reason is not None)


def _key(scores: Scores, fingerprint: str, query: str, *, by_model: bool) -> str:
    """By which calibration passages are judged; empty for none, as where a leg of the search is missing."""
    if scores.dense_weight is None:
        return ""
    if not by_model:
        return by_words(query)
    return fingerprint if scores.maxsim is not None else search_only(fingerprint)


def _signs(asked: str, passages: Sequence[Passage]) -> dict[str, float]:
    return signs_of(asked, [_read(one, asked) for one in passages], words_apart(asked)) | signs_of_vectors(
        list(map(_near, passages))
    )


def _absent(asked: str, passages: Sequence[Passage]) -> float:
    """What part of what a question names is named in none of the passages."""
    read = (_read(one, asked) for one in passages)
    return share_of_absent_names(asked, [f"{one.title}\n{one.text}" for one in read])


def _lacks(asked: str, passages: Sequence[Passage]) -> bool:
    return lacks_what_is_asked(asked, [_read(one, asked) for one in passages])


def _read(passage: Passage, asked: str) -> Read:
    chunk = passage.piece or passage.chunk  # sections are longer than what scores are calibrated by
    return Read(with_named_step(asked, chunk.readable_text), " ".join((chunk.title, *chunk.heading)).strip())


def _near(passage: Passage) -> Nearness:
    scores = passage.scores
    weighted = None if scores.maxsim is None or scores.rerank is None else 2 * scores.rerank - 1
    return Nearness(scores.dense, scores.maxsim, weighted)
