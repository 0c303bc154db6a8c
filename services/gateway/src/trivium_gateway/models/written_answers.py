"""Remembers what the generate service wrote."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_conversation.sampling import FinishReason

from trivium_gateway.caching.coding import Coding
from trivium_gateway.domain.chunks import Span
from trivium_gateway.models.generate_answers import GeneratedCitation, GeneratedEnd, GeneratedText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trivium.generate.v1 import generate_service_pb2 as pb

    from trivium_gateway.caching.results import ResultCache
    from trivium_gateway.domain.readers import Reader


@dataclass(frozen=True, slots=True)
class Written:
    """A whole answer.

    Attributes:
        text: The answer.
        citations: All of its citations.
        model: What wrote it.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
    """

    text: str
    citations: tuple[GeneratedCitation, ...]
    model: str
    dropped_passages: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        """How much memory it takes, about."""
        return 2 * len(self.text) + 200 * len(self.citations) + 500

    def pieces(self) -> tuple[GeneratedText, GeneratedEnd]:
        """The same as the service would say it, in one piece, but that no model read or wrote anything for it."""
        end = GeneratedEnd(self.model, 0, 0, False, self.dropped_passages, None, FinishReason.STOP, is_cached=True)
        return GeneratedText(self.text, self.citations), end


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Who asks, and by what an answer would be written.

    Attributes:
        reader: Who asks.
        model: The model, as far as its service has said; empty if it has not.
        similar_question: An earlier question whose answer will do; empty if there is none.
    """

    reader: Reader
    model: str = ""
    similar_question: str = ""


WRITTEN_CODING = Coding(Written, GeneratedCitation, Span)


class WrittenAnswers:
    """What was written for whom, by all that was sent to the service for it: passages, question, history, sampling.

    It needs no look whether it still holds: where a document has changed, its passage is another one. What somebody
    asks to be drawn anew is not kept (a temperature above 0), nor is anything but a whole answer of whatever is to
    write it: none that was cut off, calls tools, comes with probabilities, or was written by other means.

    Args:
        results: Where it is kept.
    """

    def __init__(self, results: ResultCache) -> None:
        self._results = results

    async def through(
        self,
        asked: AskedFor,
        request: pb.GenerateRequest,
        anew: Callable[[], AsyncGenerator[GeneratedText | GeneratedEnd, None]],
    ) -> AsyncGenerator[GeneratedText | GeneratedEnd, None]:
        """Gives what was written, or has it written and keeps it.

        Args:
            asked: For whom, and by what.
            request: What is sent.
            anew: Has it written.
        """
        key = self._key(asked, request)
        if key is not None:
            if (written := await self._look(asked, key, request)) is not None:
                for piece in written.pieces():
                    yield piece
                return
            self._results.count("miss")
        pieces: list[GeneratedText] = []
        async with aclosing(anew()) as fresh:
            async for piece in fresh:
                if isinstance(piece, GeneratedText):
                    pieces.append(piece)
                elif key is not None:
                    await self._keep(asked, key, pieces, piece)
                yield piece

    async def _look(self, asked: AskedFor, key: str, request: pb.GenerateRequest) -> Written | None:
        written: Written | None = None
        if asked.similar_question and not request.history:
            similar = type(request)()
            similar.CopyFrom(request)
            similar.question = asked.similar_question
            written = await self._results.get(asked.reader, self._key(asked, similar) or "")
            if written is not None:
                self._results.count("similar")
                return written
        written = await self._results.get(asked.reader, key)
        if written is not None:
            self._results.count("hit")
        return written

    def _key(self, asked: AskedFor, request: pb.GenerateRequest) -> str | None:
        """The key of an answer; None if it is not to be kept."""
        sampling = request.sampling
        is_drawn = sampling.temperature > 0 or sampling.HasField("top_logprobs")
        if is_drawn or not asked.model or request.messages or request.tools.definitions or not request.passages:
            return None
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        return self._results.key(asked.reader, asked.model, digest)

    async def _keep(self, asked: AskedFor, key: str, pieces: list[GeneratedText], end: GeneratedEnd) -> None:
        """Keeps what was written, if that is a whole answer by the means that were to write it."""
        if end.degradation is None and end.reason is FinishReason.STOP:
            citations = tuple(citation for one in pieces for citation in one.citations)
            text = "".join(one.text for one in pieces)
            await self._results.put(asked.reader, key, Written(text, citations, end.model, end.dropped_passages))
