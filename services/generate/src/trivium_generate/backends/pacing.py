"""How many tokens go together into one piece of an answer.

A piece costs this process and its caller more time than the token in it costs the engine's front end, so the more
answers are written at a time, the further apart their pieces are, up to what a reader does not notice. An answer that
is written alone comes token by token.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS_PER_ANSWER = 0.0025
_LONGEST_SECONDS = 0.05
# Share of the newest answer in what is known of the time between tokens.
_NEWEST = 0.2


class Pacing:
    """Knows how many answers are being written, and how fast. Belongs to one event loop."""

    def __init__(self) -> None:
        self._writing = 0
        self._token_seconds = 0.0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Counts an answer as being written while the block runs."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1

    def wrote(self, tokens: int, seconds: float) -> None:
        """Notes how long the tokens of an answer after its first took."""
        if tokens < 1:
            return
        newest = seconds / tokens
        self._token_seconds += (newest - self._token_seconds) * (_NEWEST if self._token_seconds else 1)

    def tokens_per_piece(self) -> int:
        """For an answer that begins now, itself counted; 1 until an answer has been written."""
        if not self._token_seconds:
            return 1
        apart = min((self._writing - 1) * _SECONDS_PER_ANSWER, _LONGEST_SECONDS)
        return max(1, int(apart / self._token_seconds))
