"""What surfaces ask: questions, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.gateway.files import Files
from trivium_gateway.gateway.library import Library
from trivium_gateway.gateway.questions import Found, Questions
from trivium_gateway.gateway.rebuilding import Rebuilding
from trivium_gateway.gateway.transfers import Transfers

if TYPE_CHECKING:
    from trivium_gateway.answering.feedback import FeedbackBox
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.health.readiness import Readiness
    from trivium_gateway.ingestion.jobs.jobs import Jobs

__all__ = ["Files", "Found", "Gateway", "Library", "Questions", "Rebuilding", "Transfers"]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What surfaces ask.

    Attributes:
        questions: Whatever is asked.
        library: What is kept.
        files: The files that it came in.
        rebuilding: Makes the indexes of what is kept anew.
        transfers: Takes what is kept out and in.
        jobs: Ingestions that go on by themselves.
        feedback: What people say of answers.
        readiness: How each stage is.
        limits: What is accepted.
    """

    questions: Questions
    library: Library
    files: Files
    rebuilding: Rebuilding
    transfers: Transfers
    jobs: Jobs
    feedback: FeedbackBox
    readiness: Readiness
    limits: GatewayLimits
