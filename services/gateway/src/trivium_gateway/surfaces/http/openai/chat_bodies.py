"""The body of POST /v1/chat/completions, and the question that it asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from trivium_conversation.sampling import Sampling
from trivium_conversation.tools import Tool, ToolChoice, Tools
from trivium_conversation.turns import Role, ToolCall, Turn
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.question import Question
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import at_most
from trivium_gateway.surfaces.http.openai.bodies import OpenAIBody, QuestionOptions, one_or_several, refuse
from trivium_gateway.surfaces.http.openai.turns import Exchange, exchange_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.surfaces.http.openai.response_bodies import FunctionToolBody

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}
# Longer chats than any model reads: what they are cut to is decided later.
MAX_MESSAGES = 4_096
MAX_TOOLS = 128
_MAX_STOPS = 16
_CHOICES = {choice.value: choice for choice in ToolChoice}
_ANY_OBJECT = '{"type":"object"}'


class CalledFunctionBody(OpenAIBody):
    """What the assistant called."""

    name: str
    arguments: str = Field("{}", description="A JSON object, as text.")


class ToolCallBody(OpenAIBody):
    """A call of a tool by the assistant."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunctionBody


class ChatMessageBody(OpenAIBody):
    """A message of the chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Any = Field(
        None,
        description='A string, or a list of parts `{"type": "text", "text": "..."}`. Images and sounds are refused.',
    )
    tool_calls: Annotated[list[ToolCallBody], *at_most(MAX_TOOLS)] | None = Field(
        None, description="The assistant's calls of tools."
    )
    tool_call_id: str | None = Field(None, description="Of a tool: the call whose result this is.")


class FunctionBody(OpenAIBody):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of its arguments.")
    strict: bool | None = None


class ToolBody(OpenAIBody):
    """A tool; only functions, which the caller runs."""

    type: Literal["function"]
    function: FunctionBody


class StreamOptionsBody(OpenAIBody):
    """Options of the stream."""

    include_usage: bool | None = Field(None, description="Send a last chunk with the usage; default false.")


class JsonSchemaBody(OpenAIBody):
    """The schema of an answer."""

    name: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormatBody(OpenAIBody):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None


class ChatBody(QuestionOptions):
    """A chat, whose last message of the user is answered from the documents."""

    messages: Annotated[list[ChatMessageBody], *at_most(MAX_MESSAGES, "HISTORY_TOO_LONG")] = Field(
        description="The chat, oldest message first."
    )
    stream: bool | None = Field(None, description="Answer as server-sent events; default false.")
    stream_options: StreamOptionsBody | None = None
    max_completion_tokens: int | None = Field(None, description="Most tokens of the answer.")
    max_tokens: int | None = Field(None, description="The same by its old name.")
    temperature: float | None = Field(None, description="0 to 2; default the model's.")
    top_p: float | None = Field(None, description="Above 0, up to 1; default the model's.")
    stop: Annotated[list[str], *one_or_several(_MAX_STOPS)] | None = Field(
        None, description="Up to 16 texts that end the answer."
    )
    seed: int | None = None
    logprobs: bool | None = Field(None, description="Whether to send log probabilities; only a language model has any.")
    top_logprobs: int | None = Field(None, description="0 to 20, with logprobs.")
    response_format: ResponseFormatBody | None = Field(None, description="JSON, which only a language model can write.")
    tools: Annotated[list[ToolBody], *at_most(MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call, and the caller runs."
    )
    tool_choice: Any = Field(
        None, description='`auto`, `none`, `required`, or `{"type": "function", "function": {"name": "..."}}`.'
    )
    parallel_tool_calls: bool | None = None
    n: int | None = Field(None, description="Must be 1.")
    frequency_penalty: float | None = Field(None, description="Must be 0.")
    presence_penalty: float | None = Field(None, description="Must be 0.")
    logit_bias: dict[str, Any] | None = Field(None, description="Must be empty.")
    modalities: Annotated[list[str], *at_most(8)] | None = Field(None, description='Must be ["text"].')
    audio: Any = Field(None, description="Refused.")
    functions: Any = Field(None, description="Refused: use tools.")
    function_call: Any = Field(None, description="Refused: use tool_choice.")
    web_search_options: Any = Field(None, description="Refused: only the documents are searched.")

    def exchange(self, limits: GatewayLimits) -> Exchange:
        """The question and what surrounds it."""
        return exchange_of([_turn(one, place) for place, one in enumerate(self.messages)], limits, "messages")

    def question(self, exchange: Exchange) -> Question:
        """What is asked, and how it is to be answered.

        Raises:
            InvalidField: A field breaks a rule, or asks for what cannot be done.
            NotFound: There is no such model.
        """
        self._check_support()
        tools = tools_of((one.function for one in self.tools or ()), self.tool_choice, self.parallel_tool_calls)
        return Question(
            exchange.question,
            principal(),
            self.search_options(),
            exchange.history,
            self.answer_mode(),
            self._sampling(),
            self.searches_documents(),
            tools,
            exchange.tool_turns,
            refusal=self.wanted_refusal(),
            strict=bool(self.strict_support),
        )

    def _check_support(self) -> None:
        refuse("n", (self.n or 1) != 1, "There is one answer; send n calls for n of them.")
        refuse("frequency_penalty", self.frequency_penalty, "Leave it out.")
        refuse("presence_penalty", self.presence_penalty, "Leave it out.")
        refuse("logit_bias", self.logit_bias, "Leave it out.")
        refuse("modalities", (self.modalities or ["text"]) != ["text"], 'Answers are text: leave it out, or ["text"].')
        refuse("audio", self.audio, "Answers are text.")
        refuse("functions", self.functions, "Send tools.")
        refuse("function_call", self.function_call, "Send tool_choice.")
        refuse("web_search_options", self.web_search_options, "Only the documents are searched.")

    def _sampling(self) -> Sampling:
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidField("top_logprobs", "top_logprobs goes with logprobs: true.")
        return Sampling(
            max_tokens=self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=tuple(self.stop or ()),
            json_schema=schema_text(self.response_format),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )


def schema_text(form: ResponseFormatBody | None) -> str:
    """The JSON schema that an answer must satisfy, as text; empty for prose.

    Raises:
        InvalidField: It is not there.
    """
    if form is None or form.type == "text":
        return ""
    if form.type == "json_object":
        return _ANY_OBJECT
    if form.json_schema is None or form.json_schema.schema_ is None:
        raise InvalidField("response_format", "response_format of type json_schema needs json_schema.schema.")
    return json.dumps(form.json_schema.schema_, ensure_ascii=False)


def tools_of(functions: Iterable[FunctionBody | FunctionToolBody], choice: Any, parallel: bool | None) -> Tools:
    """What the model may call.

    Raises:
        InvalidField: The choice is none that there is.
    """
    definitions = tuple(
        Tool(
            one.name,
            one.description or "",
            "" if one.parameters is None else json.dumps(one.parameters, ensure_ascii=False),
            bool(one.strict),
        )
        for one in functions
    )
    chosen, name = _tool_choice(choice)
    if not definitions and chosen is not ToolChoice.REQUIRED:
        return Tools()
    return Tools(definitions, chosen, name, parallel)


def _tool_choice(choice: Any) -> tuple[ToolChoice, str]:
    """Whether the model calls tools, and which one it must call, if one.

    Raises:
        InvalidField: It is none that there is.
    """
    if choice is None:
        return ToolChoice.AUTO, ""
    if isinstance(choice, str) and choice in _CHOICES:
        return _CHOICES[choice], ""
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function", choice)
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name:
            return ToolChoice.REQUIRED, name
    raise InvalidField(
        "tool_choice",
        'tool_choice must be auto, none, required, or {"type": "function", "function": {"name": "..."}}.',
    )


def _turn(body: ChatMessageBody, place: int) -> Turn:
    calls = tuple(ToolCall(one.id, one.function.name, one.function.arguments or "{}") for one in body.tool_calls or ())
    content = text_of(body.content, f"messages[{place}].content")
    return Turn(ROLES[body.role], content, calls, body.tool_call_id or "")
