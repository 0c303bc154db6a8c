"""Hybrid search: the nearest vectors and BM25 over one collection, fused by Qdrant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trivium_gateway.collections import ResolvedCollection
from trivium_gateway.filters import Filter
from trivium_gateway.metadata import Metadata

__all__ = ["Candidate", "DegradedLeg", "Leg", "SearchResult", "Store", "indexed_text"]

Leg = Literal["dense", "sparse"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that the search found.

    Attributes:
        id: Identifies the chunk; it changes when the document does.
        document_id: The document's id.
        chunk_index: Position of the chunk in its document, from 0.
        title: The document's title; may be empty.
        uri: Where the document came from; may be empty.
        text: The chunk's text, `stored_text[start:end]`.
        start: Where the chunk begins in the document's stored text, in code points.
        end: Where it ends, exclusive.
        metadata: The document's metadata.
        dense: Cosine similarity of the vectors; None if that leg did not find the chunk or did not run.
        sparse: BM25 score; None if that leg did not find the chunk or did not run.
        fused: Both fused; None if only one leg ran.
    """

    id: str
    document_id: str
    chunk_index: int
    title: str
    uri: str
    text: str
    start: int
    end: int
    metadata: Metadata
    dense: float | None
    sparse: float | None
    fused: float | None

    @property
    def search_score(self) -> float:
        """The score that the search ordered by: fused, or that of the only leg that ran."""
        return next((score for score in (self.fused, self.dense, self.sparse) if score is not None), 0.0)


@dataclass(frozen=True, slots=True)
class DegradedLeg:
    """A leg of the search that failed, so that the other stood in alone.

    Attributes:
        leg: Which.
        reason: As in `degraded`: `unavailable`, `timeout` or `overloaded`.
    """

    leg: Leg
    reason: Literal["unavailable", "timeout", "overloaded"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search found.

    Attributes:
        candidates: Best first by `search_score`.
        degraded_legs: Legs that were asked for and failed; at most one, since both failing is an error.
    """

    candidates: Sequence[Candidate]
    degraded_legs: Sequence[DegradedLeg]


def indexed_text(title: str, text: str) -> str:
    """Give the text of a chunk as it is embedded, indexed for BM25, and best reranked: under its document's title."""
    return f"{title}\n{text}" if title else text


class Store:
    """Searches the chunks of collections."""

    async def search(
        self,
        collection: ResolvedCollection,
        *,
        vector: Sequence[float] | None,
        text: str | None,
        filter: Filter | None = None,  # noqa: A002 - the word of the interface
        limit: int,
        timeout_seconds: float,
        tenant: str = "default",
    ) -> SearchResult:
        """Find the chunks that are closest to a query.

        Args:
            collection: Where to search.
            vector: The query's vector, of the collection's dimension; None to search by words alone.
            text: The query's text; None to search by vector alone. At least one of both is given.
            filter: Conditions on the chunks.
            limit: Most candidates, from 1.
            timeout_seconds: Time for the whole search, a second attempt with one leg included.
            tenant: Whose chunks to search.

        Raises:
            NotFound: The collection was deleted.
            Unavailable: Qdrant cannot be reached, or both legs failed.
            DeadlineExceeded: Neither leg answered in time.
        """
        raise NotImplementedError
