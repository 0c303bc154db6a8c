"""Builds the prompt for a language model, within its context window.

Passages are data: nothing in them can end the passage they are in, open another, or stand for one of the tokens that a
chat template marks its turns with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trivium_generate.answer import Role, Turn
from trivium_generate.backends.base import PromptTooLong
from trivium_generate.prompts import prompt_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_generate.answer import AnswerRequest, Passage
    from trivium_generate.prompts import Prompt

# Earlier turns may take this share of the room for the prompt; older ones are left out.
_HISTORY_SHARE = 0.25

_PASSAGE_TAG = re.compile(r"<(?=\s*/?\s*passage\b)", re.IGNORECASE)
# Marks of turns that are plain text to some tokenizers, so that their lists of special tokens do not name them.
_TURN_MARKS = re.compile(r"<\|[^|<>\n]{1,40}\|>|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>")
_BREAK = "\u200b"  # a zero width space: reads the same, is another token
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Chat(Protocol):
    """The model's own view of a conversation."""

    @property
    def special_tokens(self) -> Sequence[str]:
        """Texts that its tokenizer reads as one special token."""

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens of a conversation, ready for the model to go on with its answer."""

    def count(self, text: str) -> int:
        """How many tokens a text has on its own."""


@dataclass(frozen=True, slots=True)
class BuiltPrompt:
    """A prompt that fits.

    Attributes:
        turns: Its messages.
        token_ids: Its tokens.
        dropped_passages: Numbers, from 1, of the passages that are not in it.
        dropped_turn_count: Earlier turns, the oldest, that are not in it.
    """

    turns: tuple[Turn, ...]
    token_ids: list[int]
    dropped_passages: tuple[int, ...]
    dropped_turn_count: int = 0


class PromptBuilder:
    """Builds prompts for one model.

    Args:
        chat: The model's tokenizer and chat template.
        prompts: The prompts by language.
    """

    def __init__(self, chat: Chat, prompts: dict[str, Prompt]) -> None:
        self._chat = chat
        self._prompts = prompts
        # Longest first, so that none is broken by the break of a shorter one within it.
        specials = sorted({token for token in chat.special_tokens if len(token) > 1}, key=len, reverse=True)
        self._specials = re.compile("|".join(map(re.escape, specials))) if specials else None

    def build(self, request: AnswerRequest, room: int) -> BuiltPrompt:
        """The prompt for a request.

        The least relevant passages are dropped until the rest fits; the others keep their numbers and their order. A
        conversation without passages stays as it is, but for its oldest turns if it does not fit.

        Args:
            request: The request.
            room: Most tokens of the prompt.

        Raises:
            PromptTooLong: Not one passage fits beside the question.
        """
        if not request.passages:
            return self._conversation(request, room)
        prompt = prompt_for(request.question, self._prompts)
        earlier, dropped_turn_count = self._earlier(request, int(room * _HISTORY_SHARE))
        before = [_system(prompt.system, *self._instructions(request)), *earlier]
        question, schema = self._inert(request.question), self._inert(request.sampling.json_schema)
        template = prompt.json if schema else prompt.question
        texts = [self._passage(prompt, number, passage) for number, passage in enumerate(request.passages, start=1)]
        kept = list(range(len(texts)))
        # Least relevant last; the later of two equals is the less relevant one.
        droppable = sorted(kept, key=lambda place: (-request.passages[place].score, place))
        while kept:
            passages = "\n\n".join(texts[place] for place in kept)
            last = _fill(template, passages=passages, question=question, schema=schema)
            turns = _with_turn(before, Turn(Role.USER, last))
            token_ids = self._chat.encode(turns)
            excess = len(token_ids) - room
            if excess <= 0:
                dropped = tuple(place + 1 for place in range(len(texts)) if place not in kept)
                return BuiltPrompt(tuple(turns), token_ids, dropped, dropped_turn_count)
            while excess > 0 and droppable:
                place = droppable.pop()
                kept.remove(place)
                excess -= self._chat.count(texts[place])
        raise PromptTooLong(
            f"The model's context has room for {room} tokens of prompt, and not one passage fits beside the question. "
            "Send shorter passages, ask for fewer tokens, or choose a model with a longer context.",
            field="passages",
        )

    def _conversation(self, request: AnswerRequest, room: int) -> BuiltPrompt:
        """The prompt for a conversation without passages."""
        instructions = self._instructions(request)
        before = [_system(*instructions)] if instructions else []
        last = Turn(Role.USER, self._inert(request.question))
        history_room = room - sum(self._chat.count(turn.content) for turn in (*before, last))
        while True:
            earlier, dropped = self._earlier(request, history_room)
            turns = _with_turn([*before, *earlier], last)
            token_ids = self._chat.encode(turns)
            excess = len(token_ids) - room
            if excess <= 0:
                return BuiltPrompt(tuple(turns), token_ids, (), dropped)
            if not earlier:
                raise PromptTooLong(
                    f"The model's context has room for {room} tokens of prompt; the last message does not fit. "
                    "Shorten it, ask for fewer tokens, or choose a model with a longer context.",
                    field=f"messages[{len(request.history)}].content",
                )
            history_room -= excess

    def _instructions(self, request: AnswerRequest) -> list[str]:
        return [self._inert(turn.content) for turn in request.history if turn.role is Role.SYSTEM]

    def _earlier(self, request: AnswerRequest, room: int) -> tuple[list[Turn], int]:
        """Earlier turns, and how many of the oldest are left out because they need more than their room."""
        all_turns = [turn for turn in request.history if turn.role is not Role.SYSTEM]
        turns: list[Turn] = []
        for turn in reversed(all_turns):
            content = self._inert(turn.content)
            room -= self._chat.count(content)
            if room < 0:
                break
            turns.insert(0, Turn(turn.role, content))
        while turns and turns[0].role is Role.ASSISTANT:  # templates want the user to begin
            del turns[0]
        dropped = len(all_turns) - len(turns)
        merged: list[Turn] = []
        for turn in turns:
            merged = _with_turn(merged, turn)
        return merged, dropped

    def _passage(self, prompt: Prompt, number: int, passage: Passage) -> str:
        title = " ".join(self._data(passage.title).replace('"', "'").split())
        return _fill(prompt.passage, number=str(number), title=title, text=self._data(passage.text).strip())

    def _data(self, text: str) -> str:
        return _PASSAGE_TAG.sub("&lt;", self._inert(text))

    def _inert(self, text: str) -> str:
        """A text in which nothing marks the turn of a conversation."""
        for marks in (self._specials, _TURN_MARKS):
            if marks is not None:
                text = marks.sub(lambda mark: mark.group()[0] + _BREAK + mark.group()[1:], text)
        return text


def _system(*texts: str) -> Turn:
    return Turn(Role.SYSTEM, "\n\n".join(texts))


def _with_turn(turns: list[Turn], turn: Turn) -> list[Turn]:
    """A conversation and one turn more; two of the same role in a row become one, because templates refuse them."""
    if turns and turns[-1].role is turn.role:
        return [*turns[:-1], Turn(turn.role, f"{turns[-1].content}\n\n{turn.content}")]
    return [*turns, turn]


def _fill(template: str, **values: str) -> str:
    """A template with its placeholders replaced, all at once: what is put in is never read as a template itself."""
    return _PLACEHOLDER.sub(lambda match: values.get(match.group(1), match.group()), template)
