"""The turns of a conversation, and the calls of tools among them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, TooLarge

from trivium_conversation.checks import check_chars, check_json_object, check_tool_name
from trivium_conversation.tools import MAX_TOOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CALL_ID_CHARS = 256


class Role(StrEnum):
    """Who says a turn of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the model.

    Attributes:
        id: Identifies the call in its conversation.
        name: The tool's name.
        arguments: A JSON object, as text.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation.

    Attributes:
        role: Who says it.
        content: What is said; of a tool, its result.
        tool_calls: The tools that the model called; their results follow.
        tool_call_id: The call whose result this is; empty unless a tool says it.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


def check_tool_calls(field: str, turns: Sequence[Turn], first: int = 0) -> None:
    """Lets turns pass of which each call of a tool is followed by its result, and each result belongs to a call.

    Args:
        field: What the request calls the turns.
        turns: The turns, oldest first.
        first: The number of the first of them there.

    Raises:
        InvalidField: A call or a result is out of place, or is none.
        TooLarge: One turn has too many calls.
    """
    open_calls: set[str] = set()
    for number, turn in enumerate(turns, start=first):
        place = f"{field}[{number}]"
        if turn.role is Role.TOOL:
            if turn.tool_call_id not in open_calls:
                raise InvalidField(
                    f"{place}.tool_call_id",
                    f"No call {turn.tool_call_id!r} waits for a result here. A result follows the assistant's message "
                    "with its call, and names it.",
                )
            open_calls.remove(turn.tool_call_id)
        else:
            _check_no_open_calls(place, open_calls)
            if turn.tool_call_id:
                raise InvalidField(f"{place}.tool_call_id", "Only a tool's message is the result of a call.")
        if turn.tool_calls:
            open_calls = _check_calls(place, turn)
    _check_no_open_calls(field, open_calls)


def _check_no_open_calls(field: str, open_calls: set[str]) -> None:
    if open_calls:
        raise InvalidField(
            field, f"The call {min(open_calls)!r} has no result. Send a tool's message for each call of the model."
        )


def _check_calls(place: str, turn: Turn) -> set[str]:
    """The ids of the calls of a turn."""
    field = f"{place}.tool_calls"
    if turn.role is not Role.ASSISTANT:
        raise InvalidField(field, f"The {turn.role.value} calls no tools; only the assistant does.")
    if len(turn.tool_calls) > MAX_TOOLS:
        raise TooLarge(f"{field} has {len(turn.tool_calls)} calls; at most {MAX_TOOLS} are allowed.", field=field)
    ids: set[str] = set()
    for number, call in enumerate(turn.tool_calls):
        if not call.id or call.id in ids:
            raise InvalidField(f"{field}[{number}].id", "Each call needs an id of its own, which its result names.")
        check_chars(f"{field}[{number}].id", call.id, MAX_CALL_ID_CHARS, "Shorten it.")
        ids.add(call.id)
        check_tool_name(f"{field}[{number}].name", call.name)
        check_json_object(f"{field}[{number}].arguments", "The call's arguments", call.arguments)
    return ids
