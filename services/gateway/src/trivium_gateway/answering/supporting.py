"""Has a model judge, beside words, how surely passages support what an answer says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_gateway.domain.degradation import Stage
from trivium_gateway.models.ranking import ScoreKind
from trivium_gateway.models.rerank import JudgedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.answering.verification import Verifier
    from trivium_gateway.domain.passages import Citation
    from trivium_gateway.models.rerank import RerankClient, Reranking
    from trivium_gateway.request.record import Record

# What part of a support such an estimate makes; words make the rest. That a passage is about what a sentence says does
# not mean that it says so: relevance may lift what is said in other words, and condemns nothing that words support.
_SHARES = {ScoreKind.ENTAILMENT: 0.6, ScoreKind.RELEVANCE: 0.3}
_AT_ONCE = 8
_MOST_CHARACTERS = 2000
_TIME_SHARE = 0.5


class SupportJudge:
    """Asks a rerank service whose model reads pairs: one for natural language inference, or a cross-encoder.

    Args:
        client: Calls it.
        timeout_seconds: Longest time for all that is asked at once; after it words alone judge.
    """

    def __init__(self, client: RerankClient, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def weighed(
        self, verifier: Verifier, text: str, citations: Sequence[Citation], record: Record
    ) -> list[Citation]:
        """Citations whose support is by the model's estimate, too; as they are if the model cannot be asked.

        Args:
            verifier: What judged them by words.
            text: The answer, up to their marks at least.
            citations: The citations.
            record: Takes note of what happens.
        """
        if not citations or any(one.stage == Stage.SUPPORT for one in record.degraded):
            return list(citations)
        places = asyncio.Semaphore(_AT_ONCE)
        seconds = record.seconds(self._timeout_seconds, _TIME_SHARE)

        async def estimate(citation: Citation) -> Reranking:
            claim = text[citation.sentence.start : citation.sentence.end][:_MOST_CHARACTERS]
            passage = JudgedText(citation.passage.chunk.indexed_text)
            async with places:
                return await self._client.rerank(claim, [passage], timeout_seconds=seconds, callers_fields=())

        try:
            with record.stage("support") as stage:
                stage.note({"trivium.texts": len(citations)})
                async with record.waiting("support"):
                    judged = await asyncio.gather(*map(estimate, citations))
                record.tokens["reranked"] += sum(one.token_count for one in judged)
        except TriviumError as error:
            record.replace(Stage.SUPPORT, error, "words")
            return list(citations)
        return [
            verifier.weighed(text, citation, one.scores[0] or 0.0, _SHARES.get(one.kind, 0.0))
            for citation, one in zip(citations, judged, strict=True)
        ]
