"""Embeds the pieces of documents, as bulk work that questions overtake."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import repeat

from trivium_gateway.ingestion.late_chunking import chunked_text, runs_of
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.pieces import Piece
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.models.late_chunks import ChunkedText
from trivium_gateway.qdrant.points import EmbeddedChunk, Point, point_of
from trivium_gateway.qdrant.words import StoredWords, WordRules, stored_words
from trivium_gateway.request.admission import QuestionAdmission

__all__ = ["PieceEmbedder"]

_TEXTS_BESIDE_QUESTIONS = 16
"""To embed at a time while there are questions: they share the machine with it."""
_TIMEOUT_SECONDS = 120.0


class PieceEmbedder:
    """Makes points of pieces. One for all calls, so that all together keep the encoder busy, and no busier.

    Args:
        embed: Embeds them.
        metrics: Where times are counted.
        admission: Lets questions go before each batch.
    """

    def __init__(self, embed: EmbedClient, metrics: IngestMetrics, admission: QuestionAdmission) -> None:
        self._embed = embed
        self._metrics = metrics
        self._admission = admission

    async def points_of(
        self, batch: Sequence[Piece], collection: ResolvedCollection, known: Mapping[str, EmbeddedChunk], tenant: str
    ) -> list[Point]:
        """Make the points that keep some pieces.

        Args:
            batch: The pieces.
            collection: Where they will be.
            known: What need not be embedded again, by its text.
            tenant: Whose they are.

        Returns:
            One for each piece, in their order.

        Raises:
            InvalidField: The model does not take a text.
            TooLarge: A text is longer than the model reads.
            FailedPrecondition: The model cannot do late chunking, as the collection wants it.
            TriviumError: The embed service fails, runs another model, of learned sparse vectors too, or has had no
                capacity for long.
        """
        if collection.made.late_chunking:
            embedded = await self._embedded_late(batch, collection, tenant)
        else:
            embedded = await self._embedded(batch, collection, known, tenant)
        # Off the loop: it takes a batch some ten milliseconds, in which questions would wait.
        words = await asyncio.to_thread(_words_of, batch, collection.word_rules)
        return [
            point_of(piece.chunk(), of_model, of_words, tenant)
            for piece, of_model, of_words in zip(batch, embedded, words, strict=True)
        ]

    async def _embedded(
        self, batch: Sequence[Piece], collection: ResolvedCollection, known: Mapping[str, EmbeddedChunk], tenant: str
    ) -> list[EmbeddedChunk]:
        """What the model makes of each piece, read by itself."""
        texts = [piece.text() for piece in batch]
        new = [text for text in texts if text not in known]
        made: list[EmbeddedChunk] = []
        if new:
            async with self._admission.encoder.place(tenant):
                with self._metrics.stage("embed"):
                    while len(made) < len(new):
                        async with self._admission.bulk():
                            count = _TEXTS_BESIDE_QUESTIONS if self._admission.busy else len(new)
                            made += await self._embed_some(collection, new[len(made) :][:count])
        those_made = iter(made)
        return [known.get(text) or next(those_made) for text in texts]

    async def _embedded_late(
        self, batch: Sequence[Piece], collection: ResolvedCollection, tenant: str
    ) -> list[EmbeddedChunk]:
        """What the model makes of each piece, read with what stands around it; nothing is known of it by its text."""
        spans = [(piece.writing.cut.document.embedded, piece.span) for piece in batch]
        made = [one for given, span in spans if (one := given.get((span.start, span.end))) is not None]
        if len(made) == len(batch):  # the documents came with what was made of them in such an index
            return made
        made, waiting = [], runs_of(batch)
        async with self._admission.encoder.place(tenant):
            with self._metrics.stage("embed"):
                while waiting:
                    async with self._admission.bulk():
                        count = 1 if self._admission.busy else len(waiting)
                        texts = list(map(chunked_text, waiting[:count]))
                        made += await self._embed_some(collection, texts)
                    del waiting[:count]
        return made

    async def _embed_some(
        self, collection: ResolvedCollection, texts: Sequence[str] | Sequence[ChunkedText]
    ) -> list[EmbeddedChunk]:
        embed = await self._embed.of(collection.embedded_by)
        embedded = await patiently(
            lambda: embed.embed_documents(
                texts,
                expected_fingerprint=collection.embedded_by,
                learned=collection.made.learned,
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        )
        learned = embedded.learned or repeat(None)
        return list(map(EmbeddedChunk, embedded.vectors.tolist(), embedded.token_codes, learned))


def _words_of(batch: Sequence[Piece], rules: WordRules) -> list[StoredWords | None]:
    # Under the whole title, as `Reindexer` has it, which does not know what the embedding model was given of it.
    return [stored_words(piece.chunk().indexed_text, rules) for piece in batch]
