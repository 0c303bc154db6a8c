"""Answers by the chat completions API of OpenAI, of Azure, or of any server that speaks it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from openai import APIConnectionError, APIError, APIStatusError, AsyncAzureOpenAI, AsyncOpenAI
from trivium_model_apis.calls import ApiFailure, retry_after_seconds

from trivium_generate.answer import FinishReason, TokenLogprob
from trivium_generate.backends.base import PromptTooLong, prompt_too_long
from trivium_generate.backends.chat_provider import AnswerBlocked, Checked, Stop, Text, Usage
from trivium_generate.backends.refusals import Dispensed, named_parameter, says_too_long, says_unsupported
from trivium_generate.backends.server_windows import served_context
from trivium_generate.backends.tool_calls import CallPiece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk

    from trivium_generate.answer import Tools, Turn
    from trivium_generate.backends.chat_provider import ApiOptions, Call, Event

URL = "https://api.openai.com/v1"

_logger = logging.getLogger(__name__)

# Some servers say in words of their own that an answer is complete.
_STOPS = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
_LENGTHS = frozenset({"length", "max_tokens", "model_length"})
_CALLS = frozenset({"tool_calls", "function_call", "tool_use"})
_BLOCKS = frozenset({"content_filter", "content_policy_violation"})
# OpenAI's newer models know only the first of these, many servers only the second.
_LENGTH_PARAMETERS = ("max_completion_tokens", "max_tokens")
# What a model may have to do without: an answer sampled otherwise is better than none.
_DISPENSABLE = ("stream_options", "temperature", "top_p", "parallel_tool_calls")
_FIELDS = {
    "max_completion_tokens": "sampling.max_tokens",
    "max_tokens": "sampling.max_tokens",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "seed": "sampling.seed",
    "stop": "sampling.stop",
    "response_format": "sampling.json_schema",
    "logprobs": "sampling.top_logprobs",
    "top_logprobs": "sampling.top_logprobs",
    "tools": "tools",
    "tool_choice": "tools.choice",
    "parallel_tool_calls": "tools.parallel",
}
_CONTEXT_KEYS = ("max_model_len", "context_length", "max_context_length", "context_window")


class OpenAIChat:
    """The official client, whose own retries are off: they know no deadline.

    Which parameters the model refuses is learnt from its refusals and remembered.

    Args:
        options: Which API and model; with a version it is Azure's, and the model is a deployment.
    """

    name = "openai"

    def __init__(self, options: ApiOptions) -> None:
        self._options = options
        self._is_azure = bool(options.version)
        self._dispensed = Dispensed(_DISPENSABLE)
        self._length_parameter = _LENGTH_PARAMETERS[bool(options.url) and not self._is_azure]
        # Key and address are given whatever they are, or the client takes them from variables of its own.
        common: dict[str, Any] = {"api_key": options.key or "none", "max_retries": 0, "timeout": None}
        self._client: AsyncOpenAI = (
            AsyncAzureOpenAI(azure_endpoint=options.url, api_version=options.version, **common)
            if self._is_azure
            else AsyncOpenAI(base_url=options.url or URL, **common)
        )
        self._completions, self._models = self._client.chat.completions, self._client.models  # imported by this

    async def check(self) -> Checked:
        """Reads the list of models, as `ChatProvider.check` says."""
        try:
            models = (await self._models.list()).data
            listed = {str(model.id): model for model in models}
        except APIError as error:
            raise _failure(error) from error
        except (ValueError, TypeError, AttributeError):
            return Checked()
        if self._is_azure or not listed:  # Azure lists models, not deployments
            return Checked()
        extra = (listed[self._options.model].model_extra or {}) if self._options.model in listed else {}
        contexts = [value for key in _CONTEXT_KEYS if isinstance(value := extra.get(key), int) and value > 0]
        if contexts or not self._options.url:
            return Checked(self._options.model in listed, contexts[0] if contexts else 0)
        owner = str(getattr(next(iter(listed.values())), "owned_by", ""))
        tokens, is_assumed = await served_context(self._get, owner, self._options.model)
        return Checked(self._options.model in listed, tokens, is_assumed)

    async def _get(self, path: str) -> Any:
        """Asks for a path beside the API."""
        try:
            return await self._client.get(self._options.url.rstrip("/").removesuffix("/v1") + path, cast_to=object)
        except (APIError, ValueError) as error:
            raise ApiFailure(str(error)) from error

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """One attempt at an answer, as `ChatProvider.stream` says."""
        try:
            async with await self._create(call) as chunks:
                refusal = ""
                async for chunk in chunks:
                    for event in _events(chunk):
                        if isinstance(event, Stop) and refusal:
                            raise AnswerBlocked(f"The model refused to answer: {refusal}")
                        yield event
                    refusal += _refusal(chunk)
        except APIError as error:
            raise _failure(error) from error
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise ApiFailure("an event that cannot be read") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _create(self, call: Call) -> AsyncStream[ChatCompletionChunk]:
        said_otherwise = False
        while True:
            parameters = self._parameters(call)
            try:
                stream: AsyncStream[ChatCompletionChunk] = await self._completions.create(**parameters)
                return stream
            except APIStatusError as error:
                if not _is_unsupported(error):
                    raise
                name = named_parameter([*_LENGTH_PARAMETERS, *_DISPENSABLE], _words(error), error.param)
                if name == self._length_parameter and not said_otherwise:
                    said_otherwise = True
                    self._length_parameter = _LENGTH_PARAMETERS[1 - _LENGTH_PARAMETERS.index(name)]
                else:
                    name = self._dispensed.learn(_words(error), parameters, error.param)
                if name is None:
                    raise
                _logger.info("%s refuses %s: %s", self._options.model, name, _message(error))

    def _parameters(self, call: Call) -> dict[str, Any]:
        sampling = call.sampling
        parameters: dict[str, Any] = {
            "model": self._options.model,
            "messages": [_turn_message(turn) for turn in call.turns],
            "stream": True,
            "stream_options": {"include_usage": True},
            self._length_parameter: call.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop) or None,
        }
        if sampling.json_schema:
            schema = {"name": "answer", "strict": True, "schema": json.loads(sampling.json_schema)}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.top_logprobs is not None:
            parameters |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        if call.tools:
            parameters |= _tools(call.tools)
        if self._options.fields:
            parameters["extra_body"] = self._options.fields
        parameters = {name: value for name, value in parameters.items() if value is not None}
        left_out = self._dispensed.among(parameters)
        return {name: value for name, value in parameters.items() if name not in left_out}


def _turn_message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role.value, "content": turn.content}
    if turn.tool_calls:
        message["content"] = turn.content or None
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    return message


def _tools(tools: Tools) -> dict[str, Any]:
    functions = []
    for tool in tools.definitions:
        function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
        functions.append({"type": "function", "function": function | ({"strict": True} if tool.strict else {})})
    choice: Any = tools.choice.value
    if tools.required_name:
        choice = {"type": "function", "function": {"name": tools.required_name}}
    return {"tools": functions, "tool_choice": choice, "parallel_tool_calls": tools.parallel}


def _events(chunk: ChatCompletionChunk) -> list[Event]:
    """What a chunk says; servers fill it in many ways, and the client does not check them."""
    events: list[Event] = []
    for choice in chunk.choices or ():
        if choice.index:
            continue
        text = (choice.delta.content or "") if choice.delta else ""
        if not isinstance(text, str):
            raise TypeError("text that is none")
        if text:
            events.append(Text(text, _logprobs(choice.logprobs)))
        for piece in (choice.delta.tool_calls or ()) if choice.delta else ():
            said = piece.function
            name, arguments = (said.name or "", said.arguments or "") if said else ("", "")
            events.append(CallPiece(piece.index, str(piece.id or ""), str(name), str(arguments)))
        if choice.finish_reason:
            events.append(_stop(choice.finish_reason))
    if chunk.usage:
        events.append(Usage(_count(chunk.usage.prompt_tokens), _count(chunk.usage.completion_tokens)))
    return events


def _stop(reason: str) -> Stop:
    if reason in _STOPS:
        return Stop(FinishReason.STOP)
    if reason in _CALLS:
        return Stop(FinishReason.TOOL_CALLS)
    if reason in _LENGTHS:
        return Stop(FinishReason.LENGTH)
    if reason in _BLOCKS:
        raise AnswerBlocked("The provider's content filter stopped the answer. Ask otherwise, or in mode EXTRACTIVE.")
    raise ApiFailure(f"an answer that ended with {reason!r}")


def _refusal(chunk: ChatCompletionChunk) -> str:
    return "".join(choice.delta.refusal or "" for choice in chunk.choices or () if choice.delta)


def _logprobs(logprobs: Any) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            written.token,
            float(written.logprob),
            tuple((top.token, float(top.logprob)) for top in written.top_logprobs or ()),
        )
        for written in (logprobs.content or () if logprobs else ())
    )


def _count(tokens: Any) -> int | None:
    return tokens if isinstance(tokens, int) and tokens >= 0 else None


def _is_unsupported(error: APIStatusError) -> bool:
    """Whether a model refuses a parameter, and neither the prompt's length nor a value."""
    text = _words(error)
    return error.status_code in (400, 422) and not says_too_long(text) and says_unsupported(text)


