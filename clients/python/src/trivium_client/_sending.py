"""Reads documents one after the other and sends them: what cannot be read has a result of its own, in its place."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from trivium_client._client import Trivium
from trivium_client._documents import DocumentError, DocumentResult, NewDocument
from trivium_client._files import Unreadable

__all__ = ["Source", "ingest_each"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from.

    Attributes:
        name: What people call it: the file, and the line in it.
        read: Reads it. Raises Unreadable.
    """

    name: str
    read: Callable[[], NewDocument]


def ingest_each(
    trivium: Trivium, sources: Iterable[Source], *, collection: str
) -> Iterator[tuple[str, DocumentResult]]:
    """Sends documents, and gives the name and the result of each, in order.

    Args:
        trivium: Where to.
        sources: What to read. Each is read when it is its turn.
        collection: Its name; empty for `default`.

    Raises:
        TriviumError: The gateway cannot be reached, or refuses the call.
    """
    waiting: deque[tuple[str, DocumentResult | None]] = deque()  # in order; with a result where none will be sent

    def read() -> Iterator[NewDocument]:
        for source in sources:
            try:
                document = source.read()
            except Unreadable as problem:
                error = DocumentError(problem.reason, problem.message)
                waiting.append((source.name, DocumentResult("", "failed", 0, error)))
            else:
                waiting.append((source.name, None))
                yield document

    def refused() -> Iterator[tuple[str, DocumentResult]]:
        while waiting and (result := waiting[0][1]) is not None:
            yield waiting.popleft()[0], result

    for result in trivium.ingest_stream(read(), collection=collection):
        yield from refused()
        yield waiting.popleft()[0], result
    yield from refused()
