"""The load that every system gets, and what is measured on the client's side of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    # From the number of a prompt and the number of tokens to write: texts as they come, then the count of tokens.
    Stream = Callable[[int, int], AsyncGenerator[str | int, None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer.

    Attributes:
        first_ms: From the call to the first text.
        total_ms: From the call to the end.
        longest_gap_ms: The longest wait between two texts.
        pieces: How many pieces the text came in.
        tokens: How many tokens were written.
    """

    first_ms: float
    total_ms: float
    longest_gap_ms: float
    pieces: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Some answers, and how long all of them took."""

    answers: tuple[Answered, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Measured:
        """The opposite of `to_json`."""
        return cls(tuple(Answered(**answer) for answer in values["answers"]), values["seconds"])


async def measure(stream: Stream, prompts: Sequence[int], tokens: int, streams: int) -> Measured:
    """Asks for one answer to each prompt.

    Args:
        stream: What answers.
        prompts: Their numbers.
        tokens: Length of each answer.
        streams: How many are asked for at a time.
    """
    waiting = iter(prompts)
    answers: list[Answered] = []

    async def ask() -> None:
        for prompt in waiting:
            answers.append(await _answer(stream, prompt, tokens))  # noqa: PERF401  # others append meanwhile

    begin = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(streams)))
    return Measured(tuple(answers), time.perf_counter() - begin)


async def _answer(stream: Stream, prompt: int, tokens: int) -> Answered:
    begin = last = time.perf_counter()
    first = gap = 0.0
    pieces = written = 0
    async with aclosing(stream(prompt, tokens)) as events:
        async for event in events:
            now = time.perf_counter()
            if isinstance(event, int):
                written = event
            elif event:
                if pieces:
                    gap = max(gap, now - last)
                else:
                    first = now - begin
                pieces += 1
                last = now
    if written != tokens:
        raise RuntimeError(f"asked for {tokens} tokens and got {written}")
    return Answered(first * 1e3, (time.perf_counter() - begin) * 1e3, gap * 1e3, pieces, written)
