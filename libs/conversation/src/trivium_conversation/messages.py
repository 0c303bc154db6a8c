"""Turns, tools, sampling and log probabilities as messages, and back, whichever service they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trivium.type.v1 import message_pb2, tool_pb2
from trivium_serving.errors import InvalidField

from trivium_conversation.sampling import Sampling, TokenLogprob
from trivium_conversation.tools import Tool, ToolChoice, Tools
from trivium_conversation.turns import Role, ToolCall, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Kind = TypeVar("Kind")

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
                f"{field}[{position}].role", "The role is missing, or none. Use SYSTEM, USER, ASSISTANT or TOOL."
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
        raise InvalidField("tools.choice", f"There is no choice {message.choice}. Use AUTO, NONE or REQUIRED.")
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


def sampling_from(message: Any) -> Sampling:
    """What a `Sampling` message says; those of all services have the same fields."""
    return Sampling(
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        seed=message.seed if message.HasField("seed") else None,
        stop=tuple(message.stop),
        json_schema=message.json_schema,
        top_logprobs=message.top_logprobs if message.HasField("top_logprobs") else None,
    )


def logprobs_from(messages: Iterable[Any]) -> tuple[TokenLogprob, ...]:
    """What `TokenLogprob` messages say; those of all services have the same fields."""
    return tuple(
        TokenLogprob(one.token, one.logprob, tuple((top.token, top.logprob) for top in one.top)) for one in messages
    )


def logprob_messages(logprobs: Iterable[TokenLogprob], kind: Callable[..., Kind]) -> list[Kind]:
    """Log probabilities as messages.

    Args:
        logprobs: Of each token that the model wrote.
        kind: The service's own `TokenLogprob`.
    """
    return [
        kind(
            token=one.token,
            logprob=one.logprob,
            top=[{"token": token, "logprob": logprob} for token, logprob in one.top],
        )
        for one in logprobs
    ]
