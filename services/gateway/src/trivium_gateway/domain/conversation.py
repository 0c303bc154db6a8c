"""What a person asks, how it is to be answered, and what of that is refused."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_conversation.sampling import check_sampling
from trivium_conversation.tools import check_tools
from trivium_conversation.turns import Role, Turn, check_tool_calls
from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import check_query, check_unicode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_conversation.sampling import Sampling
    from trivium_conversation.tools import Tools

    from trivium_gateway.domain.limits import GatewayLimits


class AnswerMode(StrEnum):
    """By which means an answer is written."""

    AUTO = "auto"
    """The language model if it can, else the next best means."""
    MODEL = "model"
    """The language model, or an error."""
    EXTRACTIVE = "extractive"
    """The sentences of the passages that answer best."""


def check_conversation(history: Sequence[Turn], tool_turns: Sequence[Turn], limits: GatewayLimits) -> None:
    """Refuses what surrounds a question if it is too long, has an empty turn, or a call of a tool without its result.

    Args:
        history: The turns before the question, oldest first.
        tool_turns: The model's calls of tools since the question, and their results.
        limits: What is allowed.

    Raises:
        InvalidField: A turn is blank or out of place, or cannot be written in UTF-8.
        TooLarge: There are too many turns, or too much text (HISTORY_TOO_LONG).
    """
    turns = (*history, *tool_turns)
    if len(turns) > limits.max_history_messages:
        raise TooLarge(
            f"The history has {len(turns)} messages; at most {limits.max_history_messages} are allowed. "
            "Send the latest ones.",
            reason="HISTORY_TOO_LONG",
            field="history",
        )
    characters = sum(len(turn.content) + sum(len(call.arguments) for call in turn.tool_calls) for turn in turns)
    if characters > limits.max_history_characters:
        raise TooLarge(
            f"The history has {characters} characters; at most {limits.max_history_characters} are allowed. "
            "Send the latest messages.",
            reason="HISTORY_TOO_LONG",
            field="history",
        )
    for name, some in (("history", history), ("tool_turns", tool_turns)):
        for position, turn in enumerate(some):
            _check_turn(f"{name}[{position}]", turn)
        check_tool_calls(name, some)
    for position, turn in enumerate(tool_turns):
        if turn.role is not Role.TOOL and not turn.tool_calls:
            raise InvalidField(
                f"tool_turns[{position}]", "After the question come only calls of tools and their results."
            )


def check_message(field: str, text: str, limits: GatewayLimits) -> None:
    """Refuses a message to the language model that is blank or longer than a whole history may be.

    Raises:
        InvalidField: It is blank (EMPTY_QUERY), or cannot be written in UTF-8.
        TooLarge: It is too long (QUERY_TOO_LONG).
    """
    check_query(field, text, replace(limits, max_query_characters=limits.max_history_characters))


def check_options(mode: AnswerMode, sampling: Sampling, tools: Tools) -> None:
    """Refuses options that break a rule, or that only a language model could meet where none may answer.

    Raises:
        InvalidField: A field breaks its rule.
        TooLarge: A field is over its limit.
    """
    check_sampling(sampling)
    check_tools(tools)
    for field, text in _texts(sampling, tools):
        check_unicode(field, text)
    if mode is AnswerMode.EXTRACTIVE:
        if sampling.json_schema:
            raise InvalidField("sampling.json_schema", "An extractive answer is no JSON. Ask in mode auto or model.")
        if tools.are_required:
            raise InvalidField("tools.choice", "An extractive answer calls no tools. Ask in mode auto or model.")


def _check_turn(field: str, turn: Turn) -> None:
    check_unicode(f"{field}.content", turn.content)
    check_unicode(f"{field}.tool_call_id", turn.tool_call_id)
    for number, call in enumerate(turn.tool_calls):
        check_unicode(f"{field}.tool_calls[{number}].id", call.id)
        check_unicode(f"{field}.tool_calls[{number}].arguments", call.arguments)
    if not turn.content.strip() and not turn.tool_calls and turn.role is not Role.TOOL:
        raise InvalidField(f"{field}.content", f"{field}.content is blank. Leave the message out.")


def _texts(sampling: Sampling, tools: Tools) -> Iterator[tuple[str, str]]:
    """The texts of the options, with the names of their fields."""
    yield "sampling.json_schema", sampling.json_schema
    for number, stop in enumerate(sampling.stop):
        yield f"sampling.stop[{number}]", stop
    for number, tool in enumerate(tools.definitions):
        yield f"tools.definitions[{number}].description", tool.description
        yield f"tools.definitions[{number}].parameters", tool.parameters
