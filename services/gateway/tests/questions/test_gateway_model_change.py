"""A collection gets another embedding model while it answers: nothing is lost, worse is not taken, and it goes back."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from trivium.embed.v1.embed_service_pb2 import TextTokens, TokenizeResponse
from trivium.type.v1.model_info_pb2 import ModelInfo
from trivium_gateway.answering.gate import IndexGate
from trivium_gateway.domain.indexes import IndexRole
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import whole
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.ingester import Ingester
from trivium_gateway.ingestion.rebuilding.change import ModelChange
from trivium_gateway.ingestion.rebuilding.models import ModelFinder
from trivium_gateway.ingestion.rebuilding.passes import Passes, is_left, lacks_all
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.ingestion.transferring import DocumentTransfer
from trivium_gateway.ingestion.writing import DocumentWriter
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import Documents, DocumentStatus, NewDocument
from trivium_gateway.library.feedback import Feedback, FeedbackStore
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.permitting import Permissions
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.library.totals import Totals
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.metering.metrics import MeterMetrics
from trivium_gateway.metering.quotas import Quotas
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_serving.channels import open_channel
from trivium_serving.errors import FailedPrecondition, InvalidField, Unavailable

from .conftest import EmbedPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.reindexing import ReindexProgress

    from .conftest import Qdrant

_WHOLE = whole("default")
_LARGE = ModelInfo(name="words-48", fingerprint="fedcba9876543210" * 4, backend="test", max_input_tokens=256)
_COUNT = 30
_ANIMALS = ("heron", "otter", "swift", "ibis", "coot", "newt", "vole", "lynx", "hare", "mole")
_PLACES = ("river", "meadow", "forest", "marsh", "cliff", "garden", "harbour", "valley", "island")


def _text(number: int) -> str:
    animal, place = _ANIMALS[number % 10], _PLACES[number % 9]
    return f"The {animal} number {number} was seen at the {place} early in the morning by two of our observers. " * 3


def _documents(numbers: Iterable[int], more: str = "") -> list[NewDocument]:
    return [
        NewDocument(id=f"d{one}", title=f"Sighting {one}", text=_text(one) + more, metadata={"number": one})
        for one in numbers
    ]


class ConstantPeer(EmbedPeer):
    """A model that tells nothing apart."""

    def _embedded(self, request: Any) -> Any:
        response = super()._embedded(request)
        response.vectors_f32 = (b"\x00\x00\x80?" + bytes(4 * (self.dimension - 1))) * len(request.texts)
        return response


class LettersPeer(EmbedPeer):
    """A model whose tokens are single letters."""

    async def Tokenize(self, request: Any, context: Any) -> Any:
        await self.meet("Tokenize", request, context)
        texts = [TextTokens(starts=range(len(text))) for text in request.texts]
        return TokenizeResponse(texts=texts, overhead_tokens=2, max_input_tokens=256)


@dataclass
class _Gateway:
    """What of a gateway keeps collections, before two embed services."""

    name: str
    connection: QdrantConnection
    first: EmbedPeer
    large: EmbedPeer
    embed: EmbedClient
    collections: Collections
    ingester: Ingester
    documents: Documents
    permissions: Permissions
    search: ChunkSearch
    feedback: FeedbackStore
    models: ModelFinder
    change: ModelChange

    async def add(self, *documents: NewDocument) -> list[DocumentStatus]:
        collection = await self.collections.resolve(self.name, tenant="default")
        results = await self.ingester.ingest(collection, documents, max_documents=1000, reader=_WHOLE)
        assert not [one.error for one in results if one.error]
        return [one.status for one in results]

    async def delete(self, document_id: str) -> None:
        collection = await self.collections.resolve(self.name, tenant="default")
        assert await self.documents.delete(collection, [document_id], reader=_WHOLE) == [document_id]

    async def permit(self, document_id: str, reader: str) -> None:
        collection = await self.collections.resolve(self.name, tenant="default")
        assert await self.permissions.change(collection, [document_id], [reader], reader=_WHOLE) == [document_id]

    async def work(self, model: str = "", *, force: bool = False) -> ReindexProgress | None:
        return await self.change.work(self.name, tenant="default", model=model, force=force, seconds=0.05)

    async def reindex(self, model: str = "", *, force: bool = False) -> ReindexProgress:
        """Work until it is done or held."""
        while (progress := await self.work(model, force=force)) is not None:
            if progress.done or progress.is_held:
                return progress
        raise AssertionError("there was nothing to do")

    async def described(self) -> CollectionDescription:
        return await self.collections.get(self.name, reader=_WHOLE)

    async def ids(self) -> set[str]:
        collection = await self.collections.resolve(self.name, tenant="default")
        listed, _ = await self.documents.list(collection, page_size=1000, reader=_WHOLE)
        return {one.id for one in listed}

    async def stored(self) -> dict[str, str]:
        """The text of each document."""
        collection = await self.collections.resolve(self.name, tenant="default")
        ids = sorted(await self.ids())
        return {one: (await self.documents.get(collection, one, reader=_WHOLE)).text for one in ids}

    async def found(self, query: str) -> list[str]:
        """The documents that are found by vector, in the index that answers."""
        collection = await self.collections.resolve(self.name, tenant="default")
        embed = await self.embed.of(collection.embedded_by)
        vector = (await embed.embed_query(
            query, reader=_WHOLE, expected_fingerprint=collection.embedded_by, timeout_seconds=30
        )).vector  # fmt: skip
        result = await self.search.search(
            collection, vector=vector, text=None, limit=5, timeout_seconds=30, reader=_WHOLE
        )
        return [one.chunk.document_id for one in result.candidates]

    async def physical(self) -> set[str]:
        return {one for one in await QdrantCollections(self.connection).names() if one.startswith(f"{self.name}__")}

    def forget(self) -> None:
        """As after a crash: all that it keeps in memory of the change is gone."""
        self.change._runs.clear()


@asynccontextmanager
async def _gateway(
    qdrant: Qdrant, folder: Path, large: EmbedPeer | None = None, *, count: int = _COUNT
) -> AsyncIterator[_Gateway]:
    first, large = EmbedPeer(), large or EmbedPeer(_LARGE, 48)
    limits, registry, locks = GatewayLimits(), CollectorRegistry(), KeyedLocks()
    async with AsyncExitStack() as stack:
        channels = []
        for peer in (first, large):
            await peer.start()
            stack.push_async_callback(peer.stop)
            channels.append(await stack.enter_async_context(open_channel(f"127.0.0.1:{peer.port}")))
        embed = EmbedClient(channels[0], further=[EmbedClient(channels[1], name="large")])
        connection = QdrantConnection(f"http://127.0.0.1:{qdrant.http_port}", qdrant.port)
        stack.push_async_callback(connection.close)
        collections = Collections(connection, embed, limits, remember_seconds=0.05)
        chunks, search, feedback = ChunkStore(connection), ChunkSearch(connection), FeedbackStore(folder)
        stack.push_async_callback(feedback.close)
        admission = QuestionAdmission(256, QuestionMetrics(registry))
        room = StorageRoom(Quotas(None, MeterMetrics(registry)), Totals(connection).count)
        originals = Originals(folder / "files", 0)
        ingester = Ingester(collections, chunks, embed, locks, limits, registry, admission, room, originals)
        stack.push_async_callback(ingester.close)
        models = ModelFinder(embed, chunks, ingester.transfer)
        gate = IndexGate(embed, search, chunks, feedback)
        gateway = _Gateway(
            f"change-{os.urandom(4).hex()}",
            connection,
            first,
            large,
            embed,
            collections,
            ingester,
            Documents(chunks, locks, originals, limits),
            Permissions(collections, chunks, locks, limits),
            search,
            feedback,
            models,
            ModelChange(connection, collections, models, ingester.transfer, gate),
        )
        await collections.create(gateway.name, reader=_WHOLE)
        await gateway.add(*_documents(range(count)))
        yield gateway
        await collections.delete(gateway.name, tenant="default")


async def test_collection_gets_another_model_while_it_answers_and_is_the_same(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path) as gateway:
        before = await gateway.stored()
        estimate = await gateway.change.estimate(gateway.name, tenant="default", model="words-48")
        asked, progress = [], await gateway.work("words-48")
        while progress is not None and not progress.done:
            assert not progress.is_held
            asked.append(await gateway.found(_text(7)))
            progress = await gateway.work("large")

        assert (estimate.model, estimate.pieces, estimate.is_same_model) == ("words-48", _COUNT, False)
        assert estimate.seconds > 0
        assert estimate.bytes > _COUNT * 48 * 4
        assert estimate.tokens >= _COUNT
        assert {found[0] for found in asked} == {"d7"}  # at each part of the way
        assert progress is not None
        assert progress.comparison is not None
        assert progress.comparison.made_count == _COUNT
        assert not progress.comparison.is_worse
        described = await gateway.described()
        assert (described.model, described.dimension, described.chunk_count) == ("words-48", 48, _COUNT)
        assert described.beside is not None
        assert (described.beside.role, described.beside.made.model) == (IndexRole.PREVIOUS, "words")
        assert described.comparison == progress.comparison
        assert described.metadata_keys.keys() == {"number"}
        assert await gateway.stored() == before
        assert (await gateway.found(_text(7)))[0] == "d7"
        # What is sent again is what would be made of it anew.
        assert set(await gateway.add(*_documents(range(_COUNT)))) == {DocumentStatus.UNCHANGED}
        assert await gateway.work() is None
        await gateway.change.discard(gateway.name, tenant="default")
        assert (await gateway.described()).beside is None
        assert len(await gateway.physical()) == 1


@pytest.mark.parametrize("moment", ["filling", "comparing", "switching"])
async def test_writes_and_deletions_while_the_model_changes_are_kept(
    qdrant: Qdrant, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner: Any
    owner, method = {
        "filling": (DocumentWriter, "write"),
        "comparing": (IndexGate, "begin"),
        "switching": (QdrantCollections, "point_alias"),
    }[moment]
    async with _gateway(qdrant, tmp_path) as gateway:
        before, real = await gateway.stored(), getattr(owner, method)
        happened: list[str] = []

        async def meanwhile(self: Any, *arguments: Any, **more: Any) -> Any:
            if not happened:
                happened.append(moment)
                changed = await gateway.add(*_documents([3], "Late."), *_documents([_COUNT]))
                assert changed == [DocumentStatus.UPDATED, DocumentStatus.INDEXED]
                await gateway.delete("d4")
                await gateway.permit("d5", "user:ann")
            return await real(self, *arguments, **more)

        monkeypatch.setattr(owner, method, meanwhile)
        changed = await gateway.reindex("words-48")

        assert (happened, changed.done) == ([moment], True)
        after = await gateway.stored()
        assert after.keys() == (before.keys() | {f"d{_COUNT}"}) - {"d4"}
        assert after["d3"].endswith("Late.")
        collection = await gateway.collections.resolve(gateway.name, tenant="default")
        assert (await gateway.documents.get(collection, "d5", reader=_WHOLE)).readers == frozenset({"user:ann"})
        assert collection.made.model == "words-48"


@pytest.mark.parametrize("back", [False, True])
async def test_document_that_is_brought_while_it_is_deleted_or_hidden_stays_so(
    qdrant: Qdrant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, back: bool
) -> None:
    async with _gateway(qdrant, tmp_path, count=6) as gateway:
        progress = await gateway.work("words-48")
        while back and progress is not None and not progress.done:
            progress = await gateway.work("words-48")
        if back:
            await gateway.add(*_documents(range(6), "After the change."))
            await gateway.change.roll_back(gateway.name, tenant="default")
        collection = await gateway.collections.resolve(gateway.name, tenant="default")
        first, second = collection, collection.other()
        assert second is not None
        source, target = (second, first) if back else (first, second)
        real_delete, real_permit = ChunkStore.delete_versions, ChunkStore.permit
        happened: list[str] = []

        own = gateway.ingester.transfer
        other = DocumentTransfer(own._chunks, KeyedLocks(), own._preparer, own._cutter, own._writer)

        async def bring() -> None:
            """Another gateway brings what the target lacks, between the changes of the two indexes."""
            page = await other.bring_page(source, target, "", is_left if back else lacks_all)
            assert not page.failures

        async def delete(self: ChunkStore, place: Any, *arguments: Any) -> None:
            await real_delete(self, place, *arguments)
            if not happened:
                happened.append("deleted")
                await bring()

        async def permit(self: ChunkStore, place: Any, *arguments: Any) -> None:
            await real_permit(self, place, *arguments)
            if len(happened) == 1:
                happened.append("hidden")
                await bring()

        monkeypatch.setattr(ChunkStore, "delete_versions", delete)
        await gateway.delete("d4")
        monkeypatch.setattr(ChunkStore, "permit", permit)
        await gateway.permit("d5", "user:ann")
        monkeypatch.undo()

        assert happened == ["deleted", "hidden"]
        assert (await gateway.reindex()).done
        assert await gateway.ids() == {f"d{one}" for one in range(6)} - {"d4"}
        now = await gateway.collections.resolve(gateway.name, tenant="default")
        assert (await gateway.documents.get(now, "d5", reader=_WHOLE)).readers == frozenset({"user:ann"})


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (QdrantCollections, "keep_beside"),
        (QdrantCollections, "create"),
        (DocumentWriter, "write"),
        (DocumentTransfer, "bring_page"),
        (IndexGate, "begin"),
        (QdrantCollections, "keep_report"),
        (QdrantCollections, "point_alias"),
        (Passes, "go_on"),
    ],
)
async def test_change_of_the_model_that_breaks_off_anywhere_goes_on_and_loses_nothing(
    qdrant: Qdrant, tmp_path: Path, owner: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _gateway(qdrant, tmp_path, count=12) as gateway:
        before, real, calls = await gateway.stored(), getattr(owner, step), []

        async def break_off(self: Any, *arguments: Any, **more: Any) -> Any:
            calls.append(step)
            done = await real(self, *arguments, **more)
            if len(calls) in (1, 3):
                raise Unavailable("gone", reason="UPSTREAM_UNAVAILABLE")
            return done

        monkeypatch.setattr(owner, step, break_off)
        is_over = False
        while not is_over:
            try:
                progress = await gateway.work("words-48")
                is_over = progress is None or progress.done
            except Unavailable:
                gateway.forget()
            assert await gateway.ids() == before.keys()
        monkeypatch.undo()

        assert calls
        assert await gateway.stored() == before
        described = await gateway.described()
        assert (described.model, described.chunk_count) == ("words-48", 12)
        assert len(await gateway.physical()) == 2
        assert described.beside is not None
        assert described.beside.is_settled
        await gateway.change.discard(gateway.name, tenant="default")
        assert len(await gateway.physical()) == 1


async def test_index_that_finds_less_does_not_answer_unless_it_is_forced_to(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path, ConstantPeer(_LARGE, 48)) as gateway:
        by_vectors_alone = CollectionSettings(sparse_weight=0.0)  # words would find the same in both
        tuning = CollectionTuning(gateway.connection, gateway.collections, gateway.embed)
        await tuning.change(gateway.name, by_vectors_alone, tenant="default")
        for number in range(_COUNT):
            asked, document = _text(number), f"d{number}"
            said = Feedback(
                f"r{number}", "", number, 1, "", "", (document,), asked, gateway.name, "", (), refused=False
            )
            await gateway.feedback.put("default", said)

        held = await gateway.reindex("words-48")

        assert held.is_held
        assert held.comparison is not None
        assert held.comparison.labelled_count == _COUNT
        assert held.comparison.high < 0
        assert held.comparison.after < held.comparison.before
        described = await gateway.described()
        assert described.model == "words"
        assert described.beside is not None
        assert described.beside.role is IndexRole.NEXT
        assert (await gateway.reindex()).is_held
        assert (await gateway.reindex(force=True)).done
        described = await gateway.described()
        assert (described.model, described.comparison) == ("words-48", held.comparison)


async def test_index_that_is_made_can_be_given_up(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path, count=6) as gateway:
        assert await gateway.work("words-48") is not None
        with pytest.raises(FailedPrecondition) as refused:
            await gateway.change.roll_back(gateway.name, tenant="default")

        await gateway.change.discard(gateway.name, tenant="default")

        assert refused.value.reason == "NO_EARLIER_INDEX"
        described = await gateway.described()
        assert (described.model, described.beside) == ("words", None)
        assert len(await gateway.physical()) == 1
        assert await gateway.work() is None


async def test_rollback_answers_at_once_and_brings_back_what_was_written_since(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path) as gateway:
        before = await gateway.stored()
        await gateway.reindex("words-48")
        await gateway.add(*_documents([2], "After the change."), *_documents([_COUNT]))
        await gateway.delete("d6")
        embedded = len(gateway.first.called("EmbedStream"))

        begin = time.monotonic()
        await gateway.change.roll_back(gateway.name, tenant="default")
        seconds = time.monotonic() - begin
        described = await gateway.described()
        assert len(gateway.first.called("EmbedStream")) == embedded  # no work that grows with the collection
        added = await gateway.add(*_documents([7], "After the rollback."))
        await gateway.change.roll_back(gateway.name, tenant="default")  # as by who got no answer
        assert (await gateway.described()).beside == described.beside
        assert (await gateway.reindex()).done

        print(f"rolled back in {seconds:.3f} s")
        assert described.model == "words"
        assert described.beside is not None
        assert described.beside.role is IndexRole.LEFT
        assert added == [DocumentStatus.UPDATED]
        after = await gateway.stored()
        assert after.keys() == (before.keys() | {f"d{_COUNT}"}) - {"d6"}
        assert after["d2"].endswith("After the change.")
        assert after["d7"].endswith("After the rollback.")
        assert len(await gateway.physical()) == 1
        # And there again.
        assert (await gateway.reindex("words-48")).done
        assert await gateway.stored() == after


async def test_same_model_behind_another_address_is_recognised_and_needs_nothing(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    same = ModelInfo(name="words@api", fingerprint="5a" * 32, backend="test", max_input_tokens=256)
    async with _gateway(qdrant, tmp_path, EmbedPeer(same, 32)) as gateway:
        estimate = await gateway.change.estimate(gateway.name, tenant="default", model="words@api")
        progress = await gateway.reindex("words@api")
        await gateway.first.stop()

        assert estimate.is_same_model
        assert (progress.done, progress.is_same_model) == (True, True)
        assert (await gateway.found(_text(7)))[0] == "d7"
        assert set(await gateway.add(*_documents(range(_COUNT)))) == {DocumentStatus.UNCHANGED}
        assert await gateway.add(*_documents([_COUNT + 1])) == [DocumentStatus.INDEXED]
        assert len(await gateway.physical()) == 1


async def test_documents_are_cut_anew_by_the_tokens_of_the_new_model(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path, LettersPeer(_LARGE, 48), count=6) as gateway:
        before = await gateway.stored()
        assert (await gateway.described()).chunk_count == 6

        assert (await gateway.reindex("words-48")).done

        described = await gateway.described()
        assert described.chunk_count is not None
        assert described.chunk_count >= 2 * 6
        assert await gateway.stored() == before
        assert set(await gateway.add(*_documents(range(6)))) == {DocumentStatus.UNCHANGED}


async def test_documents_are_cut_anew_for_the_same_model_once_the_chunking_is_another(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    async with _gateway(qdrant, tmp_path, count=6) as gateway:
        before, transfer = await gateway.stored(), gateway.ingester.transfer
        assert await gateway.work("words") is None
        transfer._preparer._chunking = transfer._cutter._settings = ChunkingSettings(chunk_tokens=20, overlap_tokens=4)

        estimate = await gateway.change.estimate(gateway.name, tenant="default", model="words")
        assert (await gateway.reindex("words")).done

        assert not estimate.is_same_model
        described = await gateway.described()
        assert (described.model, described.model_fingerprint) == ("words", EmbedPeer.model.fingerprint)
        assert described.chunk_count is not None
        assert described.chunk_count >= 2 * 6
        assert described.comparison is not None
        assert await gateway.stored() == before
        assert set(await gateway.add(*_documents(range(6)))) == {DocumentStatus.UNCHANGED}
        assert await gateway.work("words") is None
        transfer._preparer._chunking = transfer._cutter._settings = ChunkingSettings()
        with pytest.raises(FailedPrecondition) as kept:
            await gateway.work("words")
        assert kept.value.reason == "OTHER_INDEX_KEPT"

        await gateway.change.roll_back(gateway.name, tenant="default")
        assert (await gateway.reindex()).done

        assert (await gateway.described()).chunk_count == 6
        assert await gateway.stored() == before


async def test_documents_are_cut_anew_once_the_collection_says_another_chunking(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path, count=6) as gateway:
        before, tuning = (
            await gateway.stored(),
            CollectionTuning(gateway.connection, gateway.collections, gateway.embed),
        )
        await tuning.change(gateway.name, CollectionSettings(chunk_tokens=20), tenant="default")
        assert (await gateway.described()).needs_reindex
        assert (await gateway.described()).chunk_count == 6
        assert await gateway.add(*_documents([6])) == [DocumentStatus.INDEXED]
        assert ((await gateway.described()).chunk_count or 0) > 7

        assert (await gateway.reindex()).done

        described = await gateway.described()
        assert not described.needs_reindex
        assert (described.chunk_count or 0) >= 2 * 7
        assert described.comparison is not None
        assert before.items() <= (await gateway.stored()).items()
        assert set(await gateway.add(*_documents(range(7)))) == {DocumentStatus.UNCHANGED}
        await gateway.change.roll_back(gateway.name, tenant="default")
        assert (await gateway.reindex()).done
        assert (await gateway.described()).needs_reindex


async def test_collection_that_was_empty_when_its_chunking_was_said_is_cut_so(qdrant: Qdrant, tmp_path: Path) -> None:
    async with _gateway(qdrant, tmp_path, count=0) as gateway:
        tuning = CollectionTuning(gateway.connection, gateway.collections, gateway.embed)
        await tuning.change(gateway.name, CollectionSettings(chunk_tokens=20), tenant="default")
        await gateway.add(*_documents(range(3)))

        assert not (await gateway.described()).needs_reindex
        assert await gateway.work() is None


async def test_change_to_a_model_that_nobody_runs_or_beside_another_says_what_to_do(
    qdrant: Qdrant, tmp_path: Path
) -> None:
    async with _gateway(qdrant, tmp_path, count=5) as gateway:
        with pytest.raises(InvalidField, match="words-48") as unknown:
            await gateway.work("nobody")
        await gateway.first.stop()
        with pytest.raises(Unavailable):  # what runs there is not known
            await gateway.work("nobody")
        await gateway.first.start()
        await gateway.reindex("words-48")
        with pytest.raises(FailedPrecondition) as back:
            await gateway.work("words")

        assert unknown.value.reason == "MODEL_NOT_SERVED"
        assert back.value.reason == "OTHER_INDEX_KEPT"
