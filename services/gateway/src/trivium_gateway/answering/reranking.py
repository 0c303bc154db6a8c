"""Orders texts of the caller by how well they answer a query: the reranker alone, without search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, NotFound, TooLarge, TriviumError

from trivium_gateway.domain.limits import check_query, check_unicode
from trivium_gateway.models.long_queries import long_query
from trivium_gateway.models.ranking import descending_order
from trivium_gateway.models.rerank import JudgedText

if TYPE_CHECKING:
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.long_queries import LongQuery
    from trivium_gateway.models.rerank import RerankClient
    from trivium_gateway.request.record import Record


_SHORT_CHARACTERS = 100
"""A query that any model reads whole, whatever its tokens are."""


@dataclass(frozen=True, slots=True)
class RerankTask:
    """What to order.

    Attributes:
        query: What the texts are judged by; not blank.
        texts: At least one. Blank ones and equal ones are fine; blank ones score 0.
        top_n: Most texts to return; all if None, or if it is more than there are.
        model: Name of the model that must judge; None for whichever there is.
        max_text_tokens: Most tokens of a text that the model may read; None for its own maximum.
        texts_field: What the request calls the texts, for errors.
    """

    query: str
    texts: tuple[str, ...]
    top_n: int | None = None
    model: str | None = None
    max_text_tokens: int | None = None
    texts_field: str = "documents"

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Args:
            limits: What is accepted.

        Raises:
            InvalidField: A field breaks a rule.
            TooLarge: The query is too long, there are too many texts, one is too long, or they are too much together.
        """
        check_query("query", self.query, limits)
        for field, number in (("top_n", self.top_n), ("max_tokens_per_doc", self.max_text_tokens)):
            if number is not None and number < 1:
                raise InvalidField(field, f"{field} is {number}; it must be at least 1.")
        if not self.texts:
            raise InvalidField(self.texts_field, f"{self.texts_field} is empty; send at least one.", reason="NO_TEXTS")
        if len(self.texts) > limits.max_rerank_texts:
            raise TooLarge(
                f"{self.texts_field} has {len(self.texts)} texts; at most {limits.max_rerank_texts} are allowed. Send "
                "the best candidates only.",
                reason="TOO_MANY_TEXTS",
                field=self.texts_field,
            )
        size = 0
        for index, text in enumerate(self.texts):
            field = f"{self.texts_field}[{index}]"
            if len(text) > limits.max_rerank_text_characters:
                raise TooLarge(
                    f"{field} has {len(text)} characters; at most {limits.max_rerank_text_characters} are allowed. Cut "
                    "it into passages.",
                    reason="TEXT_TOO_LONG",
                    field=field,
                )
            check_unicode(field, text)
            size += len(text.encode())
        if size > limits.max_rerank_bytes:
            raise TooLarge(
                f"{self.texts_field} has {size} bytes; at most {limits.max_rerank_bytes} are allowed. Send fewer or "
                "shorter texts.",
                reason="CALL_TOO_LARGE",
                field=self.texts_field,
            )


@dataclass(frozen=True, slots=True)
class RankedText:
    """One text's place.

    Attributes:
        index: Its position in the task, from 0.
        score: From 0 to 1.
    """

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class RankedTexts:
    """Texts in order.

    Attributes:
        rankings: Best first; equal scores keep the order of the task.
        text_count: How many texts were judged.
        model: Name of the model that judged.
        token_count: Tokens that it read, query included.
    """

    rankings: tuple[RankedText, ...]
    text_count: int
    model: str
    token_count: int


class Reranker:
    """Has the rerank service judge texts. There is no fallback: the order that the texts came in is none.

    Args:
        client: The service.
        embed: Says of a long query where the model's tokens lie in it.
    """

    def __init__(self, client: RerankClient, embed: EmbedClient) -> None:
        self._client = client
        self._embed = embed

    async def rerank(self, task: RerankTask, record: Record) -> RankedTexts:
        """Orders texts.

        Args:
            task: What to order; checked.
            record: Takes note of what happens.

        Raises:
            NotFound: The service has another model (MODEL_NOT_FOUND).
            InvalidField, TooLarge: The service does not take the texts.
            Unavailable, Overloaded, DeadlineExceeded: The service cannot judge them now.
        """
        await self._check_model(task, record)
        long = await self._in_parts(task.query, record)
        with record.stage("rerank") as stage:
            stage.note({"trivium.texts": len(task.texts)})
            try:
                async with record.waiting("rerank"):
                    judged = await self._client.rerank_long(
                        task.query,
                        long,
                        list(map(JudgedText, task.texts)),
                        timeout_seconds=record.seconds(math.inf, 1.0),
                        beside_search=False,
                        callers_fields=("query", "texts"),
                    )
            except TriviumError as error:
                if error.field is not None:
                    error.field = error.field.replace("texts", task.texts_field)
                raise
        record.tokens["reranked"] += judged.token_count
        if task.max_text_tokens is not None and task.max_text_tokens < judged.max_input_tokens:
            raise InvalidField(
                "max_tokens_per_doc",
                f"max_tokens_per_doc is {task.max_text_tokens}, but {judged.model} reads up to "
                f"{judged.max_input_tokens} tokens and cannot be told to read less. Leave it out.",
            )
        scores = [score or 0.0 for score in judged.scores]  # none was left out: all places matter
        rankings = [RankedText(position, scores[position]) for position in descending_order(scores)]
        return RankedTexts(tuple(rankings[: task.top_n]), len(task.texts), judged.model, judged.token_count)

    async def _in_parts(self, query: str, record: Record) -> LongQuery | None:
        """The parts of a query that is longer than a model reads; None of one that is not."""
        if len(query) <= _SHORT_CHARACTERS:
            return None
        async with record.waiting("embed"):
            return long_query(query, await self._embed.tokenize([query], timeout_seconds=record.seconds(math.inf, 0.5)))

    async def _check_model(self, task: RerankTask, record: Record) -> None:
        """Refuses the name of another model: its user would take this one's scores for that one's."""
        if task.model is None:
            return
        async with record.waiting("rerank"):
            model = await self._client.model(timeout_seconds=record.seconds(math.inf, 1.0))
        if task.model != model:
            raise NotFound(
                f"There is no model {task.model!r} to rerank with; there is {model!r}, also called 'trivium'.",
                reason="MODEL_NOT_FOUND",
            )
