"""Documents as late chunking asks for them: read whole, with a vector for each chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_evidence.letters import plain_letters

__all__ = ["ChunkedText", "documents_request"]


@dataclass(frozen=True, slots=True)
class ChunkedText:
    """A stretch of a document, and its chunks.

    Attributes:
        heading: What is read with every chunk; may be empty.
        text: The stretch; chunks are read with what stands around them here.
        spans: Where they begin and end in it, half open, in code points; in the order of their beginnings.
    """

    heading: str
    text: str
    spans: Sequence[tuple[int, int]]

    def asked(self) -> tuple[str, pb.ChunkSpans]:
        """What to ask of it: heading and stretch in plain letters, and where its chunks are then."""
        heading = plain_letters(f"{self.heading}\n") if self.heading else ""
        if self.text.isascii():
            text, places = self.text, {bound: bound for span in self.spans for bound in span}
        else:  # letters in other forms may become more or fewer, so each piece between two bounds is taken by itself
            bounds = sorted({0, len(self.text), *(bound for span in self.spans for bound in span)})
            pieces = [plain_letters(self.text[start:end]) for start, end in pairwise(bounds)]
            places, text = {0: 0}, ""
            for bound, piece in zip(bounds[1:], pieces, strict=True):
                text += piece
                places[bound] = len(text)
        begin = len(heading)
        spans = [pb.ChunkSpan(start=begin + places[start], end=begin + places[end]) for start, end in self.spans]
        return heading + text, pb.ChunkSpans(spans=spans, heading_characters=begin)


def documents_request(
    texts: Sequence[str] | Sequence[ChunkedText], *, sparse: bool = False
) -> tuple[pb.EmbedRequest, int]:
    """Ask for what models make of some documents, or of their chunks; and say how many those are."""
    request = pb.EmbedRequest(role=pb.EMBED_ROLE_DOCUMENT, token_codes=pb.TOKEN_CODES_DEFAULT, sparse=sparse)
    if not _are_chunked(texts):
        request.texts.extend(plain_letters(text) for text in texts if isinstance(text, str))
        return request, len(texts)
    for text, chunks in (one.asked() for one in texts):
        request.texts.append(text)
        request.chunks.append(chunks)
    return request, sum(len(one.spans) for one in texts)


def _are_chunked(texts: Sequence[str] | Sequence[ChunkedText]) -> TypeGuard[Sequence[ChunkedText]]:
    return bool(texts) and isinstance(texts[0], ChunkedText)
