"""How the passages of several queries to a vector store are put together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.gateway import Found
from trivium_gateway.request.record import Timings
from trivium_gateway.surfaces.http.openai.vector_stores import _find, _merged

_PASSAGE = Passage("", Chunk("d", 0, "", "", "text", 0, 4, "", 1, {}), 0.0, Scores())


def _found(**scores: float) -> Found:
    passages = tuple(replace(_PASSAGE, id=name, score=score) for name, score in scores.items())
    return Found(passages, Timings((), 1.0), ())


def test_passages_of_one_query_keep_their_scores() -> None:
    merged = _merged([_found(a=0.9, b=0.4, c=0.1)], 2, 0.2)

    assert [(one.id, one.score) for one in merged] == [("a", 0.9), ("b", 0.4)]


def test_best_of_each_query_comes_before_the_rest_of_one_that_scores_high() -> None:
    confident, modest = _found(a=0.99, b=0.98, c=0.97), _found(x=0.3, b=0.2)

    merged = _merged([confident, modest], 10, 0.0)

    assert [one.id for one in merged] == ["b", "a", "x", "c"]
    assert merged[0].score == pytest.approx(61 / 62)
    assert [one.score for one in merged] == sorted((one.score for one in merged), reverse=True)


class _SlowQuestions:
    """Takes its time for each question, and notes how long it might have taken."""

    longest_seconds = 20.0

    def __init__(self) -> None:
        self.questions = self
        self.allowed: list[float] = []

    async def retrieve(self, search: Any, *, timeout_seconds: float) -> Found:
        self.allowed.append(timeout_seconds)
        await asyncio.sleep(0.02)
        return _found()


async def test_queries_have_the_time_of_one_all_together() -> None:
    gateway: Any = _SlowQuestions()
    searches: Any = ["a", "b", "c"]

    await _find(gateway, searches)

    first, second, third = gateway.allowed
    assert first <= gateway.longest_seconds
    assert second <= first - 0.02
    assert third <= second - 0.02
