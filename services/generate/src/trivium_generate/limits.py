"""The limits of a request, and their one check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_conversation.checks import check_chars
from trivium_conversation.sampling import check_sampling
from trivium_conversation.tools import check_tools
from trivium_conversation.turns import check_tool_calls
from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from trivium_generate.answer import AnswerRequest, Passage, Turn

MAX_TITLE_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may hold; lengths in code points.

    Attributes:
        question_chars: Of the question.
        passages: How many passages.
        passage_chars: Of the text of one passage.
        passages_chars: Of the texts of all passages together.
        turns: How many earlier turns.
        turn_chars: Of one earlier turn.
        answer_tokens: Most that `sampling.max_tokens` may ask for.
    """

    question_chars: int = 8192
    passages: int = 100
    passage_chars: int = 16384
    passages_chars: int = 262144
    turns: int = 64
    turn_chars: int = 65536
    answer_tokens: int = 4096

    def check(self, request: AnswerRequest) -> None:
        """Lets a request within the limits pass.

        Raises:
            InvalidField: A field breaks its rule.
            TooLarge: A field is over its limit.
        """
        self._check_conversation(request)
        if request.passages or not request.is_conversation:
            self._check_passages(request.passages)
        check_sampling(request.sampling, self.answer_tokens)
        check_tools(request.tools)

    def _check_passages(self, passages: tuple[Passage, ...]) -> None:
        if not passages:
            raise InvalidField("passages", "There are no passages. An answer needs at least one to rest on.")
        if len(passages) > self.passages:
            raise TooLarge(
                f"There are {len(passages)} passages; at most {self.passages} are allowed. Send the best ones.",
                field="passages",
            )
        for number, passage in enumerate(passages):
            field = f"passages[{number}]"
            if not passage.text.strip():
                raise InvalidField(f"{field}.text", "The passage is empty. Leave it out.")
            check_chars(f"{field}.text", passage.text, self.passage_chars, "Send a shorter passage.")
            check_chars(f"{field}.title", passage.title, MAX_TITLE_CHARS, "Shorten the title.")
            if not (math.isfinite(passage.score) and 0 <= passage.score <= 1):
                raise InvalidField(f"{field}.score", f"The score is {passage.score}; it must be from 0 to 1.")
        total = sum(len(passage.text) for passage in passages)
        if total > self.passages_chars:
            raise TooLarge(
                f"The passages have {total} characters together; at most {self.passages_chars} are allowed. "
                "Send fewer or shorter ones.",
                field="passages",
            )

    def _check_conversation(self, request: AnswerRequest) -> None:
        history, question, question_chars = "history", "question", self.question_chars
        if request.is_conversation:
            # A message may hold more than a question.
            history, question, question_chars = "messages", f"messages[{len(request.history)}].content", self.turn_chars
        if not request.question.strip():
            raise InvalidField(question, "The question is empty. Ask something.")
        check_chars(question, request.question, question_chars, "Shorten the question.")
        check_chars("standalone_question", request.standalone_question, self.question_chars, "Shorten the question.")
        count = len(request.history) + len(request.tool_turns)
        if count > self.turns:
            raise TooLarge(
                f"There are {count} turns beside the question; at most {self.turns} are allowed. Leave out the oldest.",
                field=history,
            )
        self._check_turns(history, request.history, 0)
        self._check_turns("messages", request.tool_turns, len(request.history) + 1)

    def _check_turns(self, field: str, turns: tuple[Turn, ...], first: int) -> None:
        check_tool_calls(field, turns, first)
        for number, turn in enumerate(turns, start=first):
            said = turn.content + "".join(call.arguments for call in turn.tool_calls)
            check_chars(f"{field}[{number}].content", said, self.turn_chars, "Shorten the turn.")
