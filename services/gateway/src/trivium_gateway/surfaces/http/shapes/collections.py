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


class ReindexResponse(Shape):
    """How far a collection is that is made anew. While it is running, call again."""

    kind: Literal["reindex"]
    state: Literal["running", "done"]
    done: int
    total: int


class ListCollectionsResponse(Shape):
    """All collections, by name."""

    collections: list[CollectionResponse]


class DeleteCollectionResponse(Shape):
    """The name of the collection that is gone."""

    deleted: str
