"""How long the prompts of a model behind an API may be, and whether its server cuts them in silence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trivium_catalog import context_tokens
from trivium_model_apis.token_estimates import least_token_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_generate.answer import Turn
    from trivium_generate.backends.chat_provider import ApiOptions, Checked

_logger = logging.getLogger(__name__)

# Shorter prompts are cut by nobody, and their tokens too few to be counted on.
_LEAST_CUT_TOKENS = 500
# A context that nobody knows is taken for this long: most models have more, and local servers cut silently at less.
_UNKNOWN_TOKENS = 8192


class ContextWindow:
    """What is known of the context of one model.

    Attributes:
        tokens: How long it is; 0 before anybody was asked.
        is_assumed: Whether that is a guess at what a server of somebody's own takes, which may say more later.
        concern: What is wrong with it, for the operator; empty if nothing is known to be.

    Args:
        options: Which model.
    """

    def __init__(self, options: ApiOptions) -> None:
        self._options = options
        self.tokens = 0
        self.is_assumed = False
        self.concern = ""

    def take(self, found: Checked) -> None:
        """Decides by the setting, else by the API's word, else by the catalog's."""
        known = self._options.context_tokens or (0 if found.is_context_assumed else found.context_tokens)
        tokens = known or found.context_tokens or context_tokens(self._options.model) or _UNKNOWN_TOKENS
        self.is_assumed = not known and bool(self._options.url)
        if self.is_assumed and tokens != self.tokens:
            _logger.warning(
                "the context of %s is not known; %d tokens are used. Set TRIVIUM_GENERATE_CONTEXT_TOKENS.",
                self._options.model,
                tokens,
            )
        self.tokens = tokens

    def looks_cut(self, turns: Sequence[Turn], read_tokens: int | None) -> bool:
        """Whether the API has read fewer tokens than any tokenizer would make of a prompt: it was cut in silence."""
        least = sum(least_token_count(turn.content) for turn in turns)
        if read_tokens is None or least < _LEAST_CUT_TOKENS or read_tokens >= least:
            return False
        problem = (
            f"its API counted {read_tokens} tokens of a prompt of at least {least}, so it cuts prompts; set its "
            "context higher, or TRIVIUM_GENERATE_CONTEXT_TOKENS to what it serves"
        )
        if not self.concern:
            _logger.warning("model %s: %s", self._options.model, problem)
        self.concern = problem
        return True
