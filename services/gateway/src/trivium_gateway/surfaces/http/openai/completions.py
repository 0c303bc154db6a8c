"""Answers as chat completions, whole and in chunks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from trivium_serving.request_context import request_id

from trivium_gateway.surfaces.http.openai.evidence import evidence_json, sources_evidence_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trivium_conversation.sampling import TokenLogprob
    from trivium_conversation.turns import ToolCall

    from trivium_gateway.answering.events import Delta, Sources, Summary
    from trivium_gateway.answering.question import Question
    from trivium_gateway.surfaces.http.openai.evidence import Links


class Completion:
    """Renders one answer.

    Args:
        model: The model's id as the caller wrote it.
        question: What was asked.
        links: Makes addresses of documents.
        dropped_messages: How many of the oldest messages were left out.
        include_usage: Whether a stream ends with a chunk for the usage.
    """

    def __init__(
        self, model: str, question: Question, links: Links, *, dropped_messages: int, include_usage: bool
    ) -> None:
        self._head = {"id": f"chatcmpl-{request_id()}", "created": int(time.time()), "model": model}
        self._question = question
        self._links = links
        self._dropped_messages = dropped_messages
        self._include_usage = include_usage
        self._text_field = "content"
        self._call_count = 0

    def whole(self, summary: Summary, deltas: Iterable[Delta]) -> dict[str, Any]:
        """The answer as one completion.

        Args:
            summary: The whole answer.
            deltas: Its pieces.
        """
        refuses = self._refuses(summary)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refuses or (summary.tool_calls and not summary.answer) else summary.answer,
            "refusal": summary.answer if refuses else None,
            "annotations": self._links.annotations(summary.citations),
        }
        if summary.tool_calls:
            message["tool_calls"] = [_tool_call(call) for call in summary.tool_calls]
        logprobs = [logprob_json(token) for delta in deltas for token in delta.logprobs]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
            "finish_reason": summary.finish_reason.value,
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage_json(summary),
            "trivium": evidence_json(summary, self._dropped_messages),
        }

    def begin(self, sources: Sources) -> dict[str, Any]:
        """The first chunk, with the evidence."""
        self._text_field = "refusal" if self._refuses(sources) else "content"
        delta = {"role": "assistant", "content": None if self._text_field == "refusal" else ""}
        return self._chunk(delta, trivium=sources_evidence_json(sources))

    def go_on(self, delta: Delta) -> dict[str, Any]:
        """A chunk with more of the answer."""
        shown: dict[str, Any] = {}
        if delta.text:
            shown[self._text_field] = delta.text
        if delta.citations:
            shown["annotations"] = self._links.annotations(delta.citations)
        if delta.tool_calls:
            shown["tool_calls"] = [
                {"index": number, **_tool_call(call)} for number, call in enumerate(delta.tool_calls, self._call_count)
            ]
            self._call_count += len(delta.tool_calls)
        logprobs = {"content": [logprob_json(token) for token in delta.logprobs], "refusal": None}
        return self._chunk(shown, logprobs=logprobs if delta.logprobs else None)

    def end(self, summary: Summary) -> Iterator[dict[str, Any]]:
        """The last chunks."""
        evidence = evidence_json(summary, self._dropped_messages, with_passages=False)
        yield self._chunk({}, finish_reason=summary.finish_reason.value, trivium=evidence)
        if self._include_usage:
            yield {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage_json(summary)}

    def _chunk(
        self,
        delta: dict[str, Any],
        *,
        finish_reason: str | None = None,
        logprobs: dict[str, Any] | None = None,
        trivium: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk: dict[str, Any] = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        if trivium is not None:
            chunk["trivium"] = trivium
        return chunk

    def _refuses(self, found: Sources | Summary) -> bool:
        """Whether the answer is a sentence in the place of the JSON that was asked for."""
        return bool(self._question.sampling.json_schema) and found.refused


def usage_json(summary: Summary) -> dict[str, int]:
    """Tokens of the language model."""
    return {
        "prompt_tokens": summary.prompt_tokens,
        "completion_tokens": summary.completion_tokens,
        "total_tokens": summary.prompt_tokens + summary.completion_tokens,
    }


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprob_json(token: TokenLogprob) -> dict[str, Any]:
    """A token with its log probability, and the likeliest ones in its place."""
    top = [_token(text, logprob) for text, logprob in token.top]
    return {**_token(token.token, token.logprob), "top_logprobs": top}


def _token(text: str, logprob: float) -> dict[str, Any]:
    # A part of a character came as U+FFFD, so that its bytes are not known.
    known = None if "\N{REPLACEMENT CHARACTER}" in text else list(text.encode())
    return {"token": text, "logprob": logprob, "bytes": known}
