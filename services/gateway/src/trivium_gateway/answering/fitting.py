"""How much of a question is done in the time that its caller has: fewer candidates, fewer passages, other means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded

from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.degradation import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.answering.question import Question
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.models.generate import GenerateClient
    from trivium_gateway.request.record import Record

# What a fallback needs of the remaining time once writing the answer was given up.
GENERATE_SHARE = 0.9
_FILL = 0.9
"""What part of its room a stage is filled to; the rest is for what is in no stage."""


def candidates_in_time(count: int, top_n: int, record: Record) -> int:
    """How many candidates the reranker usually judges in the time that is left for it, at least those to be shown.

    Args:
        count: How many there are.
        top_n: How many passages are wanted.
        record: Knows the time, and what is to come behind.
    """
    room = _FILL * record.budget.room(record.budget.later)
    return max(min(count, top_n), record.budget.paces.fitting("rerank", count, room))


def means_of(question: Question, generate: GenerateClient) -> str:
    """What is going to write the answer, by its name in Paces."""
    return "extract" if question.mode is AnswerMode.EXTRACTIVE else generate.means


@dataclass(slots=True)
class Writing:
    """What is asked of the generate service.

    Attributes:
        means: By what it is written, for Paces.
        mode: By which means to write.
        passages: To write from, best first.
        size: Their characters.
        seconds: How long it may take.
        spent_seconds: What it has taken so far, without the caller's own time.
    """

    means: str
    mode: AnswerMode
    passages: tuple[Passage, ...]
    size: int
    seconds: float
    spent_seconds: float = 0.0


def writing_in_time(
    question: Question, passages: tuple[Passage, ...], means: str, whole_seconds: float, record: Record
) -> Writing:
    """What there is time to have written: by other means than a model if it takes too long, from fewer passages.

    Args:
        question: The question.
        passages: What was found, best first.
        means: What is going to write; see means_of.
        whole_seconds: Longest time for it.
        record: Knows the time.

    Raises:
        DeadlineExceeded: Nothing can be written in time, or not by the model that is wanted.
    """
    sizes = list(accumulate(len(one.chunk.readable_text) for one in passages)) or [1]
    mode, least = question.mode, max(1, sizes[0])
    try:
        seconds = record.budget.allot(means, whole_seconds, GENERATE_SHARE, size=least)
    except DeadlineExceeded as error:
        if means != "generate" or question.needs_model or not passages:
            raise
        means, mode = "extract", AnswerMode.EXTRACTIVE
        seconds = record.budget.allot(means, whole_seconds, GENERATE_SHARE, size=least)
        record.replace(Stage.GENERATE, error, "extractive")
    fitting = record.budget.paces.fitting(means, max(1, sizes[-1]), record.seconds(math.inf, GENERATE_SHARE))
    count = max(1, sum(size <= fitting for size in sizes)) if passages else 0
    if fitting < least and means == "generate":  # its time is that of what it writes, and not of what it reads
        count = len(passages)
    if count < len(passages):
        left_out = len(passages) - count
        record.fit(Stage.GENERATE, "fewer-passages", f"{left_out} passages are not read for want of time")
    return Writing(means, mode, passages[:count], max(1, sizes[count - 1]) if count else 1, seconds)


def left_out(writing: Writing, passages: Sequence[Passage]) -> tuple[int, ...]:
    """The numbers of the passages that the answer is written without."""
    return tuple(range(len(writing.passages) + 1, len(passages) + 1))
