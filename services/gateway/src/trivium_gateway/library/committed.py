"""Keeps, of what a search found, what belongs to versions that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.qdrant.point_ids import head_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.library.candidates import Candidate
    from trivium_gateway.library.heads import DocumentHeads
    from trivium_gateway.library.resolved import ResolvedCollection


class CommittedCandidates:
    """Looks at the candidates of one request, whose search may be made several times.

    Of each document one version is kept: the one that counts now, or else one that counted a moment ago, during this
    request. The second kind fills the gap while a version is replaced.

    Args:
        heads: Says which versions count.
        collection: Where the search is made.
        reader: As whom it is made.
    """

    def __init__(self, heads: DocumentHeads, collection: ResolvedCollection, reader: Reader) -> None:
        self._heads = heads
        self._collection = collection
        self._reader = reader
        self._counted: dict[str, list[str]] = {}
        self.stale: set[str] = set()
        """Versions that were found and do not count."""

    async def keep(self, candidates: Sequence[Candidate], timeout_seconds: float) -> tuple[list[Candidate], bool]:
        """Sort out what does not count.

        Returns:
            The candidates of versions that count, in their order; and whether to search again without `stale`: a
            version that counts may be found then, or most of what was found did not count.
        """
        found: dict[str, set[str]] = {}
        for one in candidates:
            found.setdefault(one.chunk.document_id, set()).add(one.chunk.version)
        current = await self._current(candidates, found, timeout_seconds)
        for document_id, version in current.items():
            self._counted.setdefault(document_id, []).append(version)
        shown = {document_id: self._shown(document_id, versions) for document_id, versions in found.items()}
        self.stale |= {version for versions in found.values() for version in versions} - set(shown.values())
        self.stale -= set(current.values())
        kept = [one for one in candidates if one.chunk.version == shown[one.chunk.document_id]]
        missing = any(not version and document_id in current for document_id, version in shown.items())
        return kept, missing or 2 * len(kept) < len(candidates)

    def _shown(self, document_id: str, found: set[str]) -> str:
        counted = self._counted.get(document_id, ())
        return next((version for version in reversed(counted) if version in found), "")

    async def _current(
        self, candidates: Sequence[Candidate], found: Mapping[str, set[str]], timeout_seconds: float
    ) -> dict[str, str]:
        # A chunk 0 that was found says what counted when it was; only for the rest it is looked up.
        current = {
            one.chunk.document_id: one.chunk.version
            for one in candidates
            if one.chunk.index == 0 and one.id == head_id(self._reader.tenant, one.chunk.document_id)
        }
        unsure = [
            (document_id, version)
            for document_id, versions in found.items()
            if document_id not in current
            for version in versions
        ]
        if unsure:
            current |= await self._heads.current(self._collection, unsure, self._reader, timeout_seconds)
        return current
