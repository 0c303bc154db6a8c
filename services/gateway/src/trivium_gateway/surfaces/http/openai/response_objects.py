"""Answers as OpenAI's responses, whole and as events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from trivium_conversation.sampling import FinishReason
from trivium_serving.request_context import request_id

from trivium_gateway.surfaces.http.openai.completions import logprob_json
from trivium_gateway.surfaces.http.openai.evidence import evidence_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trivium_conversation.turns import ToolCall

    from trivium_gateway.answering.events import Delta, Sources, Summary
    from trivium_gateway.answering.question import Question
    from trivium_gateway.surfaces.http.openai.evidence import Links
    from trivium_gateway.surfaces.http.openai.response_bodies import ResponsesBody


class ResponseObject:
    """Renders one answer.

    Args:
        body: What was sent.
        question: What was asked.
        links: Makes addresses of documents.
        dropped_messages: How many of the oldest messages were left out.
    """

    def __init__(self, body: ResponsesBody, question: Question, links: Links, *, dropped_messages: int) -> None:
        self._id = request_id()
        self._body = body
        self._question = question
        self._links = links
        self._dropped_messages = dropped_messages
        self._created = int(time.time())

    def whole(self, summary: Summary, deltas: Iterable[Delta]) -> dict[str, Any]:
        """The whole answer.

        Args:
            summary: The answer.
            deltas: Its pieces.
        """
        is_whole = summary.finish_reason is not FinishReason.LENGTH
        output = [self.call(call, place) for place, call in enumerate(summary.tool_calls)]
        if summary.answer or not output:
            part = self.part(summary.answer, refuses=self.refuses(summary))
            if part["type"] == "output_text":
                part["annotations"] = self._links.flat_annotations(summary.citations)
                part["logprobs"] = [logprob_json(token) for delta in deltas for token in delta.logprobs]
            output.insert(0, self.message("completed" if is_whole else "incomplete", part))
        shown = self._shown("completed" if is_whole else "incomplete", output)
        if not is_whole:
            shown["incomplete_details"] = {"reason": "max_output_tokens"}
        shown["usage"] = {
            "input_tokens": summary.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": summary.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": summary.prompt_tokens + summary.completion_tokens,
        }
        shown["trivium"] = evidence_json(summary, self._dropped_messages)
        return shown

    def begun(self) -> dict[str, Any]:
        """The answer before anything is written."""
        return self._shown("in_progress", [])

    def message(self, status: str, *parts: dict[str, Any]) -> dict[str, Any]:
        """The item of the text."""
        item = {"id": f"msg_{self._id}", "type": "message", "status": status, "role": "assistant"}
        return {**item, "content": list(parts)}

    def part(self, text: str, *, refuses: bool) -> dict[str, Any]:
        """The text, without its annotations."""
        if refuses:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def call(self, call: ToolCall, place: int) -> dict[str, Any]:
        """The item of a call."""
        item = {"id": f"fc_{place}_{self._id}", "type": "function_call", "status": "completed", "call_id": call.id}
        return {**item, "name": call.name, "arguments": call.arguments}

    def annotations(self, delta: Delta) -> list[dict[str, Any]]:
        """The citations in a piece."""
        return self._links.flat_annotations(delta.citations)

    def refuses(self, found: Sources | Summary) -> bool:
        """Whether the answer is a sentence in the place of the JSON that was asked for: nothing was found."""
        return bool(self._question.sampling.json_schema) and not found.passages and self._question.needs_passages

    def _shown(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        body = self._body
        text = body.text.format if body.text else None
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": body.model,
            "output": output,
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": text.model_dump(by_alias=True, exclude_none=True) if text else {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": [tool.model_dump() for tool in body.tools or ()],
            "top_p": body.top_p,
            "truncation": "disabled",
            "usage": None,
            "trivium": None,
        }


class ResponseEvents:
    """Renders one answer as events, each a name and its data.

    Args:
        response: Renders the whole.
        sources: What the answer rests on.
    """

    def __init__(self, response: ResponseObject, sources: Sources) -> None:
        self._response = response
        self._refuses = response.refuses(sources)
        self._number = 0
        self._item: str | None = None
        self._annotation_count = 0
        self._deltas: list[Delta] = []

    def begin(self) -> Iterator[dict[str, Any]]:
        """The first events."""
        yield self._event("response.created", response=self._response.begun())
        yield self._event("response.in_progress", response=self._response.begun())

    def go_on(self, delta: Delta) -> Iterator[dict[str, Any]]:
        """Events for a piece."""
        self._deltas.append(delta)
        if delta.text or delta.logprobs:
            yield from self._begin_text()
            if self._refuses:
                yield self._text_event("response.refusal.delta", delta=delta.text)
            else:
                logprobs = [logprob_json(token) for token in delta.logprobs]
                yield self._text_event("response.output_text.delta", delta=delta.text, logprobs=logprobs)
        for annotation in self._response.annotations(delta):
            yield self._text_event(
                "response.output_text.annotation.added",
                annotation=annotation,
                annotation_index=self._annotation_count,
            )
            self._annotation_count += 1

    def end(self, summary: Summary) -> Iterator[dict[str, Any]]:
        """The last events."""
        whole = self._response.whole(summary, self._deltas)
        if whole["output"][0]["type"] == "message":
            yield from self._begin_text()
            item = whole["output"][0]
            part = item["content"][0]
            if self._refuses:
                yield self._text_event("response.refusal.done", refusal=part["refusal"])
            else:
                yield self._text_event("response.output_text.done", text=part["text"], logprobs=part["logprobs"])
            yield self._text_event("response.content_part.done", part=part)
            yield self._event("response.output_item.done", output_index=0, item=item)
        for place, item in enumerate(whole["output"]):
            if item["type"] == "function_call":
                where = {"item_id": item["id"], "output_index": place}
                begun = {**item, "status": "in_progress", "arguments": ""}
                yield self._event("response.output_item.added", output_index=place, item=begun)
                yield self._event("response.function_call_arguments.delta", **where, delta=item["arguments"])
                yield self._event(
                    "response.function_call_arguments.done", **where, name=item["name"], arguments=item["arguments"]
                )
                yield self._event("response.output_item.done", output_index=place, item=item)
        yield self._event(f"response.{whole['status']}", response=whole)

    def failed(self, error_body: dict[str, Any]) -> dict[str, Any]:
        """The event for an error in the middle."""
        error = error_body["error"]
        shown = {name: error[name] for name in ("code", "message", "param")}
        return self._event("error", **{**error_body, **shown})

    def _begin_text(self) -> Iterator[dict[str, Any]]:
        if self._item is None:
            item = self._response.message("in_progress")
            self._item = item["id"]
            yield self._event("response.output_item.added", output_index=0, item=item)
            part = self._response.part("", refuses=self._refuses)
            yield self._text_event("response.content_part.added", part=part)

    def _text_event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return self._event(kind, item_id=self._item, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event
