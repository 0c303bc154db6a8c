"""The body of POST /v1/responses, and the question that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from trivium_conversation.sampling import Sampling
from trivium_conversation.turns import Role, ToolCall, Turn
from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.answering.question import Question
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import at_most
from trivium_gateway.surfaces.http.openai.bodies import OpenAIBody, QuestionOptions, refuse
from trivium_gateway.surfaces.http.openai.chat_bodies import (
    MAX_MESSAGES,
    MAX_TOOLS,
    ROLES,
    JsonSchemaBody,
    ResponseFormatBody,
    schema_text,
    tools_of,
)
from trivium_gateway.surfaces.http.openai.turns import Exchange, exchange_of, text_of

if TYPE_CHECKING:
    from trivium_gateway.domain.limits import GatewayLimits

_LOGPROBS = "message.output_text.logprobs"


class FunctionToolBody(OpenAIBody):
    """A function that the model may call, and the caller runs."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of its arguments.")
    strict: bool | None = None


class TextFormatBody(JsonSchemaBody):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]


class TextBody(OpenAIBody):
    """The form of the text."""

    format: TextFormatBody | None = None


class ResponsesBody(QuestionOptions):
    """What is said to the model, whose last message of the user is answered from the documents."""

    input: Any = Field(description="The question, or the conversation as items: messages, calls and their results.")
    instructions: str | None = Field(None, description="A system message that goes before all others.")
    stream: bool | None = Field(None, description="Answer as server-sent events; default false.")
    max_output_tokens: int | None = Field(None, description="Most tokens of the answer.")
    temperature: float | None = Field(None, description="0 to 2; default the model's.")
    top_p: float | None = Field(None, description="Above 0, up to 1; default the model's.")
    top_logprobs: int | None = Field(None, description=f"0 to 20, with `{_LOGPROBS}` in include.")
    include: Annotated[list[str], *at_most(32)] | None = Field(
        None, description=f"`{_LOGPROBS}` sends log probabilities; others do nothing."
    )
    text: TextBody | None = Field(None, description="JSON, which only a language model can write.")
    tools: Annotated[list[FunctionToolBody], *at_most(MAX_TOOLS)] | None = Field(
        None, description="Functions that the model may call."
    )
    tool_choice: Any = Field(None, description='`auto`, `none`, `required`, or `{"type": "function", "name": "..."}`.')
    parallel_tool_calls: bool | None = None
    metadata: dict[str, Any] | None = Field(None, description="Returned as it is.")
    background: bool | None = Field(None, description="Must not be true.")
    previous_response_id: str | None = Field(None, description="Refused: nothing is stored.")
    conversation: Any = Field(None, description="Refused: nothing is stored.")
    prompt: Any = Field(None, description="Refused: there are no stored prompts.")

    def exchange(self, limits: GatewayLimits) -> Exchange:
        """The question and what surrounds it."""
        turns = [Turn(Role.SYSTEM, self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return exchange_of([*turns, Turn(Role.USER, self.input)], limits, "input")
        if not isinstance(self.input, list):
            raise InvalidField("input", "input must be a text or a list of items.")
        if len(self.input) > MAX_MESSAGES:
            raise TooLarge(
                f"input has {len(self.input)} items; at most {MAX_MESSAGES} are allowed.",
                reason="HISTORY_TOO_LONG",
                field="input",
            )
        for place, item in enumerate(self.input):
            _add_item(turns, item, f"input[{place}]")
        return exchange_of(turns, limits, "input")

    def question(self, exchange: Exchange) -> Question:
        """What is asked, and how it is to be answered.

        Raises:
            InvalidField: A field breaks a rule, or asks for what cannot be done.
            NotFound: There is no such model.
        """
        for field in ("previous_response_id", "conversation"):
            refuse(field, getattr(self, field), "Nothing is stored: send the whole conversation as input.")
        refuse("prompt", self.prompt, "Nothing is stored: send instructions and input.")
        refuse("background", self.background, "Send stream: true to see the answer while it is written.")
        return Question(
            exchange.question,
            principal(),
            self.search_options(),
            exchange.history,
            self.answer_mode(),
            self._sampling(),
            self.searches_documents(),
            tools_of(self.tools or (), self.tool_choice, self.parallel_tool_calls),
            exchange.tool_turns,
            refusal=self.wanted_refusal(),
            strict=bool(self.strict_support),
        )

    def _sampling(self) -> Sampling:
        wants_logprobs = _LOGPROBS in (self.include or ())
        form = self.text.format if self.text else None
        return Sampling(
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            json_schema=_schema(form),
            top_logprobs=(self.top_logprobs or 0) if wants_logprobs else None,
        )


def _schema(form: TextFormatBody | None) -> str:
    if form is None:
        return ""
    if form.type == "json_schema" and form.schema_ is None:
        raise InvalidField("text.format.schema", "text.format of type json_schema needs schema.")
    return schema_text(ResponseFormatBody(type=form.type, json_schema=JsonSchemaBody(schema=form.schema_)))


def _add_item(turns: list[Turn], item: Any, field: str) -> None:
    """Adds an item of the input to the conversation. What a model thought is left out."""
    if not isinstance(item, dict):
        raise InvalidField(field, f"{field} must be an object.")
    kind = item.get("type", "message")
    if kind == "message":
        role = ROLES.get(str(item.get("role")))
        if role is None or role is Role.TOOL:
            raise InvalidField(f"{field}.role", f"{field}.role must be system, developer, user or assistant.")
        turns.append(Turn(role, text_of(item.get("content"), f"{field}.content")))
    elif kind == "function_call":
        call = ToolCall(*(_text(item, name, field) for name in ("call_id", "name", "arguments")))
        if turns and turns[-1].role is Role.ASSISTANT:
            last = turns.pop()
            turns.append(Turn(Role.ASSISTANT, last.content, (*last.tool_calls, call)))
        else:
            turns.append(Turn(Role.ASSISTANT, "", (call,)))
    elif kind == "function_call_output":
        result = text_of(item.get("output"), f"{field}.output")
        turns.append(Turn(Role.TOOL, result, tool_call_id=_text(item, "call_id", field)))
    elif kind != "reasoning":
        raise InvalidField(
            f"{field}.type",
            f"{field} is of type {str(kind)[:40]!r}; message, function_call and function_call_output are read here.",
            reason="UNSUPPORTED_FIELD",
        )


def _text(item: dict[str, Any], name: str, field: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise InvalidField(f"{field}.{name}", f"{field}.{name} must be a text.")
    return value
