"""Leaves out what a model thinks aloud before its answer.

Servers that know a model's marks of thinking send it in a field of its own. Others send it as part of the text, and so
does vLLM's engine: between `<think>` and `</think>`, always at its beginning. Some chat templates write the opening
mark themselves, at the end of the prompt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition

from trivium_generate.answer import FinishReason
from trivium_generate.backends.base import Beginning, Calling, Ending, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivium_generate.backends.base import Output

OPENING = "<think>"
_CLOSING = "</think>"


class ThoughtFilter:
    """Takes the thinking out of one answer, however it is cut into pieces.

    Args:
        is_thinking: Whether the prompt has opened the thinking already.
    """

    def __init__(self, is_thinking: bool = False) -> None:
        self._waiting = ""
        self.is_thinking = self.has_thought = is_thinking
        self.has_begun = False

    def feed(self, piece: str) -> str:
        """What of a piece, and of those before it, belongs to the answer."""
        if self.has_begun:
            return piece
        self._waiting += piece
        if not self.is_thinking:
            beginning = self._waiting.lstrip()
            if not beginning.startswith(OPENING):
                return "" if OPENING.startswith(beginning) else self.finish()
            self.is_thinking = self.has_thought = True
            self._waiting = beginning.removeprefix(OPENING)
        _, closing, after = self._waiting.partition(_CLOSING)
        if not closing:
            self._waiting = self._waiting[-len(_CLOSING) :]
            return ""
        self._waiting = after.lstrip()
        self.has_begun = bool(self._waiting)
        self.is_thinking = not self.has_begun
        if not self.has_begun:
            self._waiting = _CLOSING  # white space may still come
        return self._waiting if self.has_begun else ""

    def finish(self) -> str:
        """What has waited and belongs to the answer after all."""
        if self.has_begun or self.is_thinking:
            return ""
        self.has_begun = True
        return self._waiting


class Thoughtless:
    """A model's outputs without its thinking, whose tokens count all the same.

    Nothing inside the answer is touched, be it prose or JSON.
    """

    def __init__(self) -> None:
        self._thoughts = ThoughtFilter()
        self._held = Piece("", 0)
        self._is_empty = True

    def of(self, output: Output) -> Iterator[Output]:
        """What of an output, and of those before it, goes on.

        Raises:
            FailedPrecondition: It is the last one, and nothing is left (reason ANSWER_EMPTY).
        """
        if isinstance(output, Piece) and not output.tool_calls:
            yield from self._of_text(output)
            return
        if isinstance(output, Beginning):
            self._thoughts = ThoughtFilter(output.is_thinking)
        else:
            # Nothing comes after what waits but calls of tools, or the end.
            rest, self._held = replace(self._held, text=self._thoughts.finish()), Piece("", 0)
            self._is_empty = self._is_empty and not rest.text and not isinstance(output, Calling | Piece)
            if self._is_empty and isinstance(output, Ending):
                _check_empty(output, self._thoughts)
            if rest.text or rest.logprobs:
                yield rest
        yield output

    def _of_text(self, piece: Piece) -> Iterator[Piece]:
        text = self._thoughts.feed(piece.text)
        if self._thoughts.has_begun:
            yield _joined(self._held, replace(piece, text=text)) if self._is_empty else piece
            self._is_empty, self._held = self._is_empty and not text, Piece("", 0)
        elif not self._thoughts.is_thinking:
            self._held = _joined(self._held, replace(piece, text=""))
        else:
            self._held = Piece("", 0)


def _joined(first: Piece, second: Piece) -> Piece:
    return Piece(first.text + second.text, first.token_count + second.token_count, first.logprobs + second.logprobs)


def _check_empty(ending: Ending, thoughts: ThoughtFilter) -> None:
    """Refuses the ending of an answer of which there is nothing, if thinking is what became of it."""
    if ending.reason is FinishReason.LENGTH:
        raise FailedPrecondition(
            f"The model used up the {ending.completion_tokens} tokens of its answer before it wrote any of it: "
            "thinking counts. Ask for more with sampling.max_tokens, or set TRIVIUM_GENERATE_DEFAULT_MAX_TOKENS.",
            reason="ANSWER_EMPTY",
        )
    if thoughts.has_thought:
        raise FailedPrecondition(
            "The model thought and then wrote no answer. Ask again, or in mode EXTRACTIVE.", reason="ANSWER_EMPTY"
        )
