"""The bodies of the three dialects. What cannot be honoured is refused, and not passed over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.reranking import RerankTask
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most
from trivium_gateway.surfaces.http.openai.model_ids import MODEL

_LIMITS = GatewayLimits()


def _text_of(value: Any) -> Any:
    """A document's text: the document itself, or what its field `text` has."""
    if not isinstance(value, dict):
        return value
    if "text" not in value:
        raise ValueError("must be a text, or an object with a text; nothing else can be judged")
    return value["text"]


_Document = Annotated[
    str,
    BeforeValidator(_text_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            ]
        }
    ),
]
_Model = Annotated[
    str | None,
    Field(description=f"`{MODEL}`, or the reranker's own name; default is whichever there is. Any other is a 404."),
]
_Query = Annotated[str, Field(description="What the documents are judged by.")]
_Documents = Annotated[
    list[_Document],
    *at_most(_LIMITS.max_rerank_texts, "TOO_MANY_TEXTS"),
    Field(description="What to order: 1 to 1000 texts, or objects with a text. Blank ones score 0."),
]
_TopN = Annotated[int | None, Field(description="Most results, at least 1; default all.")]
_ReturnDocuments = Annotated[bool | None, Field(description="Whether results have the documents; default false.")]


class CohereBody(JsonBody):
    """What to rerank, as Cohere's API v2 has it."""

    model: _Model = None
    query: _Query
    documents: _Documents
    top_n: _TopN = None
    max_tokens_per_doc: int | None = Field(
        None, description="Refused if the model reads more: it always reads as much as it can."
    )
    priority: int | None = Field(None, description="Taken, without effect.")
    return_documents: _ReturnDocuments = None

    def task(self) -> RerankTask:
        """What to do."""
        return RerankTask(
            self.query, tuple(self.documents), self.top_n, _named_model(self.model), self.max_tokens_per_doc
        )


class JinaBody(JsonBody):
    """What to rerank, as Jina's API has it; and Cohere's v1, which has the same path."""

    model: _Model = None
    query: _Query
    documents: _Documents
    top_n: _TopN = None
    return_documents: _ReturnDocuments = None
    rank_fields: Annotated[list[str], *at_most(8)] | None = Field(
        None, description='Cohere v1. Only ["text"], which is the default.'
    )
    max_chunks_per_doc: int | None = Field(
        None, description="Cohere v1. Taken, without effect: of a long document, the beginning is read."
    )

    @model_validator(mode="after")
    def _only_text(self) -> JinaBody:
        if self.rank_fields not in (None, [], ["text"]):
            raise InvalidField("rank_fields", "rank_fields must be left out: only the field text is judged.")
        return self

    def task(self) -> RerankTask:
        """What to do."""
        return RerankTask(self.query, tuple(self.documents), self.top_n, _named_model(self.model))


class TeiBody(JsonBody):
    """What to rerank, as text-embeddings-inference has it."""

    query: _Query
    texts: Annotated[list[str], *at_most(_LIMITS.max_rerank_texts, "TOO_MANY_TEXTS")] = Field(
        description="What to order: 1 to 1000 texts. Blank ones score 0."
    )
    return_text: bool | None = Field(None, description="Whether results have the texts; default false.")
    raw_scores: bool | None = Field(None, description="Must not be true: scores lie between 0 and 1.")
    truncate: bool | None = Field(None, description="Must not be false: of a long text, the beginning is read.")
    truncation_direction: Literal["left", "right", "Left", "Right"] | None = Field(
        None, description="`right`, which is the default: of a long text, the beginning is read."
    )

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> TeiBody:
        if self.raw_scores:
            raise InvalidField("raw_scores", "raw_scores must not be true: scores lie between 0 and 1 here.")
        if self.truncate is False:
            raise InvalidField(
                "truncate", "truncate must not be false: texts are always cut to what the model reads. Leave it out."
            )
        if self.truncation_direction in ("left", "Left"):
            raise InvalidField(
                "truncation_direction", "truncation_direction must be right: of a long text, the beginning is read."
            )
        return self

    def task(self) -> RerankTask:
        """What to do."""
        return RerankTask(self.query, tuple(self.texts), texts_field="texts")


def _named_model(name: str | None) -> str | None:
    """The model that must judge; None where the name says no more than that Trivium is asked."""
    return None if name in (None, "", MODEL) else name
