"""From the messages of a chat to a question, what was said before it, and what tools have said since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_conversation.turns import Role, Turn
from trivium_serving.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_gateway.domain.limits import GatewayLimits

_TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A chat, as a question is asked.

    Attributes:
        question: The last thing that the user said.
        history: What was said before, oldest first, and all system messages.
        tool_turns: The model's calls of tools since the question, and their results.
        dropped_count: The oldest messages, which are left out because the history has no room for them.
    """

    question: str
    history: tuple[Turn, ...]
    tool_turns: tuple[Turn, ...]
    dropped_count: int


def exchange_of(turns: Sequence[Turn], limits: GatewayLimits, field: str) -> Exchange:
    """Finds the question in a chat. Of a history that is too long, the oldest exchanges are left out.

    Args:
        turns: The chat, oldest first.
        limits: How long a history may be.
        field: What the request calls the chat.

    Raises:
        InvalidField: The user says nothing in it, or the last word is the assistant's.
    """
    asked = max((place for place, turn in enumerate(turns) if turn.role is Role.USER), default=None)
    if asked is None:
        raise InvalidField(field, f"{field} has no message of the user. Send the question as one.")
    before = [turn for turn in turns[:asked] if _says_something(turn)]
    since = [turn for turn in turns[asked + 1 :] if _says_something(turn)]
    tool_turns = tuple(turn for turn in since if turn.role is not Role.SYSTEM)
    if any(turn.role is Role.ASSISTANT and not turn.tool_calls for turn in tool_turns):
        raise InvalidField(
            field, f"{field} ends with the assistant's words. The last message must be the user's, or a tool's result."
        )
    system = [turn for turn in (*before, *since) if turn.role is Role.SYSTEM]
    said = [turn for turn in before if turn.role is not Role.SYSTEM]
    kept = _latest(said, [*system, *tool_turns], limits)
    return Exchange(turns[asked].content, (*system, *kept), tool_turns, len(said) - len(kept))


def text_of(content: Any, field: str) -> str:
    """The text of a message: a string, or a list of parts.

    Args:
        content: What the message has; None for nothing.
        field: Where it stands in the request.

    Raises:
        InvalidField: It is neither, or a part of it is no text.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise InvalidField(field, f"{field} must be a string or a list of parts.")
    return "".join(_text_of_part(part, f"{field}[{number}]") for number, part in enumerate(content))


def _text_of_part(part: Any, field: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return str(part["refusal"])
    if isinstance(kind, str) and kind not in _TEXT_PARTS:
        raise InvalidField(
            field, f"{field} is of type {kind[:40]!r}. Only text is read here: no images, sounds or files.",
            reason="UNSUPPORTED_FIELD",
        )  # fmt: skip
    raise InvalidField(field, f'{field} must be a part such as {{"type": "text", "text": "..."}}.')


def _says_something(turn: Turn) -> bool:
    return bool(turn.content.strip() or turn.tool_calls or turn.role is Role.TOOL)


def _latest(said: Sequence[Turn], fixed: Sequence[Turn], limits: GatewayLimits) -> tuple[Turn, ...]:
    """The latest of some turns that fit beside others, from a turn of the user on: calls stay with their results."""
    messages = limits.max_history_messages - len(fixed)
    characters = limits.max_history_characters - _characters(fixed)
    first = len(said)
    for place in range(len(said) - 1, -1, -1):
        messages -= 1
        characters -= _characters(said[place : place + 1])
        if messages < 0 or characters < 0:
            break
        if said[place].role is Role.USER or place == 0:
            first = place
    return tuple(said[first:])


def _characters(turns: Iterable[Turn]) -> int:
    return sum(len(turn.content) + sum(len(call.arguments) for call in turn.tool_calls) for turn in turns)
