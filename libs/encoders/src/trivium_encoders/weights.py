"""Whether a model's files have all the weights that its transformer takes."""

from collections.abc import Mapping
from typing import Any


def lacking_weights(loading_info: Mapping[str, Any], *, with_pooler: bool) -> str:
    """Names weights that a model's files lack; transformers fills them with random numbers and only logs it.

    It happens when a model was trained with code of its own, which names its weights differently.

    Args:
        loading_info: What transformers says of a loaded model, with `output_loading_info`.
        with_pooler: Whether BERT's pooler is used. It is for classification; token embeddings do without.

    Returns:
        A few of the names; empty when nothing is lacking.
    """
    missing = sorted(name for name in loading_info["missing_keys"] if with_pooler or not name.startswith("pooler."))
    return ", ".join(missing[:2]) + (f" and {len(missing) - 2} more" if len(missing) > 2 else "")
