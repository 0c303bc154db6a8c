"""From what was asked to what is searched for: a question that stands alone, and further queries if they are wanted."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_serving.degradation_log import lasting_reason
from trivium_serving.errors import TriviumError, Unavailable

from trivium_gateway.answering.condensing import condense
from trivium_gateway.answering.plan import Expansion, Origin, Query
from trivium_gateway.domain.degradation import Degradation, Reason, Stage, degradable_reason
from trivium_gateway.models.generate import RewriteTask

if TYPE_CHECKING:
    from trivium_gateway.answering.plan import Search
    from trivium_gateway.models.generate import GenerateClient
    from trivium_gateway.request.record import Record

# What part of the remaining time rewriting may use up before it is done without.
_REWRITE_SHARE = 0.25

_EXPANSIONS = {
    Expansion.QUERIES: (RewriteTask.QUERIES, Origin.MODEL),
    Expansion.HYDE: (RewriteTask.PASSAGE, Origin.PASSAGE),
}


class RewritingMeans(StrEnum):
    """By which means a question is made to stand alone."""

    AUTO = "auto"
    """The language model if there is one, else the rule."""
    RULE = "rule"
    """The rule."""
    OFF = "off"
    """None: the question is searched for as it stands."""


class QuestionRewriter:
    """Rewrites what is searched for.

    Args:
        generate: Has the language model write.
        means: By which means a question is made to stand alone.
        timeout_seconds: Longest time for all that the model writes; the caller's deadline shortens it further.
    """

    def __init__(self, generate: GenerateClient, means: RewritingMeans, timeout_seconds: float) -> None:
        self._generate = generate
        self._means = means
        self._timeout_seconds = timeout_seconds

    async def rewrite(self, search: Search, record: Record) -> Search:
        """Makes the question stand alone, and adds the queries that are wanted of the model.

        What the model cannot do in time is done by rule, or done without, and noted as a degradation.

        Args:
            search: What to look for; checked.
            record: Takes note of what happens.

        Returns:
            The plan that retrieval goes by: its first query is what the question means.
        """
        leans = bool(search.history) and self._means is not RewritingMeans.OFF
        if not leans and not search.expand:
            return search
        with record.stage("rewrite") as stage:
            wants_model = bool(search.expand) or (search.by_model and self._means is RewritingMeans.AUTO)
            has_model = wants_model and await self._generate.has_model()
            demands = search.queries[0].demanded
            # The rule keeps every word of the question, and so what it demands word for word.
            is_free = search.by_model and not demands.phrases and not demands.exclusions
            by_model = leans and is_free and has_model and self._means is RewritingMeans.AUTO
            seconds = record.seconds(self._timeout_seconds, _REWRITE_SHARE)
            (first,), *added = await asyncio.gather(
                self._standalone(search, seconds, record, by_model=by_model) if leans else _as_it_stands(search),
                *(self._expansion(search, one, seconds, record, has_model=has_model) for one in search.expand),
            )
            queries = {first.text: first}
            for query in (*search.queries[1:], *itertools.chain(*added)):
                queries.setdefault(query.text, query)
            stage.note(
                {
                    "trivium.rewritten": first.text != search.queries[0].text,
                    "trivium.by_model": by_model,
                    "trivium.queries": len(queries),
                }
            )
        return replace(search, queries=tuple(queries.values()))

    async def _standalone(self, search: Search, seconds: float, record: Record, *, by_model: bool) -> tuple[Query, ...]:
        """The question as it can be understood without its conversation."""
        asked = search.queries[0]
        if by_model:
            try:
                texts = await self._written(search, RewriteTask.STANDALONE, seconds, record)
                return (replace(asked, text=texts[0]),)
            except TriviumError as error:
                _note(record, error, "rule")
        # Beside the event loop: a long conversation takes a tenth of a second.
        return (replace(asked, text=await asyncio.to_thread(condense, asked.text, search.history)),)

    async def _expansion(
        self, search: Search, expansion: Expansion, seconds: float, record: Record, *, has_model: bool
    ) -> tuple[Query, ...]:
        """The queries that the model adds; none if it cannot."""
        task, origin = _EXPANSIONS[expansion]
        asked = search.queries[0]
        try:
            if not has_model:
                raise Unavailable("There is no language model now that could write further queries.")
            texts = await self._written(search, task, seconds, record)
        except TriviumError as error:
            _note(record, error, "question")
            return ()
        return tuple(replace(asked, text=text, origin=origin) for text in texts)

    async def _written(self, search: Search, task: RewriteTask, seconds: float, record: Record) -> tuple[str, ...]:
        """What the model makes of the question, its tokens counted."""
        async with record.waiting("generate"):
            written = await self._generate.rewrite(
                search.queries[0].text, search.history, task, timeout_seconds=seconds
            )
        record.tokens.update(prompt=written.prompt_tokens, completion=written.completion_tokens)
        return written.texts


async def _as_it_stands(search: Search) -> tuple[Query, ...]:
    return search.queries[:1]


def _note(record: Record, error: TriviumError, fallback: str) -> None:
    """Notes that the model did not write, whatever for: nothing that it refuses of a conversation stops a search."""
    reason = degradable_reason(error) or Reason.UNAVAILABLE
    record.degrade(Degradation(Stage.REWRITE, reason, fallback, lasting_reason(error)), error)
