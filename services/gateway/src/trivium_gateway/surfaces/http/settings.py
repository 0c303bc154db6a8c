"""Settings of collections in requests."""

from typing import Any, Literal

from pydantic import Field

from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.settings import CollectionSettings, Quantisation
from trivium_gateway.surfaces.http.bodies import JsonBody

RefusalChoice = Literal["off", "mark", "refuse"]
QuantisationChoice = Literal["off", "scalar", "binary"]


class SettingsBody(JsonBody):
    """How a collection is searched and judged. Null leaves it to the gateway."""

    dense_weight: float | None = Field(
        None, description="How much the vectors count, from 0, not at all and not searched by, to 1, the default."
    )
    sparse_weight: float | None = Field(None, description="How much the words do, likewise.")
    learned_weight: float | None = Field(None, description="How much learned sparse vectors do, likewise.")
    rerank_weight: float | None = Field(
        None,
        description="How much late interaction counts beside the search, from 0, where nothing is reranked, to 4; "
        "default 1. A cross-encoder decides alone unless this is 0.",
    )
    candidates: int | None = Field(
        None, description="Candidates for the reranker where a request does not say it, 1 to 1000; default 100."
    )
    section_characters: int | None = Field(
        None,
        description="How many characters of its section a passage is read with, 0 to 8000; 0 for the piece that was "
        "found alone. Default: the gateway's.",
    )
    score_slope: float | None = Field(
        None, description="What the log-odds of a calibrated score are multiplied by, 0.01 to 100; default 1."
    )
    score_intercept: float | None = Field(None, description="What is added to that, -100 to 100; default 0.")
    confidence_slope: float | None = Field(None, description="The same of the confidence of an answer; default 1.")
    confidence_intercept: float | None = Field(None, description="What is added to that; default 0.")
    refuse_below: float | None = Field(
        None, description="The confidence below which a question is about something else altogether, 0 to 1."
    )
    mark_below: float | None = Field(None, description="The confidence below which an answer is not stated, 0 to 1.")
    refusal: RefusalChoice | None = Field(
        None, description="What becomes of a question that the documents hardly answer where it does not say so."
    )

    language: str | None = Field(
        None,
        description="The language, as ISO 639-1 has it, of texts and questions in which nothing tells, as keywords and "
        "tables; default en. It takes a reindexing.",
    )
    chunk_tokens: int | None = Field(
        None,
        description="Longest piece of a document, in tokens of the embedding model, 16 to 8192. Documents are cut so "
        "from now on; those that are there by a reindexing. Default: the gateway's.",
    )
    chunk_overlap_tokens: int | None = Field(
        None,
        description="About how many tokens of a piece the next one repeats, 0 to 2048; at most a quarter of "
        "chunk_tokens. Default: the gateway's.",
    )
    late_chunking: bool | None = Field(
        None,
        description="Whether documents are read whole, and each piece gets the mean of what the embedding model made "
        "of its tokens there; default false. Only with a model that pools by the mean. It takes a reindexing.",
    )
    learned_sparse: bool | None = Field(
        None,
        description="Whether to store and search by learned sparse vectors, too, as the embed service makes them; "
        "default false. It takes a reindexing.",
    )
    retention_days: int | None = Field(
        None,
        description="After how many days without being written again a document is deleted, 1 to 36500.",
    )

    quantisation: QuantisationChoice | None = Field(
        None,
        description="How the vectors are kept to be searched, beside themselves; a Qdrant server alone can do it.",
    )
    rescore: bool | None = Field(
        None,
        description="Whether what quantised vectors find is judged again by the vectors as they are; default true.",
    )
    on_disk: bool | None = Field(
        None, description="Whether the vectors are on the disk and not in memory; a Qdrant server alone can choose."
    )

    def settings(self) -> CollectionSettings:
        """What is set."""
        given: dict[str, Any] = self.model_dump(exclude_none=True)
        if "refusal" in given:
            given["refusal"] = Refusal(given["refusal"])
        if "quantisation" in given:
            given["quantisation"] = Quantisation(given["quantisation"])
        return CollectionSettings(**given)

    def cleared(self) -> list[str]:
        """What is null, and said so."""
        return [name for name in self.model_fields_set if getattr(self, name) is None]
