"""An answer while it is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_conversation.sampling import FinishReason
from trivium_evidence.support import Verdict

from trivium_gateway.answering.events import Delta, Summary
from trivium_gateway.answering.verification import Verifier, supported_part
from trivium_gateway.domain.answerability import UnanswerableReason
from trivium_gateway.domain.chunks import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_conversation.turns import ToolCall

    from trivium_gateway.answering.plan import Searched
    from trivium_gateway.answering.supporting import SupportJudge
    from trivium_gateway.domain.answerability import Answerability
    from trivium_gateway.domain.passages import Citation, Passage
    from trivium_gateway.models.generate_answers import GeneratedEnd, GeneratedText
    from trivium_gateway.request.record import Record


class Draft:
    """An answer while it is written.

    Args:
        passages: What it may rest on.
        searched: What was searched for.
        answerability: Whether the passages answer the question.
        refused: Whether it is a refusal.
        record: Takes note of what happens.
        judge: Judges citations beside words; None for words alone.
    """

    def __init__(
        self,
        passages: tuple[Passage, ...],
        searched: Searched,
        answerability: Answerability,
        *,
        refused: bool,
        record: Record,
        judge: SupportJudge | None = None,
    ) -> None:
        self._record = record
        self._judge = judge
        self.passages = passages
        self.searched = searched
        self.answerability = answerability
        self.refused = refused
        self._verifier = Verifier(passages)
        self._unsupported: tuple[Span, ...] = ()
        self.text = ""
        self.model = ""
        self._citations: list[Citation] = []
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._is_usage_estimated = False
        self._dropped_passages: tuple[int, ...] = ()
        self.left_out: tuple[int, ...] = ()
        """Numbers of the passages that it is written without, for want of time."""
        self._finish_reason = FinishReason.STOP
        self._tool_calls: tuple[ToolCall, ...] = ()
        self.has_begun = False

    async def add(self, text: str, cited: int | None = None) -> Delta:
        """Appends text of our own; with `cited`, it ends in that citation."""
        self.text += text
        self.has_begun = True
        citations: Sequence[Citation] = ()
        if cited is not None:
            end = len(self.text)
            by_words = self._verifier.citation(self.text, cited, Span(end - len(f"[{cited}]"), end))
            citations = await self._weighed([by_words])
        self._citations += citations
        return Delta(text, tuple(citations))

    async def add_generated(self, piece: GeneratedText) -> Delta:
        """Appends what the generate service wrote."""
        self.text += piece.text
        self.has_begun = True
        citations = await self._weighed(
            [
                self._verifier.citation(self.text, one.index, one.answer_span)
                for one in piece.citations
                if 1 <= one.index <= len(self.passages)
            ]
        )
        self._citations += citations
        self._tool_calls += piece.tool_calls
        return Delta(piece.text, tuple(citations), piece.logprobs, piece.tool_calls)

    def end(self, end: GeneratedEnd) -> None:
        """Notes how the generate service ended the answer."""
        self.model = end.model
        self._prompt_tokens, self._completion_tokens = end.prompt_tokens, end.completion_tokens
        self._is_usage_estimated = end.is_usage_estimated
        self._dropped_passages = end.dropped_passages
        self._finish_reason = end.reason

    async def verify(self) -> None:
        """Holds what was written without a citation to the passages: cites those that support it, or notes it."""
        if self.refused or not self.passages:
            return
        # Beside the event loop: each sentence is held to each passage.
        by_words = await asyncio.to_thread(self._verifier.uncited, self.text, self._citations)
        found = await self._weighed(by_words)
        self._citations += [one for one in found if one.verdict is Verdict.SUPPORTED]
        self._unsupported = tuple(one.sentence for one in found if one.verdict is not Verdict.SUPPORTED)

    async def _weighed(self, citations: Sequence[Citation]) -> Sequence[Citation]:
        """Citations as the model finds them, if there is one."""
        if self._judge is None:
            return citations
        return await self._judge.weighed(self._verifier, self.text, citations, self._record)

    def keep_supported(self, refusal: str) -> Delta:
        """Leaves out the sentences that no passage supports.

        Args:
            refusal: What to say if none is left.

        Returns:
            All of the answer that is left.
        """
        kept = supported_part(self.text, self._citations, self._unsupported)
        self.text, self._citations, self._unsupported = kept.text, list(kept.citations), ()
        if not self.text.strip() and not self._tool_calls:
            self.text, self.refused = refusal, True
            self.answerability = replace(self.answerability, reason=UnanswerableReason.NOT_STATED)
        return Delta(self.text, tuple(self._citations), tool_calls=self._tool_calls)

    def outcome(self) -> dict[str, str | int]:
        """What a trace says of the answer."""
        return {
            "gen_ai.response.model": self.model,
            "gen_ai.usage.input_tokens": self._prompt_tokens,
            "gen_ai.usage.output_tokens": self._completion_tokens,
            "trivium.citations": len(self._citations),
        }

    def summary(self) -> Summary:
        """The whole answer."""
        return Summary(
            answer=self.text,
            answerability=self.answerability,
            refused=self.refused,
            citations=tuple(self._citations),
            passages=self.passages,
            timings=self._record.timings(),
            degraded=self._record.degraded,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            is_usage_estimated=self._is_usage_estimated,
            model=self.model,
            dropped_passages=(*self._dropped_passages, *self.left_out),
            finish_reason=self._finish_reason,
            tool_calls=self._tool_calls,
            searched=self.searched,
            unsupported=self._unsupported,
            cached=self._record.cached,
        )
