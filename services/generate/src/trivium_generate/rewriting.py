"""Rewrites questions for the search, by the language model: what leans on a conversation is made to stand alone."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from trivium_conversation.checks import check_chars
from trivium_evidence.terms import terms
from trivium_serving.errors import FailedPrecondition, InvalidField, TooLarge, Unavailable

from trivium_generate.answer import AnswerRequest, Delta, Mode, Role, Sampling
from trivium_generate.prompting import fill
from trivium_generate.prompts import prompt_for
from trivium_generate.traces import traced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivium_generate.answer import Finish, Turn
    from trivium_generate.answering import Answerer
    from trivium_generate.limits import Limits
    from trivium_generate.prompts import Prompt
    from trivium_generate.supervision import SupervisedModel

DEFAULT_QUERIES = 3
MAX_QUERIES = 10

# Models that think before they write need more than the text itself; the caller's deadline bounds it, too.
_MAX_TOKENS = 512
# A question leans on what was said last. A long turn says at its beginning what it is about.
_READ_TURNS = 8
_READ_CHARS = 1000
_MAX_QUERY_CHARS = 1000
_MAX_PASSAGE_CHARS = 4000

_LABEL = re.compile(
    r"^(?:(?:the )?(?:rewritten|standalone|last)? ?question|query|passage|问题|改写后的问题)\s*[:\uff1a]\s*", re.I
)
_BULLET = re.compile(r"^(?:[-*\u2022]|\(?\d{1,2}[.):\u3001])\s+")
_QUOTES = re.compile(r"^(?:\*\*|[\"'`\u201c\u300c])+|(?:\*\*|[\"'`\u201d\u300d])+$")


class Task(Enum):
    """What a question is rewritten as."""

    STANDALONE = "standalone"
    QUERIES = "queries"
    PASSAGE = "passage"


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """A question to rewrite.

    Attributes:
        question: Not blank.
        history: Earlier turns, oldest first.
        task: What to make of it.
        max_queries: Most queries.
        deadline: When the caller gives up, on the event loop's clock in seconds; None for never.
    """

    question: str
    history: tuple[Turn, ...] = ()
    task: Task = Task.STANDALONE
    max_queries: int = DEFAULT_QUERIES
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What became of a question.

    Attributes:
        texts: One text, or the queries, none of which is the question as it stands.
        finish: What wrote it, and its tokens.
    """

    texts: tuple[str, ...]
    finish: Finish


class Rewriter:
    """Has questions rewritten.

    Args:
        answerer: Has the model write.
        model: The language model; None if none is configured.
        prompts: The prompts by language.
        limits: What a request may hold.
    """

    def __init__(
        self, answerer: Answerer, model: SupervisedModel | None, prompts: dict[str, Prompt], limits: Limits
    ) -> None:
        self._answerer = answerer
        self._model = model
        self._prompts = prompts
        self._limits = limits

    async def rewrite(self, request: RewriteRequest) -> Rewriting:
        """Rewrites a question.

        Raises:
            InvalidField, TooLarge: The request breaks a limit.
            FailedPrecondition: No model is configured.
            Unavailable: The model is loading or broken, or wrote nothing that a search could use.
            Overloaded: There is no capacity.
            DeadlineExceeded: The model did not begin in time.
        """
        self._check(request)
        if self._model is None:
            raise FailedPrecondition(
                "No language model is configured. Set TRIVIUM_GENERATE_BACKEND and TRIVIUM_GENERATE_MODEL.",
                reason="NO_MODEL",
            )
        asked = self._asked(request)
        text, finish = "", None
        with traced(asked, self._model.description.name) as note:
            async with aclosing(self._answerer.answer(asked)) as events:
                async for event in events:
                    note(event)
                    if isinstance(event, Delta):
                        text += event.text
                    else:
                        finish = event
        texts = tuple(_usable(text, request))
        if finish is None or not texts:
            raise Unavailable("The model wrote nothing to search for. Search for the question as it stands.")
        return Rewriting(texts, finish)

    def _check(self, request: RewriteRequest) -> None:
        if not request.question.strip():
            raise InvalidField("question", "The question is empty. Ask something.")
        check_chars("question", request.question, self._limits.question_chars, "Shorten the question.")
        if len(request.history) > self._limits.turns:
            raise TooLarge(
                f"There are {len(request.history)} turns beside the question; at most {self._limits.turns} are "
                "allowed. Leave out the oldest.",
                field="history",
            )
        for number, turn in enumerate(request.history):
            check_chars(f"history[{number}].content", turn.content, self._limits.turn_chars, "Shorten the turn.")
        if not 1 <= request.max_queries <= MAX_QUERIES:
            raise InvalidField(
                "max_queries", f"max_queries is {request.max_queries}; it must lie between 1 and {MAX_QUERIES}."
            )

    def _asked(self, request: RewriteRequest) -> AnswerRequest:
        """What the model is asked: a conversation of its own, so that it goes on with no one's."""
        prompt = prompt_for(request.question, self._prompts)
        templates = {
            Task.STANDALONE: prompt.standalone,
            Task.QUERIES: prompt.queries,
            Task.PASSAGE: prompt.hypothetical,
        }
        message = fill(
            templates[request.task],
            history=_transcript(request.history),
            question=request.question,
            count=str(request.max_queries),
        )
        return AnswerRequest(
            question=message,
            passages=(),
            sampling=Sampling(max_tokens=_MAX_TOKENS),
            mode=Mode.MODEL,
            is_conversation=True,
            deadline=request.deadline,
        )


def _transcript(history: tuple[Turn, ...]) -> str:
    """The latest turns, a line for each."""
    said = [turn for turn in history if turn.role in (Role.USER, Role.ASSISTANT) and turn.content.strip()]
    return "\n".join(
        f"{turn.role.value}: {' '.join(turn.content[:_READ_CHARS].split())}" for turn in said[-_READ_TURNS:]
    )


def _usable(text: str, request: RewriteRequest) -> Iterator[str]:
    """What a search can use of what the model wrote."""
    if request.task is Task.PASSAGE:
        if passage := " ".join(text.split())[:_MAX_PASSAGE_CHARS]:
            yield passage
        return
    lines = [one for line in text.splitlines() if (one := _bare(line)) and len(one) <= _MAX_QUERY_CHARS]
    if request.task is Task.STANDALONE:
        if lines and _stays_with(lines[0], request):
            yield lines[0]
        return
    seen = {request.question.strip().casefold()}
    for line in lines:
        if line.casefold() not in seen and len(seen) <= request.max_queries:
            seen.add(line.casefold())
            yield line


def _bare(line: str) -> str:
    """A line without the number, label and quotes that models like to put around it."""
    line = _QUOTES.sub("", _BULLET.sub("", line.strip(), count=1))
    return _QUOTES.sub("", _LABEL.sub("", line, count=1)).strip()


def _stays_with(text: str, request: RewriteRequest) -> bool:
    """Whether most of a question is made of what was said: a model that answers instead brings words of its own."""
    said = set(terms(request.question)).union(*(terms(turn.content) for turn in request.history))
    written = terms(text)
    return 2 * sum(term in said for term in written) >= len(written) > 0
