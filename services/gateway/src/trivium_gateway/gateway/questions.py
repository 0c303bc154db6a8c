"""Questions and queries, from the door to the passages or the answer."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import Overloaded
from trivium_serving.request_context import caller_timeout, request_id

from trivium_gateway.answering.events import Delta, Sources, Summary
from trivium_gateway.answering.plan import NOTHING_SEARCHED, Search, Searched
from trivium_gateway.answering.replaying import Replay, changed
from trivium_gateway.domain.cached import NOTHING_CACHED, Cached
from trivium_gateway.metering.kinds import Operation, used_of
from trivium_gateway.request.principal import Scope
from trivium_gateway.request.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from trivium_serving.pulse import Pulse

    from trivium_gateway.answering.answerer import Answerer
    from trivium_gateway.answering.embedding import Embeddings, EmbedTask, TextEmbedder
    from trivium_gateway.answering.events import Event
    from trivium_gateway.answering.explaining import Explainer
    from trivium_gateway.answering.question import Question
    from trivium_gateway.answering.reranking import RankedTexts, Reranker, RerankTask
    from trivium_gateway.answering.retrieval import Retriever
    from trivium_gateway.answering.rewriting import QuestionRewriter
    from trivium_gateway.answering.trace_store import Traces
    from trivium_gateway.answering.traces import Trace
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.explanations import Explanation
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.request.admission import Place, QuestionAdmission
    from trivium_gateway.request.call_limit import CallLimit
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.outcomes import Outcomes
    from trivium_gateway.request.principal import Principal
    from trivium_gateway.request.record import Timings

_BEGIN_SECONDS = 1.0
"""An answer that has not begun so long after its passages were found is a language model's: it admits for itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """The passages for a query, best first; the rest is as in Summary."""

    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    searched: Searched = NOTHING_SEARCHED
    cached: Cached = NOTHING_CACHED


