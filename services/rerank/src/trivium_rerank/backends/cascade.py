"""Late interaction first, then a cross-encoder on those passages that can still reach the top."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import EncoderInfo, Scored, TokenCodes
from trivium_serving.errors import DeadlineExceeded, TriviumError, cause_of

from trivium_rerank.backends.base import RerankBackend
from trivium_rerank.backends.late_interaction import LateInteractionBackend
from trivium_rerank.passages import Passage

_logger = logging.getLogger(__name__)

_FIRST = 4
_NEXT = 2
"""The first passages that are judged are so many times those that matter; then, so many times these at a time."""
_BUDGET = 0.6
"""The part of the time that is left which the next passages may be expected to take."""


class CascadeBackend:
    """Judges the most promising passages, until others hardly reach the places that matter.

    Passages are tried in the order of their search scores and of their similarity by token codes, both as z-scores. The
    judge reads some, and then some more, as long as the last ones brought one into the places that matter, and the
    deadline allows it. A call in which all places matter is judged whole.

    Args:
        first: Compares token codes; reads nothing but the query.
        judge: Judges.
    """

    def __init__(self, first: LateInteractionBackend, judge: RerankBackend) -> None:
        self._first = first
        self._judge = judge
        self._seconds_per_passage = 0.0
        self.name = judge.name
        self.score_kind = judge.score_kind
        self.needs_texts = judge.needs_texts

    @property
    def info(self) -> EncoderInfo:
        """The judge's description, and whose token codes are taken."""
        return replace(self._judge.info, token_fingerprint=self._first.info.token_fingerprint)

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._judge.healthy and self._first.healthy

    def takes(self, codes: TokenCodes) -> bool:
        """Whether they are of the first model."""
        return self._first.takes(codes)

    def unread(self, query: str, passages: Sequence[Passage], places: int = 0) -> Sequence[str]:
        """About those that will be read: which ones is not known yet."""
        some = passages[: (_FIRST + _NEXT) * places] if places else passages
        return self._judge.unread(query, some, places)

    async def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        places: int = 0,
        deadline: float | None,
    ) -> Scored:
        """Judges passages, as `RerankBackend.score` says."""
        if not places or len(passages) <= places:
            return await self._judge.score(query, passages, deadline=deadline)
        order = await self._order(query, query_codes, passages, deadline)
        scores = np.full(len(passages), np.nan, np.float32)
        parts: list[Scored] = []
        done = 0
        wanted = max(places, self._affordable(_FIRST * places, deadline))
        while some := order[done : done + wanted].tolist():
            try:
                part = await self._timed(query, [passages[index] for index in some], deadline)
            except DeadlineExceeded:
                if not parts:
                    raise
                break
            scores[some] = part.scores
            parts.append(part)
            done += len(some)
            judged = order[:done]
            best = judged[np.argsort(-scores[judged], kind="stable")[:places]]
            if not set(some) & set(best.tolist()):
                break
            wanted = self._affordable(_NEXT * places, deadline)
        return _whole(scores, parts)

    async def close(self) -> None:
        """Fails what waits, and frees everything."""
        await asyncio.gather(self._judge.close(), self._first.close())

    async def _order(
        self, query: str, query_codes: TokenCodes | None, passages: Sequence[Passage], deadline: float | None
    ) -> NDArray[np.intp]:
        """The passages, most promising first."""
        promise = _z_scores(np.array([passage.search_score for passage in passages]))
        try:
            similarities = await self._first.similarities(query, passages, query_codes=query_codes, deadline=deadline)
            promise = promise + _z_scores(similarities)
        except TriviumError as error:
            _logger.warning("passages are judged in the order of the search: %s", cause_of(error))
        return np.argsort(-promise, kind="stable")

    def _affordable(self, wanted: int, deadline: float | None) -> int:
        """How many passages can be judged before the deadline, of those that are wanted."""
        if deadline is None or not self._seconds_per_passage:
            return wanted
        left = (deadline - asyncio.get_running_loop().time()) * _BUDGET
        return max(0, min(wanted, int(left / self._seconds_per_passage)))

    async def _timed(self, query: str, passages: Sequence[Passage], deadline: float | None) -> Scored:
        """Has passages judged, and notes how long that takes."""
        start = asyncio.get_running_loop().time()
        scored = await self._judge.score(query, passages, deadline=deadline)
        seconds = (asyncio.get_running_loop().time() - start) / len(passages)
        known = self._seconds_per_passage
        self._seconds_per_passage = 0.8 * known + 0.2 * seconds if known else seconds
        return scored


def _z_scores(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distances from the mean in standard deviations; 0 for what is not known (NaN), and if all are equal."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known) or known.std() <= 1e-12 * max(1.0, abs(known.mean())):
        return np.zeros(len(values))
    scores: NDArray[np.float64] = np.nan_to_num((values - known.mean()) / known.std())
    return scores


def _whole(scores: NDArray[np.float32], parts: Sequence[Scored]) -> Scored:
    """What was judged one after the other, as one."""
    return Scored(
        scores=scores,
        token_counts=[count for part in parts for count in part.token_counts],
        tokenize_seconds=sum(part.tokenize_seconds for part in parts),
        queue_seconds=sum(part.queue_seconds for part in parts),
        compute_seconds=sum(part.compute_seconds for part in parts),
    )
