"""Collections and their settings."""

from typing import Literal

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class SettingsVersionShape(Shape):
    """Settings of a collection as they were from some moment on."""

    number: int = Field(description="Counts the changes, from 1; 0 for what was before the first.")
    made_at: str | None = Field(description="When, RFC 3339; null for what was before the first change.")
    note: str = Field(description="Why, in the words of their author.")
    values: dict[str, float | str] = Field(description="What is set; all else is left to the gateway.")


class IndexBesideShape(Shape):
    """An index of a collection beside the one that answers."""

    role: Literal["next", "previous", "left"] = Field(
        description="next is filled, to take the other's place; previous answered before, and can again; left was gone "
        "back from, and what it alone has is brought back by a reindexing."
    )
    model: str
    model_fingerprint: str


class FailedDocumentShape(Shape):
    """A document that an index cannot take."""

    id: str
    error: str


class ComparisonShape(Shape):
    """How two indexes answer the same questions, by nDCG@10 of the documents that answer them."""

    model_before: str
    model_after: str
    made_count: int = Field(description="Questions that were made of the collection's own documents.")
    labelled_count: int = Field(description="Questions whose documents people have named in feedback.")
    before: float
    after: float
    low: float = Field(description="Lower end of the 95% interval of the difference.")
    high: float = Field(description="Upper end of it.")
    failed_count: int = Field(description="Documents that the new index cannot take.")
    failed: list[FailedDocumentShape] = Field(description="Some of them.")
    is_worse: bool = Field(description="Whether it finds less by more than chance, or lacks documents.")


class CollectionResponse(Shape):
    """A collection. Unless it is ready, only its name is known."""

    name: str
    state: Literal["ready", "opening", "damaged", "unavailable"]
    chunk_count: int | None
    coded_chunk_count: int | None = Field(
        description="Number of those that have the vectors of their tokens, so that the reranker need not read them; "
        "null if that is not known yet."
    )
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: list[str]
    needs_reindex: bool
    settings: SettingsVersionShape | None = Field(
        description="How it is searched and judged; null for one whose settings nobody has changed."
    )
    earlier_settings: list[SettingsVersionShape] = Field(
        description="The versions before that it can go back to, the last one last."
    )
    index_beside: IndexBesideShape | None = Field(
        description="The index beside the one that answers, while its model is changed or can be changed back."
    )
    comparison: ComparisonShape | None = Field(
        description="How its index and the one before answered the same questions, when its model was changed last."
    )
    sparse_fingerprint: str = Field(
        description="Fingerprint of the model of its learned sparse vectors; empty if it has none."
    )


class ReindexResponse(Shape):
    """How far a collection is that is made anew. While it is running, call again."""

    kind: Literal["reindex"]
    state: Literal["running", "held", "done"] = Field(
        description="held: the new index is there and does not answer, because it finds less than the one before."
    )
    done: int
    total: int
    is_same_model: bool = Field(
        description="Whether the model makes the vectors that the collection has, so that there was nothing to do."
    )
    comparison: ComparisonShape | None = Field(
        description="How its index and the one before answer the same questions; null if they were not compared."
    )


class EstimateResponse(Shape):
    """What it would take to give a collection another model."""

    model: str
    pieces: int = Field(description="Pieces of documents, as they are cut now.")
    seconds: float = Field(description="How long the model takes for them, at the rate of some just embedded.")
    bytes: int = Field(description="What the second index takes of the disk, and of memory to have all of it there.")
    is_same_model: bool
    tokens: int = Field(description="How many tokens the model reads for them, about.")


class ListCollectionsResponse(Shape):
    """All collections, by name."""

    collections: list[CollectionResponse]


class DeleteCollectionResponse(Shape):
    """The name of the collection that is gone."""

    deleted: str