def _failure(error: APIError) -> ApiFailure | AnswerBlocked | PromptTooLong:
    said = _message(error)
    if isinstance(error, APIConnectionError):
        return ApiFailure(f"it cannot be reached, or broke off ({error.__cause__ or error})")
    if error.code in _BLOCKS:
        blocked = AnswerBlocked("The provider's content filter refused the request. Ask otherwise.")
        return blocked.because(said)
    is_status = isinstance(error, APIStatusError)
    status = error.status_code if isinstance(error, APIStatusError) else _status_in_stream(error)
    if status in (400, 413, 422) and (error.code == "context_length_exceeded" or says_too_long(_words(error))):
        return prompt_too_long(said)
    return ApiFailure(
        said,
        status=status,
        retry_after_seconds=retry_after_seconds(error.response.headers) if is_status else None,  # type: ignore[attr-defined]
        quota_exhausted=error.code == "insufficient_quota" or status == 402,
        field=_FIELDS.get(named_parameter(_FIELDS, _words(error), error.param) or "", "question"),
    )


def _status_in_stream(error: APIError) -> int:
    """The status that an error stands for which came after the headers."""
    body = error.body if isinstance(error.body, dict) else {}
    code, kind = body.get("code"), str(body.get("type"))
    if isinstance(code, int):
        return code
    return 429 if "rate_limit" in f"{code} {kind}" else 400 if "invalid_request" in kind else 500


def _message(error: APIError) -> str:
    """What the API says; not every server that speaks it words its errors alike."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or body.get("detail") or error.message)


def _words(error: APIError) -> str:
    """All that the API says, to look for parameters in."""
    return f"{error.message} {error.body}"
