"""Refuses what would otherwise be silently ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_serving.errors import Unimplemented

if TYPE_CHECKING:
    from collections.abc import Set

    from google.protobuf.message import Message


def unsupported(what: str) -> Unimplemented:
    """The error for a part of Qdrant's API that is not served here.

    Args:
        what: The part, as the subject of a sentence.
    """
    return Unimplemented(
        f"{what} is not supported by the embedded engine. Do without, or point QDRANT_URL at a Qdrant server.",
        reason="NOT_SUPPORTED",
    )


def allow_only(message: Message, fields: Set[str]) -> None:
    """Checks that a message sets no other fields than these.

    Raises:
        Unimplemented: It does; the text names the first one.
    """
    for field, _ in message.ListFields():
        if field.name not in fields:
            raise unsupported(f"`{field.name}` of {message.DESCRIPTOR.name}")
