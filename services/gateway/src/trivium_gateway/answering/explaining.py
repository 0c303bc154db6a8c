"""Says at which stage of a question a document was lost, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_gateway.answering.lost_ranks import left_out, not_found, ranks_of
from trivium_gateway.domain.explanations import Explanation, Fate
from trivium_gateway.domain.ids import forms_of_id
from trivium_gateway.domain.limits import check_document_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.answering.plan import Search
    from trivium_gateway.answering.traces import Trace
    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.domain.standings import Ordered
    from trivium_gateway.library.candidates import Candidate
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.leg_ranks import LegRanks
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.library.search import ChunkSearch
    from trivium_gateway.models.embed import EmbedClient

# More chunks of one document than this are not told apart.
_MOST_CHUNKS = 1000


class Explainer:
    """Explains by the trace what it holds, and looks up the rest now: the collection may have changed since.

    Args:
        collections: Finds collections.
        embed: Embeds the query anew.
        chunk_search: Searches.
        leg_ranks: Follows each leg far down.
        limits: What is accepted.
        timeout_seconds: Longest time of each step.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        embed: EmbedClient,
        chunk_search: ChunkSearch,
        leg_ranks: LegRanks,
        limits: GatewayLimits,
        timeout_seconds: float,
    ) -> None:
        self._collections = collections
        self._embed = embed
        self._chunk_search = chunk_search
        self._leg_ranks = leg_ranks
        self._limits = limits
        self._timeout_seconds = timeout_seconds

    async def explain(self, trace: Trace, document_id: str, reader: Reader) -> Explanation:
        """Says what became of a document.

        Args:
            trace: Of the question.
            document_id: The document.
            reader: Who wants to know, who may be allowed to read more than who asked.

        Raises:
            InvalidField: The id is not a possible one.
            TriviumError: What the trace does not say cannot be looked up now.
        """
        check_document_id(document_id, self._limits)
        if trace.plan is None:
            return Explanation(document_id, Fate.NOT_SEARCHED, "Nothing was searched for.")
        explained = _ordered(trace, document_id)
        for name in trace.plan.options.names:
            if explained is None or explained.fate is Fate.NOT_IN_COLLECTION:
                plan = replace(trace.plan, options=trace.plan.options.within(name))
                explained = await self._looked_up(trace, plan, document_id, reader)
        assert explained is not None
        return explained

    async def _looked_up(self, trace: Trace, plan: Search, document_id: str, reader: Reader) -> Explanation:
        """For a document that was not ordered: whether it can be found at all, and how far down."""
        absent = Explanation(
            document_id, Fate.NOT_IN_COLLECTION, "The collection has no such document, and may have had none."
        )
        asker, options = plan.principal.reader, plan.options
        collection = await self._collections.find(options.collection, tenant=asker.tenant)
        if collection is None:
            return absent
        query = plan.queries[0].demanded
        embed = await self._embed.of(collection.embedded_by)
        embedded = await embed.embed_query(
            query.text,
            reader=asker,
            expected_fingerprint=collection.embedded_by,
            learned=collection.made.learned,
            timeout_seconds=self._timeout_seconds,
        )

        async def found(conditions: dict[str, JsonValue], reader: Reader = asker) -> Sequence[Candidate]:
            """The document's chunks that fulfil some conditions, best first."""
            result = await self._chunk_search.search(
                collection,
                vector=embedded.vector,
                learned=embedded.learned,
                text=query.text,
                filter=await self._filter(collection, conditions),
                limit=_MOST_CHUNKS,
                timeout_seconds=self._timeout_seconds,
                reader=reader,
            )
            return result.candidates

        own: dict[str, JsonValue] = {"document_id": document_id}
        chunks = await found(own)
        if not chunks:
            is_hidden = not asker.covers(reader) and await found(own, reader)
            return Explanation(document_id, Fate.NOT_PERMITTED, "Who asked may not read it.") if is_hidden else absent
        if options.filter:
            chunks = await found({"all": [dict(options.filter), own]})
            if not chunks:
                return Explanation(document_id, Fate.FILTERED, "The filter leaves it out.")
        chunks = [one for one in chunks if query.allows(f"{one.chunk.title}\n{one.chunk.text}")]
        if not chunks:
            return Explanation(
                document_id, Fate.EXCLUDED, "It lacks a phrase that the query demands, or has a word that it excludes."
            )
        ids = {one.id for one in chunks}
        for ranking in trace.found:
            if any(one.id in ids for one in ranking):
                return left_out(ranking, ids, document_id, trace.settings.get("candidates", options.depth))
        ranks = await self._leg_ranks.of(
            ids,
            collection,
            vector=embedded.vector,
            learned=embedded.learned,
            text=query.text,
            focus=embedded.long.focus if embedded.long else "",
            filter=await self._filter(collection, options.filter),
            timeout_seconds=self._timeout_seconds,
            reader=asker,
        )
        return not_found(document_id, chunks[0], ranks, trace.settings.get("candidates", options.depth))

    async def _filter(
        self, collection: ResolvedCollection, conditions: Mapping[str, JsonValue] | None
    ) -> Filter | None:
        return await self._collections.parse_filter(collection, conditions) if conditions else None


