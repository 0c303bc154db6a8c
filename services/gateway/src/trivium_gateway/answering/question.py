"""What was asked, and how it is to be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_conversation.sampling import DEFAULT_SAMPLING
from trivium_conversation.tools import NO_TOOLS

from trivium_gateway.answering.plan import Query, Search, SearchOptions
from trivium_gateway.domain.conversation import AnswerMode, check_conversation, check_message, check_options

if TYPE_CHECKING:
    from trivium_conversation.sampling import Sampling
    from trivium_conversation.tools import Tools
    from trivium_conversation.turns import Turn

    from trivium_gateway.answering.plan import Expansion
    from trivium_gateway.domain.answerability import Refusal
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.request.principal import Principal


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
        is_streamed: Whether whoever asks sees the answer while it is written.
    """

    text: str
    principal: Principal
    options: SearchOptions = SearchOptions()  # noqa: RUF009  # frozen
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
    is_streamed: bool = True

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
