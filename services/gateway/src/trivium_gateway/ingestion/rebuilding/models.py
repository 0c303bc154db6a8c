"""Finds the service of the model that a collection shall have, and what a change to it would take."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import FailedPrecondition, InvalidField, TriviumError

from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.resolved import resolved
from trivium_gateway.models.embed import EmbedOptions
from trivium_gateway.models.embed_answers import check_late_chunking, check_learned_sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.indexes import IndexBeside
    from trivium_gateway.ingestion.transferring import DocumentTransfer
    from trivium_gateway.library.chunks import ChunkStore
    from trivium_gateway.library.lookup import OwnCollection
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.embed_answers import EmbedModel
    from trivium_gateway.qdrant.points import EmbeddedChunk

__all__ = ["ModelFinder", "RebuildingEstimate"]

_PROBE_DOCUMENTS = 16
_PROBE_CHUNKS = 16
_SHORT_DOCUMENT_CHUNKS = 20
_ALIKE_MEAN, _ALIKE_LEAST = 0.995, 0.98
"""Cosines of a chunk's vectors by the same model in two precisions. Those of two models lie far below."""
_TIMEOUT_SECONDS = 30.0
_BYTES_A_NUMBER = 4
_GRAPH_SHARE = 1.5
"""What vectors take with the graph that they are searched by, against what they take alone."""


@dataclass(frozen=True, slots=True)
class RebuildingEstimate:
    """What it would take to give a collection another model.

    Attributes:
        model: The model.
        pieces: Pieces of documents as they are cut now.
        seconds: About how long the model takes for them, at the rate of some that were just embedded.
        bytes: About how much disk, and memory to have all of it there, the second index takes.
        is_same_model: Whether it makes the vectors that the collection has, so that there is nothing to do.
        tokens: How many tokens the model reads for them, about.
    """

    model: str
    pieces: int
    seconds: float
    bytes: int
    is_same_model: bool
    tokens: int = 0


