"""Prompts of a model whose tokenizer is not here, as prompt building needs them: tokens are estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_model_apis.token_estimates import token_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_generate.answer import Tool, Turn

_TOKENS_PER_TURN = 4


class EstimatedChat:
    """Conversations of a model whose tokenizer is not here: tokens are estimated."""

    special_tokens = ()

    def encode(self, turns: Sequence[Turn], tools: Sequence[Tool]) -> list[int]:
        """As many zeros as there are tokens, estimated."""
        calls = [call.arguments for turn in turns for call in turn.tool_calls]
        texts = [text for tool in tools for text in (tool.description, tool.parameters)]
        said = sum(token_count(text) for text in (*(turn.content for turn in turns), *calls, *texts))
        return [0] * (said + _TOKENS_PER_TURN * (len(turns) + len(calls) + len(tools)))

    def count(self, text: str) -> int:
        """About how many tokens a text has."""
        return token_count(text)