def _ordered(trace: Trace, document_id: str) -> Explanation | None:
    """For a document that was among the candidates: where it ended. None if it was not."""
    forms = forms_of_id(document_id)
    own = [(rank, one) for rank, one in enumerate(trace.ordered, start=1) if one.document_id in forms]
    if not own:
        return None
    cited = Counter(one.index for one in trace.answer.citations) if trace.answer else Counter[int]()

    def rating(ranked: tuple[int, Ordered]) -> tuple[bool, bool, bool]:
        one = ranked[1]
        is_cited = one.place is not None and one.place + 1 in cited
        return is_cited and one.stands_for_itself, one.stands_for_itself, one.place is not None

    rank, one = max(own, key=rating)  # the first of those that are alike, which is the best
    place = None if one.place is None else one.place + 1
    ranks = ranks_of(trace.found, {one.id})
    if place is None:
        fate, message = Fate.OUTRANKED, _outranked(trace, one, rank, ranks.fused)
    elif not one.stands_for_itself:
        fate, other = Fate.NEAR_DUPLICATE, trace.passages[place - 1].document_id
        message = f"Passage {place}, of {other!r}, says the same in nearly the same words and is shown for it."
    else:
        fate, message = _among_passages(trace, place, cited)
    return Explanation(
        document_id,
        fate,
        message,
        place,
        rank,
        ranks.fused,
        ranks.dense,
        ranks.sparse,
        ranks.ranked.dense if ranks.ranked else None,
        ranks.ranked.sparse if ranks.ranked else None,
        one.rerank,
        one.score,
        ranks.learned,
        ranks.ranked.learned if ranks.ranked else None,
    )


def _outranked(trace: Trace, one: Ordered, rank: int, fused_rank: int | None) -> str:
    found = "" if fused_rank is None else f"The search had it at place {fused_rank}. "
    means = "after reranking" if any(other.rerank is not None for other in trace.ordered) else "in the end"
    text = f"{found}It came to place {rank} of {len(trace.ordered)} {means}, and {len(trace.passages)} are shown"
    last = max((other.score for other in trace.ordered if other.place == len(trace.passages) - 1), default=None)
    return f"{text}." if last is None else f"{text}: it was given {one.score:.3f}, the last one shown {last:.3f}."


def _among_passages(trace: Trace, place: int, cited: Mapping[int, int]) -> tuple[Fate, str]:
    answer, text = trace.answer, f"It is passage {place} of {len(trace.passages)}"
    if answer is None:
        return Fate.SHOWN, f"{text}."
    if place in cited:
        return Fate.CITED, f"{text}, and the answer cites it ({cited[place]} of {len(answer.citations)} citations)."
    if answer.refused:
        return Fate.REFUSED, f"{text}, and the question was refused ({answer.reason or 'nothing could write'})."
    if place in answer.dropped_passages:
        return Fate.DROPPED, f"{text}, and did not fit into the model's context."
    others = ", ".join(map(str, sorted(cited))) or "none"
    return Fate.NOT_CITED, f"{text}, and the answer does not cite it; it cites {others}."