class Questions:
    """Questions and queries: checked, let in as they can be answered in time, and recorded.

    Args:
        rewriter: Makes of a question what is searched for.
        retriever: Finds passages.
        answerer: Answers questions.
        reranker: Orders texts.
        embedder: Embeds texts.
        admission: Lets them in.
        quotas: Counts what they use, and limits it.
        pulses: By service, whether it answers at all.
        outcomes: Where it is noted whether each stage worked.
        metrics: Where they are counted.
        traces: Where what they went through is kept.
        explainer: Says what became of a document.
        explanations: Bounds the calls that it is asked by.
        limits: What is accepted.
        longest_seconds: Longest time of one; a shorter deadline of the caller goes before.
    """

    def __init__(
        self,
        *,
        rewriter: QuestionRewriter,
        retriever: Retriever,
        answerer: Answerer,
        reranker: Reranker,
        embedder: TextEmbedder,
        admission: QuestionAdmission,
        quotas: Quotas,
        pulses: Mapping[str, Pulse],
        outcomes: Outcomes,
        metrics: QuestionMetrics,
        traces: Traces,
        explainer: Explainer,
        explanations: CallLimit,
        limits: GatewayLimits,
        longest_seconds: float,
    ) -> None:
        self._rewriter = rewriter
        self._retriever = retriever
        self._answerer = answerer
        self._reranker = reranker
        self._embedder = embedder
        self._admission = admission
        self._quotas = quotas
        self._pulses = pulses
        self._outcomes = outcomes
        self._metrics = metrics
        self._traces = traces
        self._explainer = explainer
        self._explanations = explanations
        self._limits = limits
        self.longest_seconds = longest_seconds

    async def retrieve(self, search: Search, *, timeout_seconds: float | None = None) -> Found:
        """Finds the passages that answer a query.

        Args:
            search: What to look for, unchecked.
            timeout_seconds: How long to look at most, if that is shorter than the caller waits.

        Raises:
            TriviumError: See Search.check and Retriever.retrieve; Overloaded if there are too many questions.
        """
        with (
            self._recorded("retrieve", search.principal, timeout_seconds) as record,
            self._traces.tracing(search, record) as trace,
        ):
            search.check(self._limits)
            record.budget.allot("search", math.inf, 1.0)  # what cannot be in time takes nobody's place
            await self._quotas.begin(search.principal, Operation.RETRIEVE)
            # Before it has a place: a language model that rewrites admits for itself, and others search meanwhile.
            trace.plan = plan = await self._rewriter.rewrite(search, record)
            async with self._place(record) as place:
                found = await self._retriever.retrieve(plan, record)
                trace.show(found.passages)
                _note_retrieval(place, record)
                record.end()
                searched = Searched.of(search.queries[0].text, plan)
                return Found(found.passages, record.timings(), record.degraded, searched, record.cached)

    async def answer(self, question: Question) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels the work.

        Args:
            question: The question, unchecked.

        Raises:
            TriviumError: See Question.check and Answerer.answer; Overloaded if there are too many questions.
        """
        with self._recorded("answer", question.principal) as record, self._traces.tracing(question, record) as trace:
            question.check(self._limits)
            if question.uses_documents:
                record.budget.allot("search", math.inf, 1.0)  # what cannot be in time takes nobody's place
            await self._quotas.begin(question.principal, Operation.ANSWER)
            plan = await self._rewriter.rewrite(question.search(), record) if question.uses_documents else None
            trace.plan = plan
            answering = aclosing(self._answerer.answer(question, plan, record))
            async with self._place(record) as place, answering as events:
                async for event in events:
                    if isinstance(event, Sources):
                        trace.show(event.passages)
                        _note_retrieval(place, record)
                        asyncio.get_running_loop().call_later(_BEGIN_SECONDS, place.leave)
                    elif isinstance(event, Delta):
                        record.begin_text()
                        place.leave()
                    elif isinstance(event, Summary):
                        record.end()
                        trace.end(event)
                        self._traces.keep(trace, record)  # who has read the answer may ask for its trace
                    yield event

    async def rerank(self, principal: Principal, task: RerankTask) -> RankedTexts:
        """Orders texts of the caller by how well they answer a query.

        Args:
            principal: Who asks.
            task: What to order, unchecked.

        Raises:
            TriviumError: See RerankTask.check and Reranker.rerank; Overloaded if there are too many questions.
        """
        with self._recorded("rerank", principal) as record:
            task.check(self._limits)
            await self._quotas.begin(principal, Operation.RERANK)
            async with self._place(record):
                ranked = await self._reranker.rerank(task, record)
                record.end()
                return ranked

    async def embed(self, principal: Principal, task: EmbedTask) -> Embeddings:
        """Embeds texts of the caller.

        Args:
            principal: Who asks.
            task: What to embed, unchecked.

        Raises:
            TriviumError: See EmbedTask.check and TextEmbedder.embed; Overloaded if there are too many questions.
        """
        with self._recorded("embed", principal) as record:
            task.check(self._limits)
            await self._quotas.begin(principal, Operation.EMBED)
            async with self._place(record) as place:
                if len(task.texts) > 1:  # bulk work, which the embed service does behind all questions
                    place.leave()
                embeddings = await self._embedder.embed(task, record)
                record.end()
                return embeddings

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that decide how questions are answered."""
        return self._traces.settings

    def trace(self, principal: Principal, wanted_id: str) -> Trace:
        """What a request went through; see Traces.get."""
        return self._traces.get(principal, wanted_id)

    async def explain(self, principal: Principal, trace: Trace, document_id: str) -> Explanation:
        """Says what became of a document on the way of a question; see Explainer.explain."""
        async with self._explanations.call(principal.tenant):
            return await self._explainer.explain(trace, document_id, principal.reader)

    async def replay(self, principal: Principal, wanted_id: str, changes: Mapping[str, JsonValue]) -> Replay:
        """Asks again what was asked, with other settings.

        Args:
            principal: Who asks again, and as whom it is asked.
            wanted_id: The request's id.
            changes: What to ask otherwise: see `changed`.

        Raises:
            NotFound: There is no such trace; see Traces.get.
            TriviumError: See `changed`, and `answer` or `retrieve`.
        """
        before = self._traces.get(principal, wanted_id)
        asked = changed(before.asked, changes, principal)
        if isinstance(asked, Search):
            await self.retrieve(asked)
        else:
            async with aclosing(self.answer(asked)) as events:
                async for _ in events:
                    pass
        return Replay(before, self._traces.get(principal, request_id()))

    def refusal(self, operation: str, principal: Principal, *, is_sure: bool = True) -> Overloaded | None:
        """What a question would be told if it came now, before anything of it is read; None if it can be let in.

        Who may not ask is told that, and not to come again.

        Args:
            operation: What it asks for, one of OPERATIONS.
            principal: Who asks.
            is_sure: Whether it is sure to ask for that; if not, no quota is looked at.
        """
        if Scope.READ not in principal.scopes:
            return None
        spent = self._quotas.refusal(principal, Operation(operation)) if is_sure else None
        refusal = spent or self._admission.refusal(principal.tenant)
        if refusal is not None:
            with suppress(Overloaded), self._recorded(operation, principal):
                raise refusal
        return refusal

    def coming(self, principal: Principal) -> AbstractContextManager[None]:
        """Keeps a place for the question that is read in the block; see QuestionAdmission.coming."""
        return self._admission.coming(principal.tenant)

    @contextmanager
    def _recorded(self, operation: str, principal: Principal, timeout_seconds: float | None = None) -> Iterator[Record]:
        principal.require(Scope.READ)
        seconds = min(one for one in (self.longest_seconds, timeout_seconds, caller_timeout()) if one is not None)
        record = Record(operation, principal, seconds, self._pulses, self._outcomes)
        try:
            with self._metrics.counting(record):
                yield record
        finally:
            self._quotas.spend(principal, used_of(record.tokens))

    def _place(self, record: Record) -> AbstractAsyncContextManager[Place]:
        return self._admission.place(record.principal.tenant, record.seconds(math.inf, 1.0), record.stage("wait"))


def _note_retrieval(place: Place, record: Record) -> None:
    """Notes how long a retrieval took, if it was like others: what is left out or finds nothing is quick."""
    reranked = sum(int(stage.facts["trivium.texts"]) for stage in record.stages if stage.name == "rerank")
    if reranked and not record.degraded:
        place.note(reranked.bit_length())
