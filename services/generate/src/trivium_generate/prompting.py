"""Builds the prompt for a language model, within its context window.

Passages are data: nothing in them can end the passage they are in, open another, or stand for one of the tokens that a
chat template marks its turns with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from trivium_generate.answer import Role, Turn
from trivium_generate.backends.base import PromptTooLong
from trivium_generate.prompts import prompt_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_generate.answer import AnswerRequest, Passage, Tool
    from trivium_generate.prompts import Prompt

# Earlier turns may take this share of the room for the prompt; older ones are left out.
_HISTORY_SHARE = 0.25

_PASSAGE_TAG = re.compile(r"<(?=\s*+(?:/\s*+)?passage\b)", re.IGNORECASE)
# Marks of turns that are plain text to some tokenizers, so that their lists of special tokens do not name them.
_TURN_MARKS = re.compile(r"<\|[^|<>\n]{1,40}\|>|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>")
_BREAK = "\u200b"  # a zero width space: reads the same, is another token
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Chat(Protocol):
    """The model's own view of a conversation."""

    @property
    def special_tokens(self) -> Sequence[str]:
        """Texts that its tokenizer reads as one special token."""

    def encode(self, turns: Sequence[Turn], tools: Sequence[Tool]) -> list[int]:
        """The tokens of a conversation and of the tools that may be called, ready for the model to go on."""

    def count(self, text: str) -> int:
        """How many tokens a text has on its own."""


@dataclass(frozen=True, slots=True)
class BuiltPrompt:
    """A prompt that fits.

    Attributes:
        turns: Its messages.
        tools: What the model may call.
        token_ids: Its tokens.
        dropped_passages: Numbers, from 1, of the passages that are not in it.
        dropped_turn_count: Earlier turns, the oldest, that are not in it.
    """

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...]
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
        tools, tool_turns = self._tools(request), [self._inert_turn(turn) for turn in request.tool_turns]
        earlier, dropped_turn_count = self._earlier(request, int(room * _HISTORY_SHARE))
        with_tools = [prompt.tools] if request.tools.may_be_called or tool_turns else []
        before = [_system(prompt.system, *with_tools, *self._instructions(request)), *earlier]
        question, schema = self._inert(request.question), self._inert(request.sampling.json_schema)
        template = prompt.json if schema else prompt.question
        texts = [self._passage(prompt, number, passage) for number, passage in enumerate(request.passages, start=1)]
        kept = list(range(len(texts)))
        # Least relevant last; the later of two equals is the less relevant one.
        droppable = sorted(kept, key=lambda place: (-request.passages[place].score, place))
        while kept:
            passages = "\n\n".join(texts[place] for place in kept)
            last = fill(template, passages=passages, question=question, schema=schema)
            turns = [*_with_turn(before, Turn(Role.USER, last)), *tool_turns]
            token_ids = self._chat.encode(turns, tools)
            excess = len(token_ids) - room
            if excess <= 0:
                dropped = tuple(place + 1 for place in range(len(texts)) if place not in kept)
                return BuiltPrompt(tuple(turns), tools, token_ids, dropped, dropped_turn_count)
            while excess > 0 and droppable:
                place = droppable.pop()
                kept.remove(place)
                excess -= self._chat.count(texts[place])
        raise PromptTooLong(
            f"The model's context has room for {room} tokens of prompt, and not one passage fits beside the question. "
            "Send shorter passages, fewer tools, ask for fewer tokens, or choose a model with a longer context.",
            field="passages",
        )

    def _conversation(self, request: AnswerRequest, room: int) -> BuiltPrompt:
        """The prompt for a conversation without passages."""
        instructions = self._instructions(request)
        before = [_system(*instructions)] if instructions else []
        last = Turn(Role.USER, self._inert(request.question))
        tools, tool_turns = self._tools(request), [self._inert_turn(turn) for turn in request.tool_turns]
        history_room = room - sum(map(self._count, (*before, last, *tool_turns)))
        while True:
            earlier, dropped = self._earlier(request, history_room)
            turns = [*_with_turn([*before, *earlier], last), *tool_turns]
            token_ids = self._chat.encode(turns, tools)
            excess = len(token_ids) - room
            if excess <= 0:
                return BuiltPrompt(tuple(turns), tools, token_ids, (), dropped)
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
        for turn in map(self._inert_turn, reversed(all_turns)):
            room -= self._count(turn)
            if room < 0:
                break
            turns.insert(0, turn)
        while turns and turns[0].role is not Role.USER:  # templates want the user to begin, and results their calls
            del turns[0]
        dropped = len(all_turns) - len(turns)
        merged: list[Turn] = []
        for turn in turns:
            merged = _with_turn(merged, turn)
        return merged, dropped

    def _tools(self, request: AnswerRequest) -> tuple[Tool, ...]:
        return tuple(
            replace(tool, description=self._inert(tool.description), parameters=self._inert(tool.parameters))
            for tool in request.tools.definitions
        )

    def _inert_turn(self, turn: Turn) -> Turn:
        calls = tuple(replace(call, arguments=self._inert(call.arguments)) for call in turn.tool_calls)
        return replace(turn, content=self._inert(turn.content), tool_calls=calls)

    def _count(self, turn: Turn) -> int:
        return sum(self._chat.count(text) for text in (turn.content, *(call.arguments for call in turn.tool_calls)))

    def _passage(self, prompt: Prompt, number: int, passage: Passage) -> str:
        title = " ".join(self._data(passage.title).replace('"', "'").split())
        return fill(prompt.passage, number=str(number), title=title, text=self._data(passage.text).strip())

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
    """A conversation and one turn more; two of the same role in a row become one, because templates refuse them.

    Calls of tools and their results stay apart.
    """
    if (
        turns
        and turns[-1].role is turn.role
        and turn.role is not Role.TOOL
        and not (turns[-1].tool_calls or turn.tool_calls)
    ):
        return [*turns[:-1], Turn(turn.role, f"{turns[-1].content}\n\n{turn.content}")]
    return [*turns, turn]


def fill(template: str, **values: str) -> str:
    """A template with its placeholders replaced, all at once: what is put in is never read as a template itself."""
    return _PLACEHOLDER.sub(lambda match: values.get(match.group(1), match.group()), template)
