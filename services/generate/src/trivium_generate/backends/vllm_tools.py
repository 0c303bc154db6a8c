"""Calls of tools by a model in vLLM: what it is held to, and how they are read out of what it writes.

Each family of models writes its calls in a form of its own, for which vLLM has a parser; which one it is, a setting
says. A call that is required needs none: then the engine holds the model to a list of calls in JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import FailedPrecondition, InvalidField, Unavailable

from trivium_generate.backends.tool_calls import CallAssembly, CallPiece

if TYPE_CHECKING:
    from trivium_generate.answer import AnswerRequest, ToolCall, Tools

_SETTING = "TRIVIUM_GENERATE_TOOL_PARSER"


def parser_class(name: str) -> Any:
    """vLLM's parser of this name; None without one.

    Raises:
        FailedPrecondition: There is none; names those that there are.
    """
    if not name:
        return None
    from vllm.tool_parsers import ToolParserManager

    try:
        return ToolParserManager.get_tool_parser(name)
    except KeyError as error:
        known = ", ".join(ToolParserManager.list_registered())
        raise FailedPrecondition(
            f"{_SETTING}: vLLM has no tool parser {name}. Set one of {known}, and start the service again."
        ) from error


def check_tools_of(request: AnswerRequest, parser: Any) -> None:
    """Lets a request pass whose calls of tools could be read.

    Raises:
        InvalidField: They could not.
    """
    if not request.tools.may_be_called or request.tools.are_required:
        return
    if parser is None:
        raise InvalidField(
            "tools",
            "This model's calls of tools cannot be read: the service does not know their form. An operator can set "
            f"{_SETTING} to vLLM's parser for the model. Until then send no tools, or choose NONE or REQUIRED.",
        )
    if request.sampling.json_schema:
        raise InvalidField(
            "sampling.json_schema",
            "An answer that may be a call of a tool cannot be held to a schema. Send no tools, or choose NONE.",
        )


def calls_schema(tools: Tools) -> str:
    """JSON schema of a list of the calls that are required, as text; empty if none are."""
    if not tools.are_required:
        return ""
    one_of = [
        {
            "type": "object",
            "properties": {"name": {"enum": [tool.name]}, "arguments": tool.schema},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools.definitions
        if tools.required_name in ("", tool.name)
    ]
    most = {"maxItems": 1} if tools.required_name or tools.parallel is False else {}
    return json.dumps({"type": "array", "items": {"anyOf": one_of}, "minItems": 1, **most})


class RequiredCalls:
    """Reads an answer that is a list of calls."""

    has_begun = True
    keeps_special_tokens = False

    def __init__(self) -> None:
        self._written = ""

    def feed(self, text: str, token_ids: list[int]) -> str:
        """Reads a piece of the answer, none of which is text."""
        self._written += text
        return ""

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What is left of the text, and the calls.

        Raises:
            Unavailable: They cannot be read.
        """
        calls = CallAssembly()
        begin = self._written.find("</think>")  # the mark's last character comes before the list
        try:
            written = json.loads(self._written[begin + len("</think>") if begin >= 0 else 0 :])
        except ValueError:
            written = [{}]
        for number, call in enumerate(written):
            calls.add(
                CallPiece(number, "", call.get("name", ""), json.dumps(call.get("arguments"), ensure_ascii=False))
            )
        return "", calls.whole()


class ParsedCalls:
    """Reads an answer by one of vLLM's parsers: its text as it comes, its calls at the end.

    Args:
        parser: The parser's class.
        tokenizer: The model's.
        tools: What the model may call.
    """

    def __init__(self, parser: Any, tokenizer: Any, tools: Tools) -> None:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        functions = [
            {"name": tool.name, "description": tool.description, "parameters": tool.schema}
            for tool in tools.definitions
        ]
        self._request = ChatCompletionRequest.model_validate(
            {
                "messages": [{"role": "user", "content": ""}],
                "tools": [{"type": "function", "function": function} for function in functions],
                "tool_choice": "auto",
            }
        )
        self._parser, self._tokenizer = parser, tokenizer
        self._streaming = parser(tokenizer, self._request.tools)
        self._request = self._streaming.adjust_request(self._request)
        self._written, self._said = "", ""
        self._token_ids: list[int] = []
        self.keeps_special_tokens = not self._request.skip_special_tokens
        self.has_begun = False

    def feed(self, text: str, token_ids: list[int]) -> str:
        """Reads a piece of the answer; what of it, and of what came before, is text."""
        before, ids_before = self._written, self._token_ids
        self._written, self._token_ids = before + text, ids_before + token_ids
        found = self._streaming.extract_tool_calls_streaming(
            before, self._written, text, ids_before, self._token_ids, token_ids, self._request
        )
        if found is None:
            return ""
        self.has_begun = self.has_begun or bool(found.tool_calls)
        said = found.content or ""
        self._said += said
        return said

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What is left of the text, and the calls.

        Raises:
            Unavailable: They cannot be read.
        """
        found = self._parser(self._tokenizer, self._request.tools).extract_tool_calls(self._written, self._request)
        calls = CallAssembly()
        for number, call in enumerate(found.tool_calls):
            calls.add(CallPiece(number, call.id or "", call.function.name, call.function.arguments))
        if self.has_begun and not calls:
            raise Unavailable("The model's call of a tool cannot be read. Ask again.")
        content = (found.content or "") if found.tools_called else self._written
        return content[len(self._said) :] if content.startswith(self._said) else "", calls.whole()
