"""Documents, and what became of them."""

from typing import Any, Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class DocumentErrorShape(Shape):
    """Why a document failed."""

    reason: str
    message: str


class PartResultShape(Shape):
    """What became of a file in a mail or an archive."""

    id: str
    status: Literal["indexed", "updated", "unchanged", "failed"]
    chunks: int
    error: DocumentErrorShape | None = Field(None, description="Only of a document that failed.")
    content_hash: str | None = Field(None, description="Of what is stored now; missing if it failed.")


class DocumentResultShape(PartResultShape):
    """What became of a document."""

    parts: list[PartResultShape] | None = Field(
        None, description="Only of a mail or an archive with files in it: what became of these."
    )


class AddDocumentsResponse(Shape):
    """One outcome per document, in order."""

    documents: list[DocumentResultShape]


class ListedDocumentShape(Shape):
    """A stored document, without its text."""

    id: str
    container: str | None = Field(description="The document that it is in, a mail or an archive; else null.")
    title: str
    uri: str
    metadata: dict[str, Any]
    chunk_count: int
    content_hash: str = Field(description="Stays the same as long as nothing of the document changes.")
    readers: list[str] | None = Field(description="Who may read it; null for who may not add documents.")


class FileShape(Shape):
    """The file that a document came in."""

    format: str = Field(description="What Trivium calls it, such as `pdf`.")
    media_type: str
    bytes: int


class LineBoxShape(Shape):
    """Where a line stands on its page, in points from the upper left corner of the page as it is shown."""

    start: int = Field(description="Where the line begins in `text`; it goes as far as the next one.")
    page: int = Field(description="From 1.")
    x0: float
    y0: float
    x1: float
    y1: float


class DocumentResponse(ListedDocumentShape):
    """A stored document."""

    text: str
    file: FileShape | None = Field(description="The file that it came in, at /v1/files; null if it is not kept.")
    boxes: list[LineBoxShape] | None = Field(None, description="With `include=boxes`; empty for what has no pages.")


class ListDocumentsResponse(Shape):
    """A page of documents."""

    documents: list[ListedDocumentShape]
    next_page_token: str = Field(description="Empty after the last page.")


class ReadersResponse(Shape):
    """A document, and who may read it now."""

    id: str
    readers: list[str]


class DeleteDocumentResponse(Shape):
    """The id, or nothing if there was no such document."""

    deleted_ids: list[str]
