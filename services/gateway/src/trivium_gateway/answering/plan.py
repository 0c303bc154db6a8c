"""What is searched for: the plan that goes through retrieval. A question is not always searched for as it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_lexical import ParsedQuery, parse_query
from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.conversation import check_conversation
from trivium_gateway.domain.limits import check_candidates, check_queries, check_query, check_top_n
from trivium_gateway.domain.settings import AS_THE_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_conversation.turns import Turn

    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.request.principal import Principal

_TOP_N = 5
_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Where to look, and how deep.

    Attributes:
        collection: Collection to search; empty for `default`.
        collections: Several to search in its place; none for that one alone.
        filter: Conditions, as they came; None for none.
        top_n: Most passages to return.
        candidates: How many candidates the search hands to the reranker, `top_n` if that is more; None for as many as
            the collection's settings say, else 100.
        rerank: Whether to rerank.
        collapse: Whether passages that say the same in nearly the same words are shown once.
        settings: What goes before the collection's own settings, for this once.
    """

    collection: str = ""
    filter: Mapping[str, JsonValue] | None = None
    top_n: int = _TOP_N
    candidates: int | None = None
    rerank: bool = True
    collapse: bool = True
    settings: CollectionSettings = AS_THE_GATEWAY
    collections: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        collection: str | None = None,
        collections: Sequence[str] | None = None,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002  # the word of the interface
        top_n: int | None = None,
        candidates: int | None = None,
        rerank: bool | None = None,
        collapse: bool | None = None,
        settings: CollectionSettings = AS_THE_GATEWAY,
    ) -> SearchOptions:
        """The options of a request; None stands for what it leaves out."""
        return cls(
            collection or "",
            filter,
            _TOP_N if top_n is None else top_n,
            candidates,
            True if rerank is None else rerank,
            True if collapse is None else collapse,
            settings,
            tuple(dict.fromkeys(collections or ())),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All collections to search."""
        return self.collections or (self.collection,)

    def within(self, name: str) -> SearchOptions:
        """These, for one of the collections."""
        return replace(self, collection=name, collections=())

    def under(self, settings: CollectionSettings) -> SearchOptions:
        """These, by a collection's settings, where they leave something open."""
        wanted = self.settings.over(settings)
        candidates = next(one for one in (self.candidates, wanted.candidates, _CANDIDATES) if one is not None)
        return replace(self, candidates=candidates, rerank=self.rerank and wanted.weight_of_rerank > 0, settings=wanted)

    @property
    def depth(self) -> int:
        """How many candidates the search looks for."""
        return max(_CANDIDATES if self.candidates is None else self.candidates, self.top_n)

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Raises:
            InvalidField: A field breaks a rule.
        """
        if self.collection and self.collections:
            raise InvalidField("collections", "There are both `collection` and `collections`. Give one of them.")
        if len(self.collections) > limits.max_collections:
            raise TooLarge(
                f"There are {len(self.collections)} collections; at most {limits.max_collections} are asked at once.",
                field="collections",
            )
        check_top_n(self.top_n, limits)
        if self.candidates is not None:
            check_candidates(self.candidates, limits)
        self.settings.check()


class Expansion(StrEnum):
    """What a language model adds to what is searched for."""

    QUERIES = "queries"
    """Further queries: for the parts of the question, or in other words."""
    HYDE = "hyde"
    """A passage as it might answer, to find its like by meaning (Gao et al., ACL 2023: hypothetical document
    embeddings)."""


class Origin(StrEnum):
    """Where a query comes from."""

    QUESTION = "question"
    """What was asked, or what it was rewritten as."""
    REQUEST = "request"
    """Sent along by the caller."""
    MODEL = "model"
    """Written by the language model."""
    PASSAGE = "passage"
    """A passage that the language model made up: it is searched for by meaning, and never by its words."""


@dataclass(frozen=True, slots=True)
class Query:
    """One text that is searched for.

    Attributes:
        text: The text; not blank.
        field: What the request calls the text that it comes from, for errors: `query`, `question` or `queries[0]`.
        origin: Where it comes from.
    """

    text: str
    field: str = "query"
    origin: Origin = Origin.QUESTION

    @property
    def demanded(self) -> ParsedQuery:
        """What it looks for, and what it demands word for word."""
        return parse_query(self.text)

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Raises:
            InvalidField: It breaks a rule.
            TooLarge: It is too long.
        """
        check_query(self.field, self.text, limits)
        if not self.demanded.text:
            raise InvalidField(
                self.field,
                f"{self.field} only says what must not occur. Say what to look for, too.",
                reason="EMPTY_QUERY",
            )


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for: the plan that goes through retrieval.

    Attributes:
        queries: At least one. Passages are found for each, and judged by the first.
        principal: Who looks; nothing else is found than what it may see.
        options: Where to look, and how deep.
        history: The turns before the first query, oldest first, that it may lean on.
        expand: What a language model is to add.
        by_model: Whether a language model may rewrite the first query.
    """

    queries: tuple[Query, ...]
    principal: Principal
    options: SearchOptions = SearchOptions()  # frozen
    history: tuple[Turn, ...] = ()
    expand: tuple[Expansion, ...] = ()
    by_model: bool = True

    @classmethod
    def of(
        cls,
        query: Query,
        principal: Principal,
        options: SearchOptions,
        *,
        history: tuple[Turn, ...] = (),
        queries: Sequence[str] = (),
        expand: Sequence[Expansion] = (),
        by_model: bool = True,
    ) -> Search:
        """What to search for with a query, and with others that its caller sent along."""
        others = (Query(text, f"queries[{number}]", Origin.REQUEST) for number, text in enumerate(queries))
        return cls((query, *others), principal, options, history, tuple(dict.fromkeys(expand)), by_model)

    def demanded(self, query: Query) -> ParsedQuery:
        """What one of the queries looks for and demands: what the model wrote, the same as the question."""
        if query.origin in (Origin.MODEL, Origin.PASSAGE):
            return replace(self.queries[0].demanded, text=query.text)
        return query.demanded

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Raises:
            InvalidField: A field breaks a rule.
            TooLarge: A query or the history is too long, or there are too many queries.
        """
        check_queries(len(self.queries) - 1, limits)
        for query in self.queries:
            query.check(limits)
        check_conversation(self.history, (), limits)
        self.options.check(limits)


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched for.

    Attributes:
        search_query: What the question was rewritten as; None if it was searched for as it stands.
        queries: All texts that were searched for, the question or its rewriting first.
    """

    search_query: str | None = None
    queries: tuple[Query, ...] = ()

    @classmethod
    def of(cls, asked: str, plan: Search | None) -> Searched:
        """What a plan made of what was asked."""
        if plan is None:
            return NOTHING_SEARCHED
        query = plan.queries[0].text
        return cls(query if query != asked else None, plan.queries)


NOTHING_SEARCHED = Searched()
