"""The limits of a request, and their one check."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from trivium_generate.answer import AnswerRequest, Passage, Sampling

MAX_TEMPERATURE = 2.0
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_TITLE_CHARS = 1024
MAX_SCHEMA_CHARS = 65536
MAX_TOP_LOGPROBS = 20


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
        self._check_sampling(request.sampling)
        _check_schema(request.sampling.json_schema)

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
            _check_chars(f"{field}.text", passage.text, self.passage_chars, "Send a shorter passage.")
            _check_chars(f"{field}.title", passage.title, MAX_TITLE_CHARS, "Shorten the title.")
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
        _check_chars(question, request.question, question_chars, "Shorten the question.")
        if len(request.history) > self.turns:
            raise TooLarge(
                f"There are {len(request.history)} earlier turns; at most {self.turns} are allowed. "
                "Leave out the oldest.",
                field=history,
            )
        for number, turn in enumerate(request.history):
            _check_chars(f"{history}[{number}].content", turn.content, self.turn_chars, "Shorten the turn.")

    def _check_sampling(self, sampling: Sampling) -> None:
        tokens, temperature, top_p = sampling.max_tokens, sampling.temperature, sampling.top_p
        if tokens is not None and not 1 <= tokens <= self.answer_tokens:
            raise InvalidField(
                "sampling.max_tokens", f"max_tokens is {tokens}; it must be from 1 to {self.answer_tokens}."
            )
        if temperature is not None and not 0 <= temperature <= MAX_TEMPERATURE:  # also refuses NaN
            raise InvalidField(
                "sampling.temperature", f"temperature is {temperature}; it must be from 0 to {MAX_TEMPERATURE:g}."
            )
        if top_p is not None and not 0 < top_p <= 1:
            raise InvalidField("sampling.top_p", f"top_p is {top_p}; it must be above 0 and at most 1.")
        if sampling.top_logprobs is not None and sampling.top_logprobs > MAX_TOP_LOGPROBS:
            raise InvalidField(
                "sampling.top_logprobs",
                f"top_logprobs is {sampling.top_logprobs}; it must be from 0 to {MAX_TOP_LOGPROBS}.",
            )
        if len(sampling.stop) > MAX_STOPS:
            raise TooLarge(
                f"There are {len(sampling.stop)} stop texts; at most {MAX_STOPS} are allowed.", field="sampling.stop"
            )
        for number, stop in enumerate(sampling.stop):
            field = f"sampling.stop[{number}]"
            if not stop:
                raise InvalidField(field, "The stop text is empty. Leave it out.")
            _check_chars(field, stop, MAX_STOP_CHARS, "Shorten it.")


def _check_schema(schema: str) -> None:
    """Whether it is a JSON object; what the object means is the model's backend's to judge."""
    field = "sampling.json_schema"
    if not schema:
        return
    _check_chars(field, schema, MAX_SCHEMA_CHARS, "Simplify the schema.")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise InvalidField(field, f"The schema is not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise InvalidField(field, 'The schema must be a JSON object, for example {"type": "object"}.')


def _check_chars(field: str, text: str, limit: int, advice: str) -> None:
    if len(text) > limit:
        raise TooLarge(f"{field} has {len(text)} characters; at most {limit} are allowed. {advice}", field=field)
