"""The ids of models: what a client names to be answered by Trivium."""

from trivium_serving.errors import NotFound

MODEL = "trivium"
"""Answers from the default collection, and stands for the embedding model and the reranker as well."""
MODEL_ALONE = "trivium-model"
"""Puts a conversation to the language model alone, without any document."""
COLLECTION_PREFIX = f"{MODEL}/"
"""Begins the ids that answer from another collection."""


def collection_of_model(model: str) -> str:
    """The collection that the id of an answering model names; empty for `trivium` itself, and where none is searched.

    Raises:
        NotFound: There is no such model.
    """
    if model == MODEL_ALONE:
        return ""
    if model != MODEL and not (model.startswith(COLLECTION_PREFIX) and len(model) > len(COLLECTION_PREFIX)):
        raise no_model(model)
    return model[len(COLLECTION_PREFIX) :]


def no_model(model: str) -> NotFound:
    """The error for a model that does not exist."""
    return NotFound(
        f"There is no model {model[:80]!r}; there is {MODEL!r}. GET /v1/models lists all.", reason="MODEL_NOT_FOUND"
    )
