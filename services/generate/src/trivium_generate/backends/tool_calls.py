"""Puts the calls of tools together that a model writes in pieces."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from trivium_serving.errors import Unavailable

from trivium_generate.answer import ToolCall


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of a call.

    Attributes:
        index: Which call of the answer it belongs to; None for the one before, or, with a name, for a new one.
        id: The call's id, once.
        name: The tool's name, once.
        arguments: More of the arguments' JSON text.
    """

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class CallAssembly:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: dict[int, CallPiece] = {}
        self._last = -1

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, piece: CallPiece) -> None:
        """Adds a piece."""
        if piece.index is not None:
            self._last = piece.index
        elif piece.name:
            self._last += 1
        known = self._calls.get(self._last, CallPiece(self._last))
        self._calls[self._last] = CallPiece(
            self._last, known.id or piece.id, known.name or piece.name, known.arguments + piece.arguments
        )

    def whole(self) -> tuple[ToolCall, ...]:
        """All calls, in the order in which they began. One without an id of its own gets one.

        Raises:
            Unavailable: One has no name, or arguments that are no JSON object.
        """
        ids: set[str] = set()
        calls = []
        for call in self._calls.values():
            arguments = call.arguments.strip() or "{}"
            if not call.name or not _is_object(arguments):
                raise Unavailable(
                    f"The model's call of the tool {call.name!r} cannot be read: its arguments are no JSON object. "
                    "Ask again."
                )
            call_id = call.id if call.id not in ids else ""
            calls.append(ToolCall(call_id or f"call_{uuid.uuid4().hex[:24]}", call.name, arguments))
            ids.add(calls[-1].id)
        return tuple(calls)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
