"""Answers by the messages API of Anthropic."""

from __future__ import annotations

import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import httpx2
from anthropic import APIConnectionError, APIError, APIStatusError, AsyncAnthropic
from trivium_model_apis.calls import ApiFailure, retry_after_seconds
from trivium_serving.errors import InvalidField

from trivium_generate.answer import FinishReason, Role, ToolChoice
from trivium_generate.backends.base import PromptTooLong, prompt_too_long
from trivium_generate.backends.chat_provider import AnswerBlocked, Checked, Stop, Text, Usage
from trivium_generate.backends.refusals import Dispensed, named_parameter, says_too_long, says_unsupported
from trivium_generate.backends.tool_calls import CallPiece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from anthropic import AsyncStream
    from anthropic.types import RawMessageStreamEvent

    from trivium_generate.answer import Tools, Turn
    from trivium_generate.backends.chat_provider import ApiOptions, Call, Event

URL = "https://api.anthropic.com"

_logger = logging.getLogger(__name__)

_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
}
_CHOICES = {ToolChoice.AUTO: "auto", ToolChoice.NONE: "none", ToolChoice.REQUIRED: "any"}
# Errors that come in a stream, after its status: 200.
_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
# Newer models refuse them: an answer sampled otherwise is better than none.
_DISPENSABLE = ("temperature", "top_p")
_FIELDS = {
    "max_tokens": "sampling.max_tokens",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "stop_sequences": "sampling.stop",
    "output_config": "sampling.json_schema",
    "tools": "tools",
    "tool_choice": "tools.choice",
}


