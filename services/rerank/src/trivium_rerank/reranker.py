"""What the service does, without a word of gRPC."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from trivium_encoders import Scored, TokenCodes
from trivium_model_service.backend import BackendOwner
from trivium_model_service.deadlines import seconds_left
from trivium_model_service.texts import estimate_tokens, is_blank
from trivium_serving.admission import Admission
from trivium_serving.errors import FailedPrecondition, InvalidField, TriviumError

from trivium_rerank.backends.base import RerankBackend
from trivium_rerank.limits import Limits
from trivium_rerank.metrics import RerankMetrics
from trivium_rerank.passages import Passage


@dataclass(frozen=True, slots=True)
class Ranking:
    """One passage's place."""

    index: int
    """Position of the passage in the call, from 0."""
    score: float
    """From 0 to 1."""
    maxsim: float | None = None
    """How near each token of the query comes to some token of the passage; None if tokens are not compared."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The passages in order."""

    rankings: list[Ranking]
    """Best first; equal scores keep the order of the call."""
    scored: Scored
    """What the backend said of the passages that are not blank, and where the time went."""


class Reranker(BackendOwner[RerankBackend]):
    """Orders passages within limits, with a backend that is loaded after the server has started.

    Args:
        load_backend: Loads and warms the backend.
        limits: Of one call.
        admission: Of all calls together.
        metrics: What is counted.
    """

    def __init__(
        self,
        load_backend: Callable[[], Awaitable[RerankBackend]],
        *,
        limits: Limits,
        admission: Admission,
        metrics: RerankMetrics,
    ) -> None:
        super().__init__()
        self._load_backend = load_backend
        self._admission = admission
        self._metrics = metrics
        self.limits = limits

    async def load(self) -> None:
        """Loads the backend and judges a first passage with it, so that ready means ready.

        Raises:
            FailedPrecondition: The model cannot be loaded, or what it computes are no scores.
        """
        backend = await self._load_backend()
        first = await backend.score("Is everything ready?", [Passage("Everything is ready.")], deadline=None)
        if first.scores.shape != (1,) or not 0 <= first.scores[0] <= 1:
            raise FailedPrecondition(
                f"{backend.info.name} gives no usable scores in precision {backend.info.precision}. Set another "
                "precision or runtime.",
                reason="MODEL_NOT_LOADED",
            )
        self._backend = backend

    async def rerank(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        top_n: int,
        places: int = 0,
        deadline: float | None,
    ) -> Judgement:
        """Scores and orders passages. A blank one without codes has score 0.

        Args:
            query: What is asked.
            passages: At least one.
            query_codes: The vectors of the query's tokens, if they came along.
            top_n: How many to return; 0, or more than there are, for all.
            places: How many of the best matter; 0 for all. Others may be missing.
            deadline: When to give up, on the event loop's clock in seconds; None for never.

        Raises:
            InvalidField, TooLarge: The call breaks a limit, or has codes without a text that are of no use here.
            Overloaded: There is no capacity now, or none before the deadline.
            DeadlineExceeded, Unavailable: As for `RerankBackend.score`.
        """
        backend = self.backend
        try:
            self.limits.check(query, [passage.text for passage in passages])
            _check_codes_alone(backend, passages)
            tokens = estimate_tokens(backend.unread(query, passages, places), backend.info.max_tokens, query)
            with self._admission.admit(tokens, seconds_left=seconds_left(deadline) if tokens else None):
                judgement = await _judge(backend, query, query_codes, passages, top_n, places, deadline)
        except TriviumError as error:
            self._metrics.count_rejected(error)
            raise
        self._metrics.count_judged(len(judgement.rankings), judgement.scored.token_count)
        self._metrics.count_codes(passages, backend.takes)
        return judgement


def _check_codes_alone(backend: RerankBackend, passages: Sequence[Passage]) -> None:
    for index, passage in enumerate(passages):
        if passage.codes is None or not is_blank(passage.text):
            continue
        if backend.needs_texts or not backend.takes(passage.codes):
            raise InvalidField(
                f"passages[{index}].token_codes",
                f"passages[{index}] has token codes and no text, and {backend.info.name} judges by its text. Send it.",
                reason="TOKEN_CODES_UNREADABLE",
            )


async def _judge(
    backend: RerankBackend,
    query: str,
    query_codes: TokenCodes | None,
    passages: Sequence[Passage],
    top_n: int,
    places: int,
    deadline: float | None,
) -> Judgement:
    readable = [index for index, passage in enumerate(passages) if passage.codes or not is_blank(passage.text)]
    some = [passages[index] for index in readable]
    scored = await backend.score(query, some, query_codes=query_codes, places=places, deadline=deadline)
    scores = np.zeros(len(passages), dtype=np.float32)
    scores[readable] = scored.scores
    judged = len(passages) - int(np.isnan(scores).sum())
    best_first = np.argsort(-scores, kind="stable")[:judged][: top_n or None]  # NaN comes last
    maxsim: dict[int, float] = {}
    if scored.maxsim is not None:
        maxsim = dict(zip(readable, map(float, scored.maxsim), strict=True))
    return Judgement([Ranking(int(one), float(scores[one]), maxsim.get(int(one))) for one in best_first], scored)
