"""A Hugging Face tokenizer and its chat template, as prompt building needs them."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from trivium_generate.answer import Role, Turn
from trivium_generate.backends.reasoning import OPENING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_generate.answer import Tool

_logger = logging.getLogger(__name__)

_QUESTION = (Turn(Role.USER, "u"),)
_PROBE = (Turn(Role.SYSTEM, "probe"), Turn(Role.USER, "u"))


class TokenizerChat:
    """Conversations in the form that a model was trained on.

    A model without a chat template gets the turns as plain text. A template that refuses or overlooks a
    system message gets the instructions at the head of the first message.

    Args:
        tokenizer: A `transformers` tokenizer, or one that vLLM made in its likeness. Used by one thread at a time.

    Attributes:
        special_tokens: Texts that it reads as one special token.
        begins_thinking: Whether the template opens the model's thinking before the model writes anything.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._has_template = bool(getattr(tokenizer, "chat_template", None))
        self._has_system = self._has_template and self._template_accepts(_PROBE)
        self.special_tokens = tuple(map(str, tokenizer.all_special_tokens))
        self.begins_thinking = self._has_template and self._template_opens_thinking()

    def encode(self, turns: Sequence[Turn], tools: Sequence[Tool] = ()) -> list[int]:
        """The tokens of a conversation and of the tools that may be called, ready for the model to go on."""
        if not self._has_template:
            return list(self._tokenizer.encode("\n\n".join(turn.content for turn in turns)))
        # The template writes the special tokens that belong at the beginning itself.
        return list(self._tokenizer.encode(self._render(turns, tools), add_special_tokens=False))

    def count(self, text: str) -> int:
        """How many tokens a text has on its own."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def _render(self, turns: Sequence[Turn], tools: Sequence[Tool]) -> str:
        if not self._has_system and len(turns) > 1 and turns[0].role is Role.SYSTEM:
            first = Turn(turns[1].role, f"{turns[0].content}\n\n{turns[1].content}")
            turns = [first, *turns[2:]]
        return self._apply(turns, tools)

    def _apply(self, turns: Sequence[Turn], tools: Sequence[Tool] = ()) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            [_message(turn) for turn in turns],
            tools=[_function(tool) for tool in tools] or None,
            tokenize=False,
            add_generation_prompt=True,
        )
        return rendered

    def _template_opens_thinking(self) -> bool:
        from jinja2 import TemplateError  # comes with transformers

        try:
            return self._apply(_QUESTION).rstrip().endswith(OPENING)
        except TemplateError:  # said again with each request
            return False

    def _template_accepts(self, turns: Sequence[Turn]) -> bool:
        from jinja2 import TemplateError  # comes with transformers

        try:
            accepted, problem = turns[0].content in self._apply(turns), "it overlooks it"
        except TemplateError as error:
            accepted, problem = False, str(error)
        if not accepted:
            _logger.info("the chat template takes no system message (%s); instructions go into the first one", problem)
        return accepted


def _message(turn: Turn) -> dict[str, Any]:
    """A turn as templates expect it."""
    message: dict[str, Any] = {"role": turn.role.value, "content": turn.content}
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "type": "function",
                "id": call.id,
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    return message


def _function(tool: Tool) -> dict[str, Any]:
    """A tool as templates expect it."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}