class ModelFinder:
    """Knows the models that run.

    Args:
        embed: Their services.
        chunks: The chunks of collections, some of which are embedded to compare.
        transfer: Knows how documents are cut now.
    """

    def __init__(self, embed: EmbedClient, chunks: ChunkStore, transfer: DocumentTransfer) -> None:
        self._embed = embed
        self._chunks = chunks
        self._transfer = transfer

    async def making_of(self, name: str, own: OwnCollection) -> IndexMaking | str | None:
        """What an index with a model is made with.

        Args:
            name: The model, or its service, `TRIVIUM_GATEWAY_EMBED_TARGETS` has it.
            own: The index that there is.

        Returns:
            The making; or the fingerprint of the model if it makes the same vectors as the one that there is; None if
            it is that, and documents are cut and embedded as they would be now.

        Raises:
            InvalidField: No service runs it (MODEL_NOT_SERVED).
            FailedPrecondition: The collection wants late chunking, which it cannot do (LATE_CHUNKING_NOT_SUPPORTED), or
                learned sparse vectors, which its service does not give (LEARNED_SPARSE_NOT_SUPPORTED).
            TriviumError: A service that may run it cannot be asked now.
        """
        client, model = await self._find(name)
        if model.fingerprint in (own.described.made.fingerprint, own.described.embedded_by):
            return await self.made_anew(own, model)
        settings = own.described.settings.now.settings
        if settings.late_chunking:
            check_late_chunking(model)
        learned = _learned(own, model)
        alike, *_ = await self._try(client, model, own)
        if alike and learned == own.described.made.learned:
            return model.fingerprint
        return IndexMaking(
            model.name,
            model.fingerprint,
            model.dimension,
            ANALYZER_VERSION,
            secrets.token_hex(4),
            settings.language or "",
            settings.chunking,
            learned,
        )

    async def made_anew(self, own: OwnCollection, model: EmbedModel | None = None) -> IndexMaking | None:
        """What an index with the same model is made with whose documents are cut or weighed anew.

        Args:
            own: The index that there is.
            model: What its service runs; None to ask for it.

        Returns:
            The making; None if documents are cut, and have learned sparse vectors, as they would now.

        Raises:
            FailedPrecondition: There are no such vectors to be had any more (LEARNED_SPARSE_NOT_SUPPORTED).
            TriviumError: The service cannot be asked now.
        """
        now = resolved(own)
        if model is None and now.settings.now.settings.learned_sparse:
            model = await (await self._embed.of(now.embedded_by)).model()
        learned = _learned(own, model)
        is_other = now.is_embedded_otherwise or learned != now.made.learned
        if not is_other and not await self._transfer.is_cut_otherwise(now):
            return None
        settings = now.settings.now.settings
        return replace(
            now.made,
            analyzer=ANALYZER_VERSION,
            generation=secrets.token_hex(4),
            language=settings.language or "",
            chunking=settings.chunking,
            learned=learned,
        )

    async def check_is(self, name: str, beside: IndexBeside, own: OwnCollection) -> None:
        """Refuse a change while another one is not over.

        Raises:
            FailedPrecondition: The model is neither the one that is changed to nor the one that the collection has.
            InvalidField: No service runs it (MODEL_NOT_SERVED).
        """
        _, model = await self._find(name)
        if model.fingerprint == own.described.made.fingerprint and beside.role != "next":
            return
        if beside.role != "next":
            raise FailedPrecondition(
                f"The collection still has its index of {beside.made.model}. Discard that, or go back to it, before "
                "its model is changed again.",
                reason="OTHER_INDEX_KEPT",
            )
        if model.fingerprint != beside.made.fingerprint:
            raise FailedPrecondition(
                f"The collection is changing to {beside.made.model}. Let that end, or discard it.",
                reason="REINDEX_RUNNING",
            )

    async def estimate(self, name: str, own: OwnCollection) -> RebuildingEstimate:
        """Say what a change to a model would take.

        Raises:
            InvalidField: No service runs it (MODEL_NOT_SERVED).
            TriviumError: It cannot be asked now, or a service that may run it.
        """
        client, model = await self._find(name)
        alike, seconds, content_bytes, tokens = await self._try(client, model, own)
        is_its_own = model.fingerprint in (own.described.made.fingerprint, own.described.embedded_by)
        anew = await self.made_anew(own, model) if is_its_own else None
        same = anew is None if is_its_own else alike and _learned(own, model) == own.described.made.learned
        pieces = own.described.point_count
        vector_bytes = model.dimension * _BYTES_A_NUMBER * _GRAPH_SHARE
        return RebuildingEstimate(
            model.name,
            pieces,
            seconds * pieces,
            round((vector_bytes + content_bytes) * pieces),
            same,
            round(tokens * pieces),
        )

    async def _find(self, name: str) -> tuple[EmbedClient, EmbedModel]:
        async def ask(client: EmbedClient) -> EmbedModel | TriviumError:
            try:
                return await client.model()
            except TriviumError as error:
                return error

        clients = self._embed.every
        said = list(zip(clients, await asyncio.gather(*map(ask, clients)), strict=True))
        running = [(client, model) for client, model in said if not isinstance(model, TriviumError)]
        for client, model in running:
            if name in (model.name, client.stage.removeprefix("embed.")):
                return client, model
        for _, away in said:  # nobody knows what that one runs
            if isinstance(away, TriviumError):
                raise away
        there = sorted({model.name for _, model in running})
        raise InvalidField(
            "model",
            f"No embed service runs {name[:80]!r}; there is {', '.join(there) or 'none'}. Start one, and name it in "
            "TRIVIUM_GATEWAY_EMBED_TARGETS.",
            reason="MODEL_NOT_SERVED",
        )

    async def _try(
        self, client: EmbedClient, model: EmbedModel, own: OwnCollection
    ) -> tuple[bool, float, float, float]:
        """Embed some chunks: are their vectors the same, how long one takes, its bytes beside those, and its tokens."""
        sample = await self._sample(own)
        if not sample:
            return False, 0.0, 0.0, 0.0
        texts = [chunk.indexed_text for chunk, _ in sample]
        begin = time.perf_counter()
        made = await client.embed_texts(
            texts, EmbedOptions(truncate=True), is_bulk=True, timeout_seconds=_TIMEOUT_SECONDS
        )
        seconds = (time.perf_counter() - begin) / len(sample)
        beside = sum(len(chunk.text.encode()) + 4 / 3 * len(embedded.token_codes) for chunk, embedded in sample)
        alike = model.dimension == own.described.made.dimension and _are_alike(
            np.asarray([embedded.vector for _, embedded in sample], dtype=np.float32), made.vectors
        )
        return alike, seconds, beside / len(sample), made.token_count / len(sample)

    async def _sample(self, own: OwnCollection) -> Sequence[tuple[Chunk, EmbeddedChunk]]:
        collection = resolved(own)
        heads, _ = await self._chunks.page_of_heads(
            collection, offset="", limit=_PROBE_DOCUMENTS, reader=whole(collection.tenant)
        )
        # With late chunking the pieces of others are not embedded by themselves.
        most = 1 if collection.made.late_chunking else _SHORT_DOCUMENT_CHUNKS
        short = [head.version for head in heads if head.chunk_count <= most]
        return (await self._chunks.embedded(collection, short, collection.tenant))[:_PROBE_CHUNKS]


def _learned(own: OwnCollection, model: EmbedModel | None) -> str:
    """The fingerprint of the learned sparse vectors that a collection wants of a service; empty if it wants none."""
    if model is None or not own.described.settings.now.settings.learned_sparse:
        return ""
    check_learned_sparse(model)
    return model.sparse_fingerprint


def _are_alike(these: NDArray[np.float32], those: NDArray[np.float32]) -> bool:
    """Whether two models have made the same vectors of some texts."""
    norms = np.linalg.norm(these, axis=1) * np.linalg.norm(those, axis=1)
    cosines = (these * those).sum(axis=1) / np.maximum(norms, 1e-12)
    return bool(cosines.mean() >= _ALIKE_MEAN and cosines.min() >= _ALIKE_LEAST)
