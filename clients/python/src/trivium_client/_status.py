"""The state of the stack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How one stage is.

    Attributes:
        stage: `embed`, `search`, `rerank` or `generate`.
        ready: Whether it works.
        model: Its model, or Qdrant's version; empty while it cannot be asked.
        detail: What is wrong, or empty.
    """

    stage: str
    ready: bool
    model: str
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """How the stack is; `ready` says whether any answer, a degraded one included, is possible."""

    ready: bool
    stages: tuple[StageStatus, ...]
