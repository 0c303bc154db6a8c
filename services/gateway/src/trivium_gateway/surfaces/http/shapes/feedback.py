"""What was said of answers."""

from typing import Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class FeedbackResponse(Shape):
    """What someone said of an answer."""

    request_id: str
    rating: Literal[-1, 1]
    comment: str
    answer: str = Field(description="The right answer, in their words; may be empty.")
    document_ids: list[str] = Field(description="The documents that answer the question, if they named them.")
    question: str
    collection: str
    given_answer: str = Field(description="What was answered; empty where that was not known any more.")
    cited_document_ids: list[str]
    refused: bool
    user: str | None
    created_at: str


class ListFeedbackResponse(Shape):
    """A page of feedback, the oldest first."""

    feedback: list[FeedbackResponse]
    next_page_token: str | None


class DeleteFeedbackResponse(Shape):
    """How much was deleted."""

    deleted: int
