"""Late chunking: what a request for the chunks of texts may be."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeGuard

from trivium_encoders import PartedText, Role
from trivium_model_service.texts import is_blank
from trivium_serving.errors import FailedPrecondition, InvalidField, TooLarge

from trivium_embed.backends.base import EmbeddingBackend, LateChunkingBackend

_REASON = "LATE_CHUNKING_NOT_SUPPORTED"


def may_chunk_late(backend: EmbeddingBackend) -> TypeGuard[LateChunkingBackend]:
    """Whether a backend gives vectors of the parts of a text that it reads whole."""
    return isinstance(backend, LateChunkingBackend) and backend.info.pools_parts


def late_chunking_backend(backend: EmbeddingBackend) -> LateChunkingBackend:
    """A backend as one that gives vectors of parts.

    Raises:
        FailedPrecondition: It does not (LATE_CHUNKING_NOT_SUPPORTED).
    """
    if may_chunk_late(backend):
        return backend
    raise FailedPrecondition(
        f"{backend.info.name} has no vectors of the parts of a text that it reads whole: that takes a model that runs "
        "here and whose vectors are the means of those of its tokens. Run one (docs/models.md), or ask without chunks.",
        reason=_REASON,
    )


def check_chunks(texts: Sequence[PartedText], role: Role, max_chunks: int, *, truncate: bool) -> None:
    """Accepts texts with their chunks, or says which rule they break.

    Raises:
        InvalidField, TooLarge: They break one; the field names it.
    """
    if role is not Role.DOCUMENT:
        raise InvalidField("role", "chunks are those of documents; send EMBED_ROLE_DOCUMENT.")
    if truncate:
        raise InvalidField("truncate", "Nothing is cut off a text that is read in stretches; leave truncate out.")
    if (count := sum(len(text.parts) for text in texts)) > max_chunks:
        raise TooLarge(
            f"chunks has {count} spans, and a call takes {max_chunks}. Send the texts in several calls.",
            reason="TOO_MANY_TEXTS",
            field="chunks",
        )
    for index, text in enumerate(texts):
        field, parts = f"chunks[{index}].spans", text.parts
        if not parts:
            raise InvalidField(field, f"{field} is empty; send at least one for each text.")
        if any(not text.heading <= start < end <= len(text.text) for start, end in parts):
            raise InvalidField(
                field,
                f"{field} has one that is empty or lies outside of the text behind its heading, from {text.heading} to "
                f"{len(text.text)}. Spans count code points.",
            )
        if any(before[0] > after[0] for before, after in pairwise(parts)):
            raise InvalidField(field, f"{field} are not in the order of their starts; sort them.")
        if any(is_blank(text.text[start:end]) for start, end in parts):
            raise InvalidField(field, f"{field} has a blank one; leave it out of the call.", reason="BLANK_TEXT")
