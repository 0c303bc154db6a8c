"""Whether documents answer a question, and what becomes of it if they do not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """What becomes of a question that the documents hardly answer."""

    OFF = "off"
    """It is answered as any other."""
    MARK = "mark"
    """It is answered, and the answer says that it hardly rests on the documents."""
    REFUSE = "refuse"
    """It is not answered: what was searched and what came nearest is said instead, without asking a language model."""


class UnanswerableReason(StrEnum):
    """Why documents cannot answer a question."""

    NO_PASSAGES = "no_passages"
    """Nothing was found at all."""
    WEAK_EVIDENCE = "weak_evidence"
    """What was found is hardly about what the question asks for."""
    NOT_STATED = "not_stated"
    """What was found is about it, and does not state the answer."""


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether documents answer a question.

    Attributes:
        confidence: How likely it is that the passages state the answer, from 0 to 1; None if nothing tells.
        reason: Why they do not; None if they do.
        refuses: Whether it is so far from them that it is refused where refusals are left to the default.
    """

    confidence: float | None = None
    reason: UnanswerableReason | None = None
    refuses: bool = False

    @property
    def answerable(self) -> bool:
        """Whether they do."""
        return self.reason is None


NO_PASSAGES = Answerability(0.0, UnanswerableReason.NO_PASSAGES, refuses=True)
"""Of a question for which nothing was found."""
NOT_ASKED = Answerability()
"""Of a question that was not put to documents."""
