"""Cuts documents into chunks with the tokenizer of the embedding model, many documents per call."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from trivium_serving.errors import TooLarge

from trivium_gateway.ingestion.chunking import ChunkingSettings, ChunkSpan, chunk_spans
from trivium_gateway.ingestion.preparation import PreparedDocument
from trivium_gateway.ingestion.structure import Place, Structure
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.models.embed import EmbedClient

__all__ = ["CutDocument", "DocumentCutter"]

_SEGMENT_CHARACTERS = 200_000
_CALL_CHARACTERS = 200_000
"""More would keep the event loops of both sides busy for tens of milliseconds, in which questions wait."""
_CALL_TEXTS = 512
_TIMEOUT_SECONDS = 60.0

_MAX_TITLE_TOKENS = 64
"""A longer title is cut where it stands above a chunk's text: it would crowd the text out."""
_MAX_TABLE_HEADER_TOKENS = 64
"""Longer names of a table's columns are not repeated above its later chunks."""
_SPARE_TOKENS = 3
"""The line break after the title, and a word that comes apart differently at a cut."""

_LAST_BLANK = re.compile(r"\s(?=\S*\Z)")


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document and its chunks.

    Attributes:
        document: The document.
        heading: Its title as it stands above each chunk's text where that is indexed.
        spans: Its chunks.
        places: Where each of them begins.
        token_count: Tokens of its text, and of the heading above each chunk; what chunks share is counted once.
    """

    document: PreparedDocument
    heading: str
    spans: Sequence[ChunkSpan]
    places: Sequence[Place]
    token_count: int


class DocumentCutter:
    """Cuts documents.

    Args:
        embed: Has the tokenizer.
        settings: How long chunks are, but for what a collection says itself; they are shorter if the model takes less.
        max_chunks: Most chunks of one document.
    """

    def __init__(self, embed: EmbedClient, settings: ChunkingSettings, max_chunks: int) -> None:
        self._embed = embed
        self._settings = settings
        self._max_chunks = max_chunks

    async def cut(
        self, documents: Sequence[PreparedDocument], collection: ResolvedCollection
    ) -> list[CutDocument | TooLarge]:
        """Cut some documents.

        Args:
            documents: The documents.
            collection: Where they go, whose model's tokens count.

        Returns:
            One entry per document: its chunks, or why it cannot be cut (TOO_MANY_CHUNKS).

        Raises:
            TriviumError: The embed service cannot tokenize.
        """
        texts = [part for document in documents for part in (document.title, document.text)]
        starts, room = await self._tokenize(texts, collection.embedded_by)
        settings = self._settings.of(collection.settings.now.settings)
        # Off the loop: a window of documents takes a tenth of a second.
        return await asyncio.to_thread(
            lambda: [
                self._cut_one(document, starts[2 * index], starts[2 * index + 1], room, settings)
                for index, document in enumerate(documents)
            ]
        )

    def _cut_one(
        self,
        document: PreparedDocument,
        title_starts: NDArray[np.uint32],
        starts: NDArray[np.uint32],
        room: int | None,
        settings: ChunkingSettings,
    ) -> CutDocument | TooLarge:
        heading, heading_tokens = document.title, len(title_starts)
        if heading_tokens > _MAX_TITLE_TOKENS:
            heading, heading_tokens = heading[: int(title_starts[_MAX_TITLE_TOKENS])].rstrip(), _MAX_TITLE_TOKENS
        structure = Structure(document.text, has_pages=bool(document.boxes))
        spans, places = self._cut_text(document.text, structure, starts, room, heading_tokens, settings)
        if len(spans) > self._max_chunks:
            return TooLarge(
                f"The document comes to {len(spans)} chunks; at most {self._max_chunks} are allowed. Split it.",
                reason="TOO_MANY_CHUNKS",
            )
        return CutDocument(document, heading, spans, places, len(starts) + heading_tokens * len(spans))

    def _cut_text(
        self,
        text: str,
        structure: Structure,
        starts: NDArray[np.uint32],
        room: int | None,
        heading_tokens: int,
        settings: ChunkingSettings,
    ) -> tuple[list[ChunkSpan], list[Place]]:
        """Cut a text so that above each chunk there is room for its heading, and in a table for the columns' names."""
        header_tokens = [
            int(np.diff(np.searchsorted(starts, (table.start, table.rows)))[0]) for table in structure.tables
        ]
        repeated = max((count for count in header_tokens if count <= _MAX_TABLE_HEADER_TOKENS), default=0)
        if room is not None:
            left = max(1, room - heading_tokens - repeated - _SPARE_TOKENS)
            settings = replace(settings, chunk_tokens=min(settings.chunk_tokens, left))
        spans = chunk_spans(text, starts, settings)
        most = max(
            (
                table.rows - table.start
                for table, count in zip(structure.tables, header_tokens, strict=True)
                if count <= _MAX_TABLE_HEADER_TOKENS
            ),
            default=0,
        )
        return spans, [structure.place(span.start, span.end, most) for span in spans]

    async def _tokenize(
        self, texts: Sequence[str], model_fingerprint: str
    ) -> tuple[list[NDArray[np.uint32]], int | None]:
        """Find the tokens of texts of any length.

        Returns:
            The offsets per text; and how many tokens a text may have, None if there is no limit.
        """
        segments = [(index, start, segment) for index, text in enumerate(texts) for start, segment in _segments(text)]
        found: list[list[NDArray[np.uint32]]] = [[] for _ in texts]
        room: int | None = None
        embed = await self._embed.of(model_fingerprint)
        for call in _calls(segments):
            tokens = await embed.tokenize([segment for _, _, segment in call], timeout_seconds=_TIMEOUT_SECONDS)
            room = tokens.max_input_tokens - tokens.overhead_tokens if tokens.max_input_tokens else None
            for (index, start, _), starts in zip(call, tokens.starts, strict=True):
                found[index].append(starts + np.uint32(start))
        return [np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32) for parts in found], room


def _segments(text: str) -> list[tuple[int, str]]:
    """Cut a long text at blanks, where no tokenizer has a token across."""
    segments: list[tuple[int, str]] = []
    start = 0
    while start < len(text):
        end = min(len(text), start + _SEGMENT_CHARACTERS)
        if end < len(text):
            blank = _LAST_BLANK.search(text, max(start + 1, end - 1000), end)
            end = blank.start() if blank else end
        segments.append((start, text[start:end]))
        start = end
    return segments


def _calls(segments: Sequence[tuple[int, int, str]]) -> list[list[tuple[int, int, str]]]:
    """Divide segments over calls of bounded size."""
    calls: list[list[tuple[int, int, str]]] = []
    characters = 0
    for segment in segments:
        characters += len(segment[2])
        if not calls or len(calls[-1]) >= _CALL_TEXTS or characters > _CALL_CHARACTERS:
            calls.append([])
            characters = len(segment[2])
        calls[-1].append(segment)
    return calls
