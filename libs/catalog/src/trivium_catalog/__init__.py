"""The models that Trivium knows, as data: what they are good for, their limits, prompts and licences.

The encoders take from it the prompts that a model's own files lack; `trivium models` and `docs/models.md` show it. It
needs nothing but the standard library.
"""

from trivium_catalog.entries import CatalogEntry, Prompts, catalog, context_tokens, least_dimension, missing_prompts

__all__ = ["CatalogEntry", "Prompts", "catalog", "context_tokens", "least_dimension", "missing_prompts"]