class AnthropicChat:
    """The official client, whose own retries are off: they know no deadline.

    The instructions are shorter than what Anthropic caches at least, and the passages differ with each question: a mark
    for its prompt cache would cost more than it saves.

    Args:
        options: Which API and model.
    """

    name = "anthropic"

    def __init__(self, options: ApiOptions) -> None:
        self._options = options
        self._dispensed = Dispensed(_DISPENSABLE)
        # Key and address are given whatever they are, or the client takes them from variables of its own.
        self._client = AsyncAnthropic(
            api_key=options.key or "none", base_url=options.url or URL, max_retries=0, timeout=None
        )
        self._messages, self._models = self._client.messages, self._client.models  # imported by this

    async def check(self) -> Checked:
        """Asks for the model's description, as `ChatProvider.check` says."""
        try:
            model = await self._models.retrieve(self._options.model)
            tokens = model.max_input_tokens
        except APIStatusError as error:
            if error.status_code == 404:
                return Checked(is_known=False)
            raise _failure(error) from error
        except APIError as error:
            raise _failure(error) from error
        except (ValueError, TypeError, AttributeError):
            return Checked()
        return Checked(True, tokens if isinstance(tokens, int) else 0)

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """One attempt at an answer, as `ChatProvider.stream` says."""
        for field, value in (("seed", call.sampling.seed), ("top_logprobs", call.sampling.top_logprobs)):
            if value is not None:
                raise InvalidField(f"sampling.{field}", f"Anthropic's API has no {field}. Leave it out.")
        try:
            async with await self._create(call) as messages:
                async for message in messages:
                    for event in _events(message):
                        yield event
        except APIError as error:
            raise _failure(error) from error
        except httpx2.HTTPError as error:
            raise ApiFailure(f"it broke off ({error})") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ApiFailure("an event that cannot be read") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _create(self, call: Call) -> AsyncStream[RawMessageStreamEvent]:
        while True:
            parameters = self._parameters(call)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # of models, at each request
                    stream: AsyncStream[RawMessageStreamEvent] = await self._messages.create(**parameters)
                return stream
            except APIStatusError as error:
                name = None
                if error.status_code == 400 and says_unsupported(error.message):
                    name = self._dispensed.learn(error.message, parameters["extra_body"])
                if name is None:
                    raise
                _logger.info("%s is asked without %s: %s", self._options.model, name, _message(error))

    def _parameters(self, call: Call) -> dict[str, Any]:
        sampling = call.sampling
        chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        left_out = self._dispensed.among(chosen)
        parameters: dict[str, Any] = {
            "model": self._options.model,
            "max_tokens": call.max_tokens,
            "messages": _messages(call.turns),
            "stream": True,
            "extra_body": {
                **{name: value for name, value in chosen.items() if name not in left_out},
                **self._options.fields,
            },
        }
        if system := [turn.content for turn in call.turns if turn.role is Role.SYSTEM]:
            parameters["system"] = "\n\n".join(system)
        if sampling.stop:
            parameters["stop_sequences"] = list(sampling.stop)
        if call.tools:
            parameters |= _tools(call.tools)
        if sampling.json_schema:
            schema = json.loads(sampling.json_schema)
            parameters["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return parameters


def _messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The conversation; results of tools are a message of the user's, all those of one turn together."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role is Role.SYSTEM:
            continue
        if turn.role is Role.TOOL:
            result = {"type": "tool_result", "tool_use_id": turn.tool_call_id, "content": turn.content}
            if messages and messages[-1]["role"] == "user" and isinstance(messages[-1]["content"], list):
                messages[-1]["content"].append(result)
            else:
                messages.append({"role": "user", "content": [result]})
        elif turn.tool_calls:
            text = [{"type": "text", "text": turn.content}] if turn.content.strip() else []
            calls = [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
                for call in turn.tool_calls
            ]
            messages.append({"role": "assistant", "content": [*text, *calls]})
        else:
            messages.append({"role": turn.role.value, "content": turn.content})
    return messages


def _tools(tools: Tools) -> dict[str, Any]:
    choice: dict[str, Any] = {"type": _CHOICES[tools.choice]}
    if tools.required_name:
        choice = {"type": "tool", "name": tools.required_name}
    if tools.parallel is not None and tools.may_be_called:
        choice["disable_parallel_tool_use"] = not tools.parallel
    return {
        "tools": [
            {"name": tool.name, "description": tool.description, "input_schema": {"type": "object", **tool.schema}}
            for tool in tools.definitions
        ],
        "tool_choice": choice,
    }


def _events(message: RawMessageStreamEvent) -> list[Event]:
    """What an event of the stream says; thinking is none of the answer."""
    if message.type == "message_start":
        usage = message.message.usage
        cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        return [Usage(prompt_tokens=usage.input_tokens + cached)]
    if message.type == "content_block_delta" and message.delta.type == "text_delta":
        text = message.delta.text
        if not isinstance(text, str):
            raise TypeError("text that is none")
        return [Text(text)] if text else []
    if message.type == "content_block_start" and message.content_block.type == "tool_use":
        return [CallPiece(message.index, str(message.content_block.id), str(message.content_block.name))]
    if message.type == "content_block_delta" and message.delta.type == "input_json_delta":
        return [CallPiece(message.index, arguments=str(message.delta.partial_json))]
    if message.type == "message_delta":
        events: list[Event] = [Usage(completion_tokens=message.usage.output_tokens)] if message.usage else []
        return [*events, _stop(message.delta.stop_reason)] if message.delta.stop_reason else events
    return []


def _stop(reason: str) -> Stop:
    if reason == "refusal":
        raise AnswerBlocked("The model refused to answer. Ask otherwise, or in mode EXTRACTIVE.")
    if reason not in _REASONS:
        raise ApiFailure(f"an answer that ended with {reason!r}")
    return Stop(_REASONS[reason])


def _failure(error: APIError) -> ApiFailure | PromptTooLong:
    said = _message(error)
    if isinstance(error, APIConnectionError):
        return ApiFailure(f"it cannot be reached, or broke off ({error.__cause__ or error})")
    if not isinstance(error, APIStatusError):
        return ApiFailure(said)
    status = error.status_code if error.status_code >= 400 else _STATUS_OF.get(str(error.type), 500)
    if status in (400, 413) and says_too_long(said):
        return prompt_too_long(said)
    return ApiFailure(
        said,
        status=status,
        retry_after_seconds=retry_after_seconds(error.response.headers),
        quota_exhausted=status == 402 or "credit balance" in said,
        field=_FIELDS.get(named_parameter(_FIELDS, said) or "", "question"),
    )


def _message(error: APIError) -> str:
    return str(getattr(error, "api_message", None) or error.message)
