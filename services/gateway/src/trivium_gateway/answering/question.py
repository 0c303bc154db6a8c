"""What was asked, and what is searched for: two things, because a question is not always searched for as it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_conversation.sampling import DEFAULT_SAMPLING
from trivium_conversation.tools import NO_TOOLS
from trivium_lexical import ParsedQuery, parse_query
from trivium_serving.errors import InvalidField

from trivium_gateway.domain.conversation import AnswerMode, check_conversation, check_message, check_options
from trivium_gateway.domain.limits import check_candidates, check_queries, check_query, check_top_n
from trivium_gateway.domain.settings import AS_THE_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_conversation.sampling import Sampling
    from trivium_conversation.tools import Tools
    from trivium_conversation.turns import Turn

    from trivium_gateway.domain.answerability import Refusal
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

    @classmethod
    def of(
        cls,
        *,
        collection: str | None = None,
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
        )

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


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, and how it is to be answered.

    Attributes:
        text: The question.
        principal: Who asks.
        options: Where to look for the answer, and how deep.
        history: Earlier turns of the conversation, oldest first.
        mode: By which means.
        sampling: How a language model is to write.
        uses_documents: Whether to answer from documents; else nothing is searched for, and the conversation goes to
            the language model as it is.
        tools: What the language model may call. Whoever asks runs them, and asks again with the results.
        tool_turns: The model's calls since the question, and their results, oldest first.
        queries: What to search for beside the question.
        expand: What a language model is to add to that.
        refusal: What becomes of it if the documents hardly answer it; None for the gateway's own setting.
        strict: Whether to leave out the sentences that no passage supports.
    """

    text: str
    principal: Principal
    options: SearchOptions = SearchOptions()  # frozen
    history: tuple[Turn, ...] = ()
    mode: AnswerMode = AnswerMode.AUTO
    sampling: Sampling = DEFAULT_SAMPLING
    uses_documents: bool = True
    tools: Tools = NO_TOOLS
    tool_turns: tuple[Turn, ...] = ()
    queries: tuple[str, ...] = ()
    expand: tuple[Expansion, ...] = ()
    refusal: Refusal | None = None
    strict: bool = False

    @property
    def needs_model(self) -> bool:
        """Whether nothing but a language model can give what is asked for."""
        wants = bool(self.sampling.json_schema) or self.tools.are_required or not self.uses_documents
        return wants or self.mode is AnswerMode.MODEL

    @property
    def needs_passages(self) -> bool:
        """Whether there is nothing to answer from if no passages are found: neither tools nor their results."""
        if not self.uses_documents:
            return False
        return self.mode is AnswerMode.EXTRACTIVE or not (self.tools.may_be_called or self.tool_turns)

    def search(self) -> Search:
        """What to search for to answer it."""
        return Search.of(
            Query(self.text, "question"),
            self.principal,
            self.options,
            history=self.history,
            queries=self.queries,
            expand=self.expand,
            by_model=self.mode is not AnswerMode.EXTRACTIVE,
        )

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Raises:
            InvalidField: A field breaks a rule.
            TooLarge: The question or what comes with it is too long.
        """
        if self.uses_documents:
            self.search().check(limits)
        else:  # what is not searched for may be as long as any message
            check_message("question", self.text, limits)
        check_conversation(self.history, self.tool_turns, limits)
        check_options(self.mode, self.sampling, self.tools)
