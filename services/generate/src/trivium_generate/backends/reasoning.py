"""Leaves out what a model thinks aloud before its answer.

Servers that know a model's marks of thinking send it in a field of its own. Others send it as part of the text, between
`<think>` and `</think>`, always at its beginning.
"""

from __future__ import annotations

_OPENING = "<think>"
_CLOSING = "</think>"


class ThoughtFilter:
    """Takes the thinking out of one answer, however it is cut into pieces."""

    def __init__(self) -> None:
        self._waiting = ""
        self._is_thinking = False
        self._has_begun = False

    def feed(self, piece: str) -> str:
        """What of a piece, and of those before it, belongs to the answer."""
        if self._has_begun:
            return piece
        self._waiting += piece
        if not self._is_thinking:
            beginning = self._waiting.lstrip()
            if not beginning.startswith(_OPENING):
                return "" if _OPENING.startswith(beginning) else self.finish()
            self._is_thinking, self._waiting = True, beginning.removeprefix(_OPENING)
        _, closing, after = self._waiting.partition(_CLOSING)
        if not closing:
            self._waiting = self._waiting[-len(_CLOSING) :]
            return ""
        self._waiting = after.lstrip()
        self._has_begun = bool(self._waiting)
        self._is_thinking = not self._has_begun
        if not self._has_begun:
            self._waiting = _CLOSING  # white space may still come
        return self._waiting if self._has_begun else ""

    def finish(self) -> str:
        """What has waited and belongs to the answer after all."""
        if self._has_begun or self._is_thinking:
            return ""
        self._has_begun = True
        return self._waiting
