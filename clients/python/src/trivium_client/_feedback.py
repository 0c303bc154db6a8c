"""What people say of answers."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from trivium.gateway.v1 import feedback_service_pb2 as pb

Rating = Literal[-1, 1]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What someone says of an answer.

    Attributes:
        request_id: The request that it is about.
        rating: 1 for right, -1 for wrong.
        comment: What they say of it.
        answer: The right answer, in their words; may be empty.
        document_ids: The documents that answer the question, if they named them.
        question: What was asked.
        collection: Where it was asked.
        given_answer: What was answered; empty where that was not known any more.
        cited_document_ids: The documents that the answer cited.
        refused: Whether the answer was a refusal.
        user: Who says it; empty if nobody is named.
        created_at: When, in UTC.
    """

    request_id: str
    rating: int
    comment: str
    answer: str
    document_ids: tuple[str, ...]
    question: str
    collection: str
    given_answer: str
    cited_document_ids: tuple[str, ...]
    refused: bool
    user: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FeedbackLines:
    """Lines of a file of a set of labelled questions.

    Attributes:
        file: The file's name: `queries.jsonl`, `qrels.tsv` or `corpus.jsonl`.
        lines: Whole lines, in UTF-8.
    """

    file: str
    lines: bytes


def feedback_from(message: pb.Feedback) -> Feedback:
    """Reads a message."""
    return Feedback(
        request_id=message.request_id,
        rating=message.rating,
        comment=message.comment,
        answer=message.answer,
        document_ids=tuple(message.document_ids),
        question=message.question,
        collection=message.collection,
        given_answer=message.given_answer,
        cited_document_ids=tuple(message.cited_document_ids),
        refused=message.refused,
        user=message.user,
        created_at=message.created_at.ToDatetime(UTC),
    )
