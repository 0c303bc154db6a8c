"""What a person asks, and how it is to be answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.limits import check_unicode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.limits import GatewayLimits


class Role(StrEnum):
    """Who says a message of a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class AnswerMode(StrEnum):
    """By which means an answer is written."""

    AUTO = "auto"
    """The language model if it can, else the next best means."""
    MODEL = "model"
    """The language model, or an error."""
    EXTRACTIVE = "extractive"
    """The sentences of the passages that answer best."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


def check_history(history: Sequence[Message], limits: GatewayLimits) -> None:
    """Refuses a history that is too long, or has an empty turn.

    Raises:
        InvalidField: A turn is blank, or cannot be written in UTF-8.
        TooLarge: There are too many turns, or too much text (HISTORY_TOO_LONG).
    """
    if len(history) > limits.max_history_messages:
        raise TooLarge(
            f"The history has {len(history)} messages; at most {limits.max_history_messages} are allowed. "
            "Send the latest ones.",
            reason="HISTORY_TOO_LONG",
            field="history",
        )
    characters = sum(len(turn.content) for turn in history)
    if characters > limits.max_history_characters:
        raise TooLarge(
            f"The history has {characters} characters; at most {limits.max_history_characters} are allowed. "
            "Send the latest messages.",
            reason="HISTORY_TOO_LONG",
            field="history",
        )
    for position, turn in enumerate(history):
        field = f"history[{position}].content"
        check_unicode(field, turn.content)
        if not turn.content.strip():
            raise InvalidField(field, f"{field} is blank. Leave the message out.")
