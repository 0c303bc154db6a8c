"""A document on its way into a collection, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from trivium_serving.errors import TriviumError

from trivium_gateway.ingestion.cutting import CutDocument
from trivium_gateway.ingestion.preparation import PreparedDocument
from trivium_gateway.library.documents import DocumentResult, DocumentStatus, NewDocument

__all__ = ["Incoming", "at_most", "results_of"]


@dataclass(slots=True)
class Incoming:
    """A document on its way.

    Attributes:
        id: Its id.
        document: As it arrived.
        container: Id of the document that it is in; empty if it is in none.
        prepared: Once it is parsed.
        cut: Once it is cut; stays None if it is unchanged.
        status: The outcome, unless `error` is set.
        chunk_count: Number of its chunks.
        token_count: Tokens that are embedded for it.
        content_hash: Of what is stored of it.
        error: Why it failed.
        data: The file that it came in, until it is written; None if it came as text.
        is_repermitted: Whether nothing of it is changed but who may read it.
        is_carried: Whether it was exported: what is in it comes as documents of their own.
    """

    id: str
    document: NewDocument
    container: str = ""
    prepared: PreparedDocument | None = None
    cut: CutDocument | None = None
    status: DocumentStatus = DocumentStatus.INDEXED
    chunk_count: int = 0
    token_count: int = 0
    content_hash: str = ""
    error: TriviumError | None = None
    data: bytes | None = None
    is_repermitted: bool = False
    is_carried: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether its text has to be written."""
        return self.error is None and not self.is_repermitted and self.status is not DocumentStatus.UNCHANGED

    def result(self, parts: Sequence["Incoming"] = ()) -> DocumentResult:
        """Give the outcome, with those of what is in the document."""
        if self.error is not None:
            # What cannot be an id may not even be text.
            printable = self.id.encode(errors="replace").decode()
            return DocumentResult(printable, DocumentStatus.FAILED, 0, self.error)
        return DocumentResult(
            self.id,
            self.status,
            self.chunk_count,
            token_count=self.token_count,
            content_hash=self.content_hash,
            parts=tuple(part.result() for part in parts),
        )


def at_most(documents: Sequence[Incoming], count: int) -> Sequence[Incoming]:
    """Give the first documents, up to so many, each with what is in it."""
    for place, incoming in enumerate(documents):
        if not incoming.container:
            if not count:
                return documents[:place]
            count -= 1
    return documents


def results_of(documents: Sequence[Incoming]) -> list[DocumentResult]:
    """Give a result for each document that was sent, with those of what is in it, which stand behind it."""
    together: list[tuple[Incoming, list[Incoming]]] = []
    for incoming in documents:
        if incoming.container:
            together[-1][1].append(incoming)
        else:
            together.append((incoming, []))
    return [incoming.result(parts) for incoming, parts in together]
