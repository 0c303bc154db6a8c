"""A conversation: the earlier turns that go along with the next question."""

from collections import deque

from trivium_client import Answer, Message

MAX_MESSAGES = 64
"""Most earlier turns that the gateway takes with a question; two of them are a question and its answer."""
MAX_CHARACTERS = 64_000
"""Most characters of all of them together."""


class Conversation:
    """Questions and their answers, as far as the next question may bring them along: what is oldest is forgotten."""

    def __init__(self) -> None:
        self._exchanges: deque[tuple[str, str]] = deque()

    def add(self, question: str, answer: Answer) -> None:
        """Keeps a question and its answer, and forgets what there is no room for any more."""
        said = _without_citations(answer)
        if said:
            self._exchanges.append((question, said))
        while 2 * len(self._exchanges) > MAX_MESSAGES or self._character_count() > MAX_CHARACTERS:
            self._exchanges.popleft()

    def history(self) -> list[Message]:
        """The turns, oldest first."""
        return [
            message
            for question, answer in self._exchanges
            for message in (Message("user", question), Message("assistant", answer))
        ]

    def clear(self) -> None:
        """Begins anew."""
        self._exchanges.clear()

    def _character_count(self) -> int:
        return sum(len(question) + len(answer) for question, answer in self._exchanges)


def _without_citations(answer: Answer) -> str:
    """The answer's text without `[n]`: the numbers are those of its own passages, the next answer has others."""
    text = answer.answer
    for citation in sorted(answer.citations, key=lambda citation: citation.answer_span.start, reverse=True):
        text = text[: citation.answer_span.start].rstrip(" ") + text[citation.answer_span.end :]
    return text.strip()
