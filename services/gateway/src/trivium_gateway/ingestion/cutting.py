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
from trivium_gateway.models.embed import EmbedClient

__all__ = ["CutDocument", "DocumentCutter"]

_SEGMENT_CHARACTERS = 200_000
_CALL_CHARACTERS = 1_000_000
_CALL_TEXTS = 512
_TIMEOUT_SECONDS = 60.0
_LARGE_CHARACTERS = 50_000

_MAX_TITLE_TOKENS = 64
"""A longer title is cut where it stands above a chunk's text: it would crowd the text out."""
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
        token_count: Tokens of its text, and of the heading above each chunk; what chunks share is counted once.
    """

    document: PreparedDocument
    heading: str
    spans: Sequence[ChunkSpan]
    token_count: int


class DocumentCutter:
    """Cuts documents.

    Args:
        embed: Has the tokenizer.
        settings: How long chunks are; they are shorter if the model takes less.
        max_chunks: Most chunks of one document.
    """

    def __init__(self, embed: EmbedClient, settings: ChunkingSettings, max_chunks: int) -> None:
        self._embed = embed
        self._settings = settings
        self._max_chunks = max_chunks

    async def cut(self, documents: Sequence[PreparedDocument]) -> list[CutDocument | TooLarge]:
        """Cut some documents.

        Returns:
            One entry per document: its chunks, or why it cannot be cut (TOO_MANY_CHUNKS).

        Raises:
            TriviumError: The embed service cannot tokenize.
        """
        texts = [part for document in documents for part in (document.title, document.text)]
        starts, room = await self._tokenize(texts)
        return [
            await self._cut_one(document, starts[2 * index], starts[2 * index + 1], room)
            for index, document in enumerate(documents)
        ]

    async def _cut_one(
        self, document: PreparedDocument, title_starts: NDArray[np.uint32], starts: NDArray[np.uint32], room: int | None
    ) -> CutDocument | TooLarge:
        heading, heading_tokens = document.title, len(title_starts)
        if heading_tokens > _MAX_TITLE_TOKENS:
            heading, heading_tokens = heading[: int(title_starts[_MAX_TITLE_TOKENS])].rstrip(), _MAX_TITLE_TOKENS
        settings = self._settings
        if room is not None:
            left = max(1, room - heading_tokens - _SPARE_TOKENS)
            settings = replace(settings, chunk_tokens=min(settings.chunk_tokens, left))
        if len(document.text) > _LARGE_CHARACTERS:
            spans = await asyncio.to_thread(chunk_spans, document.text, starts, settings)
        else:
            spans = chunk_spans(document.text, starts, settings)
        if len(spans) > self._max_chunks:
            return TooLarge(
                f"The document comes to {len(spans)} chunks; at most {self._max_chunks} are allowed. Split it.",
                reason="TOO_MANY_CHUNKS",
            )
        return CutDocument(document, heading, spans, len(starts) + heading_tokens * len(spans))

    async def _tokenize(self, texts: Sequence[str]) -> tuple[list[NDArray[np.uint32]], int | None]:
        """Find the tokens of texts of any length.

        Returns:
            The offsets per text; and how many tokens a text may have, None if there is no limit.
        """
        segments = [(index, start, segment) for index, text in enumerate(texts) for start, segment in _segments(text)]
        found: list[list[NDArray[np.uint32]]] = [[] for _ in texts]
        room: int | None = None
        for call in _calls(segments):
            tokens = await self._embed.tokenize([segment for _, _, segment in call], timeout_seconds=_TIMEOUT_SECONDS)
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
