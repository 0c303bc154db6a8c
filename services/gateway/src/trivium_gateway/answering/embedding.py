"""Embeds texts of the caller: the embedding model alone, without documents."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from trivium_serving.errors import DeadlineExceeded, InvalidField, NotFound, TooLarge, TriviumError

from trivium_gateway.domain.limits import check_unicode
from trivium_gateway.models.embed import EmbedOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.sparse_weights import SparseWeights
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.embed_answers import EmbeddedTexts
    from trivium_gateway.request.fair_places import FairPlaces
    from trivium_gateway.request.record import Record

# Enough for the model to be busy, and little enough for other tenants to have their turn soon.
_BATCH_TEXTS = 64
_BATCH_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class EmbedTask:
    """What to embed.

    Attributes:
        texts: At least one, none of them blank.
        options: How to embed them.
        model: Name of the model that must do it; None for whichever there is.
        texts_field: What the request calls the texts, for errors.
        dimension_field: What it calls the dimension.
    """

    texts: tuple[str, ...]
    options: EmbedOptions = EmbedOptions()  # noqa: RUF009  # frozen
    model: str | None = None
    texts_field: str = "input"
    dimension_field: str = "dimensions"

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Args:
            limits: What is accepted.

        Raises:
            InvalidField: There is no text, one is blank, or the dimension is none.
            TooLarge: There are too many texts, one is too long, or they are too much together.
        """
        if self.options.dimension is not None and not 1 <= self.options.dimension <= 2**20:
            raise InvalidField(
                self.dimension_field, f"{self.dimension_field} is {self.options.dimension}; it must be at least 1."
            )
        if not self.texts:
            raise InvalidField(self.texts_field, f"{self.texts_field} is empty; send at least one.", reason="NO_TEXTS")
        if len(self.texts) > limits.max_embed_texts:
            raise TooLarge(
                f"{self.texts_field} has {len(self.texts)} texts; at most {limits.max_embed_texts} are allowed. Send "
                "them in several calls.",
                reason="TOO_MANY_TEXTS",
                field=self.texts_field,
            )
        size = 0
        for index, text in enumerate(self.texts):
            self._check_text(f"{self.texts_field}[{index}]", text, limits)
            size += len(text.encode())
        if size > limits.max_embed_bytes:
            raise TooLarge(
                f"{self.texts_field} has {size} bytes; at most {limits.max_embed_bytes} are allowed. "
                "Send less at a time.",
                reason="CALL_TOO_LARGE",
                field=self.texts_field,
            )

    def _check_text(self, field: str, text: str, limits: GatewayLimits) -> None:
        if len(text) > limits.max_embed_text_characters:
            raise TooLarge(
                f"{field} has {len(text)} characters; at most {limits.max_embed_text_characters} are allowed. Cut it "
                "into pieces.",
                reason="TEXT_TOO_LONG",
                field=field,
            )
        check_unicode(field, text)
        if not text.strip():
            raise InvalidField(field, f"{field} is blank. Leave it out.", reason="BLANK_TEXT")


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Texts with their vectors.

    Attributes:
        vectors: float32 [texts, dimension], in the order of the texts.
        token_count: Tokens of all texts as the model read them.
        model: Name of the model.
        sparse: Their learned sparse vectors; none if nobody asked for them.
    """

    vectors: NDArray[np.float32]
    token_count: int
    model: str
    sparse: Sequence[SparseWeights] = ()


class TextEmbedder:
    """Has the embed service embed texts.

    Args:
        client: The service.
        encoder: Bounds the batches that it has as bulk work, and has tenants take turns.
    """

    def __init__(self, client: EmbedClient, encoder: FairPlaces) -> None:
        self._client = client
        self._encoder = encoder

    async def embed(self, task: EmbedTask, record: Record) -> Embeddings:
        """Embeds texts.

        Args:
            task: What to embed; checked.
            record: Takes note of what happens.

        Raises:
            NotFound: The service has another model (MODEL_NOT_FOUND).
            InvalidField, TooLarge: The service does not take the texts, or has no such vectors.
            Unavailable, Overloaded, DeadlineExceeded: The service cannot embed them now.
        """
        await self._check_model(task, record)
        with record.stage("embed") as stage:
            stage.note({"trivium.texts": len(task.texts)})
            try:
                async with record.waiting("embed"):
                    batches = await self._embedded(task, record)
            except TriviumError as error:
                raise _in_callers_words(error, task) from error
        vectors = batches[0].vectors if len(batches) == 1 else np.concatenate([one.vectors for one in batches])
        token_count = sum(one.token_count for one in batches)
        record.tokens[task.options.role.value] += token_count
        sparse = [vector for one in batches for vector in one.sparse]
        return Embeddings(vectors, token_count, batches[0].model, sparse)

    async def _embedded(self, task: EmbedTask, record: Record) -> Sequence[EmbeddedTexts]:
        """A single text at once; several in batches, in turn with those of other tenants."""
        seconds = record.seconds(math.inf, 1.0)
        if len(task.texts) == 1:
            return [await self._client.embed_texts(task.texts, task.options, is_bulk=False, timeout_seconds=seconds)]

        async def embedded(first: int, batch: Sequence[str]) -> EmbeddedTexts:
            async with self._encoder.place(record.principal.tenant):
                return await self._client.embed_texts(
                    batch, task.options, is_bulk=True, first=first, timeout_seconds=record.seconds(math.inf, 1.0)
                )

        batches = list(_batches(task.texts))
        firsts = itertools.accumulate(map(len, batches), initial=0)
        working = [asyncio.ensure_future(embedded(first, batch)) for first, batch in zip(firsts, batches, strict=False)]
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.gather(*working)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The texts were not embedded within {seconds:.3g} s. Allow more time, or send fewer."
            ) from error
        finally:
            for one in working:
                one.cancel()

    async def _check_model(self, task: EmbedTask, record: Record) -> None:
        """Refuses the name of another model: vectors of two models must never be mixed."""
        if task.model is None:
            return
        async with record.waiting("embed"):
            model = (await self._client.model(timeout_seconds=record.seconds(math.inf, 1.0))).name
        if task.model != model:
            raise NotFound(
                f"There is no model {task.model[:80]!r} to embed with; there is {model!r}, also called 'trivium'.",
                reason="MODEL_NOT_FOUND",
            )


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in calls of a size that the embed service takes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == _BATCH_TEXTS or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    yield batch


def _in_callers_words(error: TriviumError, task: EmbedTask) -> TriviumError:
    """An error that names the caller's own fields."""
    if error.field is None:
        return error
    for ours, theirs in (("texts", task.texts_field), ("dimension", task.dimension_field)):
        if error.field == ours or error.field.startswith(f"{ours}["):
            error.field = theirs + error.field[len(ours) :]
            error.message = error.message.replace(f"{ours}[", f"{theirs}[")
            error.args = (error.message,)
    return error
