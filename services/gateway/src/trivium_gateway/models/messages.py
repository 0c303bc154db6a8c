"""Turns, tools and their calls as messages, and back: both the surface and the generate service speak in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.type.v1 import message_pb2, tool_pb2
from trivium_conversation.tools import Tool, ToolChoice, Tools
from trivium_conversation.turns import Role, ToolCall, Turn
from trivium_serving.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROLES = {
    message_pb2.ROLE_SYSTEM: Role.SYSTEM,
    message_pb2.ROLE_USER: Role.USER,
    message_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    message_pb2.ROLE_TOOL: Role.TOOL,
}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}
_CHOICES = {
    tool_pb2.TOOL_CHOICE_UNSPECIFIED: ToolChoice.AUTO,
    tool_pb2.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    tool_pb2.TOOL_CHOICE_NONE: ToolChoice.NONE,
    tool_pb2.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
}
_CHOICE_NUMBERS = {choice: number for number, choice in _CHOICES.items()}


def turns_from(field: str, messages: Iterable[message_pb2.Message]) -> tuple[Turn, ...]:
    """The turns of a conversation.

    Args:
        field: What the request calls them.
        messages: The messages.

    Raises:
        InvalidField: A role is none that there is.
    """
    turns = []
    for position, message in enumerate(messages):
        if message.role not in _ROLES:
            raise InvalidField(
                f"{field}[{position}].role",
                f"{field}[{position}].role must be ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM or ROLE_TOOL.",
            )
        calls = tuple(map(tool_call_from, message.tool_calls))
        turns.append(Turn(_ROLES[message.role], message.content, calls, message.tool_call_id))
    return tuple(turns)


def turn_message(turn: Turn) -> message_pb2.Message:
    """A turn as a message."""
    return message_pb2.Message(
        role=_ROLE_NUMBERS[turn.role],
        content=turn.content,
        tool_calls=map(tool_call_message, turn.tool_calls),
        tool_call_id=turn.tool_call_id,
    )


def tools_from(message: tool_pb2.Tools) -> Tools:
    """The tools of a request.

    Raises:
        InvalidField: The choice is none that there is.
    """
    if message.choice not in _CHOICES:
        raise InvalidField("tools.choice", f"tools.choice {message.choice} does not exist.")
    return Tools(
        tuple(Tool(one.name, one.description, one.parameters, one.strict) for one in message.definitions),
        _CHOICES[message.choice],
        message.required_name,
        message.parallel if message.HasField("parallel") else None,
    )


def tools_message(tools: Tools) -> tool_pb2.Tools | None:
    """Tools as a message; None for none."""
    if not tools:
        return None
    return tool_pb2.Tools(
        definitions=[
            tool_pb2.Tool(name=one.name, description=one.description, parameters=one.parameters, strict=one.strict)
            for one in tools.definitions
        ],
        choice=_CHOICE_NUMBERS[tools.choice],
        required_name=tools.required_name,
        parallel=tools.parallel,
    )


def tool_call_from(message: tool_pb2.ToolCall) -> ToolCall:
    """A call of a tool."""
    return ToolCall(message.id, message.name, message.arguments)


def tool_call_message(call: ToolCall) -> tool_pb2.ToolCall:
    """A call of a tool as a message."""
    return tool_pb2.ToolCall(id=call.id, name=call.name, arguments=call.arguments)
