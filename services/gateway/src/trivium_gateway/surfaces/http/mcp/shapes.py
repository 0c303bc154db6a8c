"""What the tools take and give. Names are those of the HTTP interface; outputs have what a model has use for."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trivium_gateway.surfaces.http.bodies import JsonBody, at_most
from trivium_gateway.surfaces.http.documents import ReaderNames
from trivium_gateway.surfaces.http.questions import REFUSAL, History, Queries
from trivium_gateway.surfaces.http.settings import RefusalChoice
from trivium_gateway.surfaces.http.shapes.answers import DegradationShape
from trivium_gateway.surfaces.http.shapes.documents import DocumentResultShape
from trivium_gateway.surfaces.http.shapes.passages import CitationShape, SpanShape

DEFAULT_CHARACTERS = 20_000
_COLLAPSE = Field(
    None, description="Whether passages that say the same in nearly the same words are shown once; default true."
)
_COLLECTION = Field(None, description="Collection; default `default`. list_collections names them.")
_FILTER = Field(
    None,
    description="Conditions on documents, all of which must hold, on metadata keys that list_collections names: a "
    "value, a list of values one of which matches, null for absent, or a range with gt, gte, lt, lte over numbers or "
    "dates. "
    '`{"not": {...}}` negates, `{"any": [{...}, ...]}` is or.',
    examples=[{"metadata.year": {"gte": 2020}, "metadata.lang": ["en", "zh"], "not": {"metadata.draft": True}}],
)


_HISTORY = Field(None, description="Earlier turns that it leans on, oldest first.")
_SEARCH_QUERY = Field(description="What was searched for in place of a question that leans on its history, else null.")


class SearchInput(JsonBody):
    """What to look for."""

    query: str = Field(description="The query, in the words of a person; a question is fine.")
    history: History | None = _HISTORY
    queries: Queries | None = Field(
        None, description="What to search for beside it, for example in other words; at most 10."
    )
    collection: str | None = _COLLECTION
    top_n: int | None = Field(None, description="Most passages, from 1 to 100; default 5.")
    filter: dict[str, Any] | None = _FILTER
    collapse: bool | None = _COLLAPSE


class AnswerInput(JsonBody):
    """A question."""

    question: str = Field(description="The question, complete in itself unless history is given.")
    history: History | None = _HISTORY
    queries: Queries | None = Field(
        None, description="What to search for beside it, for example its parts; at most 10."
    )
    collection: str | None = _COLLECTION
    top_n: int | None = Field(None, description="Most passages to answer from, from 1 to 100; default 5.")
    filter: dict[str, Any] | None = _FILTER
    collapse: bool | None = _COLLAPSE
    refusal: RefusalChoice | None = REFUSAL


class ListDocumentsInput(JsonBody):
    """Which documents."""

    collection: str | None = _COLLECTION
    page_size: int | None = Field(None, description="Most documents, from 1 to 1000; default 50.")
    page_token: str | None = Field(None, description="Where to go on: next_page_token of the page before.")


class ReadDocumentInput(JsonBody):
    """Which part of which document."""

    id: str = Field(description="The document's id, as search and list_documents give it.")
    collection: str | None = _COLLECTION
    start: int | None = Field(None, ge=0, description="First character to read, from 0; default 0.")
    max_characters: int | None = Field(
        None, ge=1, le=100_000, description=f"Most characters to read, up to 100000; default {DEFAULT_CHARACTERS}."
    )


class IngestedDocument(JsonBody):
    """A document to add or replace."""

    text: str = Field(description="Its text, plain or Markdown.")
    id: str | None = Field(None, description="Its id; a document with that id is replaced. Default is made of the uri.")
    title: str | None = Field(None, description="Its title.")
    uri: str | None = Field(None, description="Where it came from, for citations.")
    metadata: dict[str, Any] | None = Field(
        None, description="Facts to filter by: texts, dates, numbers, booleans, lists, objects."
    )
    readers: ReaderNames | None = Field(
        None, description="Who may read it: user:NAME, group:NAME, or * for everyone. Default is who could before."
    )


class IngestInput(JsonBody):
    """Documents to add or replace."""

    documents: Annotated[list[IngestedDocument], *at_most(100, "TOO_MANY_DOCUMENTS")] = Field(
        min_length=1, description="1 to 100 documents."
    )
    collection: str | None = _COLLECTION


class ListCollectionsInput(JsonBody):
    """Nothing."""


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FoundPassage(_Output):
    """A piece of a document."""

    index: int = Field(description="Its number in the text, from 1.")
    document_id: str
    title: str
    uri: str
    text: str
    score: float = Field(description="Relevance, from 0 to 1.")
    duplicates: list[str] = Field(description="Other documents that say the same in nearly the same words.")
    heading: list[str] = Field(description="The headings that it stands under, outermost first.")
    page: int | None = Field(description="Its page, from 1; null in a document without pages.")


class SearchOutput(_Output):
    """The passages, best first."""

    passages: list[FoundPassage]
    search_query: str | None = _SEARCH_QUERY
    degraded: list[DegradationShape] = Field(description="Stages that were replaced by the next best means.")


class AnswerOutput(_Output):
    """An answer."""

    answer: str = Field(description="`[n]` cites the source with index n.")
    answerable: bool = Field(description="Whether the documents can answer the question.")
    confidence: float | None = Field(
        description="How likely it is that the passages state the answer; null if nothing tells."
    )
    reason: Literal["no_passages", "weak_evidence", "not_stated"] | None = Field(
        description="Why not, if they cannot: nothing was found; hardly about it; about it, without stating the answer."
    )
    refused: bool = Field(description="Whether the answer is a refusal.")
    citations: list[CitationShape] = Field(
        description="Which sentence each citation stands for, how surely its passage supports it, and where."
    )
    unsupported: list[SpanShape] = Field(description="Sentences without a citation that no passage supports.")
    sources: list[FoundPassage] = Field(description="The passages that the answer cites.")
    search_query: str | None = _SEARCH_QUERY
    degraded: list[DegradationShape] = Field(description="Stages that were replaced by the next best means.")


class ListedDocument(_Output):
    """A stored document, without its text."""

    id: str
    title: str
    uri: str
    metadata: dict[str, Any]


class ListDocumentsOutput(_Output):
    """A page of documents."""

    documents: list[ListedDocument]
    next_page_token: str = Field(description="Empty after the last page.")


class ReadDocumentOutput(ListedDocument):
    """A part of a document."""

    text: str
    start: int = Field(description="First character of the text in the document.")
    total_characters: int
    next_start: int | None = Field(description="Where to go on; null at the document's end.")


class IngestOutput(_Output):
    """One outcome per document, in order."""

    documents: list[DocumentResultShape]


class ListedCollection(_Output):
    """A collection."""

    name: str
    state: Literal["ready", "opening", "damaged", "unavailable"] = Field(description="`ready` if it can be used.")
    chunk_count: int | None = Field(description="Pieces that its documents are cut into; null if nobody can tell.")
    metadata_keys: list[str] = Field(description="What a filter can use, as `metadata.KEY`.")


class ListCollectionsOutput(_Output):
    """All collections, by name."""

    collections: list[ListedCollection]
