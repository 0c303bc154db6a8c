"""What requests here have in common: fields of OpenAI's that are passed over, and fields of Trivium's beside them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.plan import SearchOptions
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most
from trivium_gateway.surfaces.http.openai.model_ids import MODEL_ALONE, collection_of_model


class OpenAIBody(JsonBody):
    """A JSON object in which fields that are not known are passed over, as OpenAI's clients expect it."""

    model_config = ConfigDict(extra="ignore", strict=True)


class QuestionOptions(OpenAIBody):
    """Trivium's own options of a question."""

    model: str = Field(
        description="`trivium`, `trivium/<collection>` to ask in another collection than `default`, or `trivium-model` "
        "for the language model alone."
    )
    collection: str | None = Field(None, description="Trivium: the collection, if the model does not name it.")
    filter: dict[str, Any] | None = Field(None, description="Trivium: conditions on passages, as in /v1/answer.")
    top_n: int | None = Field(None, description="Trivium: most passages to answer from, 1 to 100; default 5.")
    candidates: int | None = Field(None, description="Trivium: candidates for the reranker, 1 to 1000; default 100.")
    mode: Literal["auto", "model", "extractive"] | None = Field(
        None, description="Trivium: by which means: the model if it can, the model or an error, the best sentences."
    )
    refusal: Literal["off", "mark", "refuse"] | None = Field(
        None, description="Trivium: what becomes of a question that the documents hardly answer, as in /v1/answer."
    )
    strict_support: bool | None = Field(
        None, description="Trivium: whether to leave out what no passage supports; default false."
    )
    retrieve: bool | None = Field(
        None, description="Trivium: false puts the conversation to the language model alone, without any document."
    )

    def search_options(self) -> SearchOptions:
        """Where to look for the answer, and how deep."""
        return SearchOptions.of(
            collection=self.asked_collection(), filter=self.filter, top_n=self.top_n, candidates=self.candidates
        )

    def searches_documents(self) -> bool:
        """Whether to answer from documents: always, unless the caller says in so many words that it wants none."""
        return self.model != MODEL_ALONE if self.retrieve is None else self.retrieve

    def wanted_refusal(self) -> Refusal | None:
        """What becomes of a question that the documents hardly answer; None for the gateway's own setting."""
        return Refusal(self.refusal) if self.refusal else None

    def answer_mode(self) -> AnswerMode:
        """By which means to answer."""
        return AnswerMode(self.mode or "auto")

    def asked_collection(self) -> str:
        """The collection to ask in; empty for `default`.

        Raises:
            NotFound: There is no such model.
            InvalidField: `collection` names another one than the model does.
        """
        named = collection_of_model(self.model)
        if named and self.collection and named != self.collection:
            raise InvalidField("collection", f"The model asks in {named}, and collection names {self.collection}.")
        return named or self.collection or ""


def one_or_several(count: int, reason: str = "TOO_LARGE") -> tuple[Any, ...]:
    """What a list of texts is annotated with that takes a text by itself, too; else as `at_most`.

    Args:
        count: Most texts.
        reason: Of the error for more.
    """
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": count}
    return (
        *at_most(count, reason),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        WithJsonSchema({"anyOf": [{"type": "string"}, texts]}),
    )


def refuse(field: str, value: object, advice: str) -> None:
    """Refuses a field that would change the result, if it is set.

    Args:
        field: Its name.
        value: What it was set to; None, 0 and what is empty are no settings.
        advice: What to do.

    Raises:
        InvalidField: It is set (UNSUPPORTED_FIELD).
    """
    if value:
        raise InvalidField(field, f"{field} is not supported. {advice}", reason="UNSUPPORTED_FIELD")
