"""What is asked of a language model and what it says, wherever that passes through, with the limits of both."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ANSWER_TOKENS = 1048576
MAX_TEMPERATURE = 2.0
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_SCHEMA_CHARS = 65536
MAX_TOP_LOGPROBS = 20
MAX_TOOLS = 128
MAX_TOOLS_CHARS = 131072
MAX_CALL_ID_CHARS = 256

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Role(StrEnum):
    """Who says a turn of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


class ToolChoice(StrEnum):
    """Whether the model calls tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


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


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call.

    Attributes:
        name: Its name.
        description: What it does, for the model to read; may be empty.
        parameters: JSON schema of its arguments, as text; empty for no arguments.
        strict: Whether the arguments must satisfy the schema, where the model's API can hold the model to it.
    """

    name: str
    description: str = ""
    parameters: str = ""
    strict: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, parsed; one that is valid was checked before."""
        schema: dict[str, Any] = json.loads(self.parameters or '{"type": "object", "properties": {}}')
        return schema


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a request; whoever sent them runs them.

    Attributes:
        definitions: What the model may call.
        choice: Whether it calls them.
        required_name: The one that must be called, if the choice is REQUIRED; empty for any.
        parallel: Whether several calls may come at once; None for the model's default.
    """

    definitions: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice.AUTO
    required_name: str = ""
    parallel: bool | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.definitions)

    @property
    def are_required(self) -> bool:
        """Whether the model has to call one."""
        return self.choice is ToolChoice.REQUIRED

    @property
    def may_be_called(self) -> bool:
        """Whether the model may call one."""
        return bool(self.definitions) and self.choice is not ToolChoice.NONE


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None is the model's default.

    Attributes:
        max_tokens: Most tokens of the answer.
        temperature: 0 for the most likely token always; up to 2.
        top_p: Share of probability mass to sample from, above 0 and up to 1.
        seed: Seed of the random choice.
        stop: Texts that end the answer; not part of it.
        json_schema: A JSON schema, as text, that the answer satisfies; empty for free text.
        top_logprobs: How many of the likeliest tokens in the place of each token are wanted with their log
            probabilities, beside its own; None if none are wanted at all.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: str = ""
    top_logprobs: int | None = None


NO_TOOLS = Tools()
DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that the model wrote.

    Attributes:
        token: Its text; a part of a character shows as U+FFFD.
        logprob: Natural logarithm of its probability.
        top: The likeliest tokens in its place and their log probabilities, likeliest first.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


def check_sampling(sampling: Sampling, most_tokens: int = MAX_ANSWER_TOKENS) -> None:
    """Lets a sampling within the limits pass.

    Args:
        sampling: What was asked for.
        most_tokens: Most tokens that it may ask for.

    Raises:
        InvalidField: A field breaks its rule.
        TooLarge: A field is over its limit.
    """
    tokens, temperature, top_p = sampling.max_tokens, sampling.temperature, sampling.top_p
    if tokens is not None and not 1 <= tokens <= most_tokens:
        raise InvalidField("sampling.max_tokens", f"max_tokens is {tokens}; it must be from 1 to {most_tokens}.")
    if temperature is not None and not 0 <= temperature <= MAX_TEMPERATURE:  # also refuses NaN
        raise InvalidField(
            "sampling.temperature", f"temperature is {temperature}; it must be from 0 to {MAX_TEMPERATURE:g}."
        )
    if top_p is not None and not 0 < top_p <= 1:
        raise InvalidField("sampling.top_p", f"top_p is {top_p}; it must be above 0 and at most 1.")
    if sampling.seed is not None and not -(2**63) <= sampling.seed < 2**63:
        raise InvalidField("sampling.seed", f"seed is {sampling.seed}; it must be a whole number of 64 bits.")
    if sampling.top_logprobs is not None and not 0 <= sampling.top_logprobs <= MAX_TOP_LOGPROBS:
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
        check_chars(field, stop, MAX_STOP_CHARS, "Shorten it.")
    if sampling.json_schema:
        check_chars("sampling.json_schema", sampling.json_schema, MAX_SCHEMA_CHARS, "Simplify the schema.")
        _check_object("sampling.json_schema", "The schema", sampling.json_schema)


def check_tools(tools: Tools) -> None:
    """Lets tools within the limits pass; what a schema means is the model's backend's to judge.

    Raises:
        InvalidField: A field breaks its rule.
        TooLarge: There are too many tools, or too much text in them.
    """
    if len(tools.definitions) > MAX_TOOLS:
        raise TooLarge(
            f"There are {len(tools.definitions)} tools; at most {MAX_TOOLS} are allowed. Send the likely ones.",
            field="tools.definitions",
        )
    total = sum(len(tool.name) + len(tool.description) + len(tool.parameters) for tool in tools.definitions)
    if total > MAX_TOOLS_CHARS:
        raise TooLarge(
            f"The tools have {total} characters together; at most {MAX_TOOLS_CHARS} are allowed. "
            "Send fewer, or simplify their schemas.",
            field="tools.definitions",
        )
    names: set[str] = set()
    for number, tool in enumerate(tools.definitions):
        field = f"tools.definitions[{number}]"
        _check_name(f"{field}.name", tool.name)
        if tool.name in names:
            raise InvalidField(f"{field}.name", f"There are two tools {tool.name}. Give them different names.")
        names.add(tool.name)
        if tool.parameters:
            _check_object(f"{field}.parameters", "The schema of the parameters", tool.parameters)
    if tools.are_required and not names:
        raise InvalidField("tools.choice", "A call is required, and there are no tools. Send tools.definitions.")
    if tools.required_name and not tools.are_required:
        raise InvalidField("tools.required_name", "A name is given, and no call is required. Leave it out.")
    if tools.required_name and tools.required_name not in names:
        raise InvalidField(
            "tools.required_name", f"There is no tool {tools.required_name!r} among {', '.join(sorted(names))}."
        )


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


def check_chars(field: str, text: str, limit: int, advice: str) -> None:
    """Refuses a text that is too long.

    Raises:
        TooLarge: It is; the error ends with the advice.
    """
    if len(text) > limit:
        raise TooLarge(f"{field} has {len(text)} characters; at most {limit} are allowed. {advice}", field=field)


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
        _check_name(f"{field}[{number}].name", call.name)
        _check_object(f"{field}[{number}].arguments", "The call's arguments", call.arguments)
    return ids


def _check_name(field: str, name: str) -> None:
    if not _TOOL_NAME.fullmatch(name):
        raise InvalidField(field, f"{name[:80]!r} is no tool's name: 1 to 64 letters of ASCII, digits, `_` and `-`.")


def _check_object(field: str, what: str, text: str) -> None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidField(field, f"{what}: not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise InvalidField(field, f'{what}: not a JSON object, such as {{"type": "object"}}.')
