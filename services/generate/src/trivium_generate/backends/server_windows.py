"""How much servers of one's own really read of a prompt: what they do not say in their list of models.

llama.cpp and Ollama serve a model with a context of their own choosing, mostly far below the model's, and Ollama cuts
what is longer without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivium_model_apis.calls import ApiFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LLAMA_CPP, _OLLAMA = "llamacpp", "library"
_OLLAMA_TOKENS = 4096  # its default; with much video memory it takes more, which it says once the model is loaded


async def served_context(get: Callable[[str], Awaitable[Any]], owner: str, model: str) -> tuple[int, bool]:
    """The context that a server gives a model.

    Args:
        get: Asks for a path from the server's root; raises ApiFailure.
        owner: Whom the server's list of models names as the model's owner, which tells servers apart.
        model: The model's name.

    Returns:
        Tokens, 0 if it does not say; and whether they are only what such servers take unless told otherwise.
    """
    try:
        if owner == _LLAMA_CPP:
            return _positive((await get("/props")), "default_generation_settings", "n_ctx"), False
        if owner == _OLLAMA:
            loaded = (await get("/api/ps")).get("models") or ()
            names = {model, f"{model}:latest"}
            found = [entry for entry in loaded if entry.get("model") in names or entry.get("name") in names]
            tokens = _positive(found[0], "context_length") if found else 0
            return (tokens, False) if tokens else (_OLLAMA_TOKENS, True)
    except (ApiFailure, AttributeError, TypeError):  # an older one, or another program
        return 0, False
    return 0, False


def _positive(value: Any, *path: str) -> int:
    """A number above 0 within JSON objects; 0 if there is none."""
    for key in path:
        value = value.get(key)
    return value if isinstance(value, int) and value > 0 else 0
