"""The tools that a model may call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trivium_serving.errors import InvalidField, TooLarge

from trivium_conversation.checks import check_json_object, check_tool_name

MAX_TOOLS = 128
MAX_TOOLS_CHARS = 131072


class ToolChoice(StrEnum):
    """Whether the model calls tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


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


NO_TOOLS = Tools()


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
        check_tool_name(f"{field}.name", tool.name)
        if tool.name in names:
            raise InvalidField(f"{field}.name", f"There are two tools {tool.name}. Give them different names.")
        names.add(tool.name)
        if tool.parameters:
            check_json_object(f"{field}.parameters", "The schema of the parameters", tool.parameters)
    if tools.are_required and not names:
        raise InvalidField("tools.choice", "A call is required, and there are no tools. Send tools.definitions.")
    if tools.required_name and not tools.are_required:
        raise InvalidField("tools.required_name", "A name is given, and no call is required. Leave it out.")
    if tools.required_name and tools.required_name not in names:
        raise InvalidField(
            "tools.required_name", f"There is no tool {tools.required_name!r} among {', '.join(sorted(names))}."
        )
