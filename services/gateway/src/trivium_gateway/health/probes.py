"""Looks at the services that the stages run in, and has each do its work once."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from trivium_evidence.calibration import calibration_for
from trivium_serving.errors import FailedPrecondition, NotFound, Overloaded, TriviumError

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.readers import whole
from trivium_gateway.health.readiness import SEARCH, StageStatus
from trivium_gateway.models.generate_answers import ModelState
from trivium_gateway.models.ranking import ScoreKind
from trivium_gateway.models.rerank import JudgedText
from trivium_gateway.qdrant.version import too_old

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.library.search import ChunkSearch
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.generate import GenerateClient
    from trivium_gateway.models.health import ServiceHealth
    from trivium_gateway.models.rerank import RerankClient
    from trivium_gateway.qdrant.connection import QdrantConnection

_LOOK_SECONDS = 1.0
_WARM_UP_SECONDS = 30.0
_DESCRIPTION_SECONDS = 10.0
_SEARCH_EVERY_SECONDS = 5.0
# As long as a question's search may take by default: one that is only slow is used all the same.
_SEARCH_SECONDS = 5.0

_UNCALIBRATED = (
    "Scores are not calibrated for this model: they compare within one question only, and no question is refused for "
    "weak evidence."
)
_READS_ALL = (
    "It reads the candidates of each question, since it takes no token vectors that embed gives. Give it its model: "
    "TRIVIUM_RERANK_MODEL or, beside a cross-encoder, TRIVIUM_RERANK_FIRST_MODEL."
)

_JUDGES_NOTHING = (
    "Its model compares token vectors and judges no sentences: words alone do. Give it a model for natural language "
    "inference or a cross-encoder: TRIVIUM_RERANK_BACKEND=cross-encoder and TRIVIUM_RERANK_MODEL."
)

_QUESTION = "What is warm?"
_TEXT = "A room with a stove is warm."


class ServiceProbe:
    """Looks at a model service by its health, and asks for its model now and then.

    Args:
        health: Of the service; its name is that of the stage that runs in it.
        describe: Asks for the model's name, and for what is worth knowing of its state; may be empty.
        work: Has the service do its work once.
        description_seconds: How long a description holds.
    """

    def __init__(
        self,
        health: ServiceHealth,
        *,
        describe: Callable[[], Awaitable[tuple[str, str]]],
        work: Callable[[], Awaitable[None]],
        description_seconds: float = _DESCRIPTION_SECONDS,
    ) -> None:
        self.stage = health.service
        self._health = health
        self._describe = describe
        self._work = work
        self._description_seconds = description_seconds
        self._description: tuple[str, str] | None = None
        self._described_at = 0.0

    async def look(self) -> StageStatus:
        """How the stage is."""
        try:
            await self._health.check(timeout_seconds=_LOOK_SECONDS)
            name, detail = await self._described()
        except BaseException:
            self._description = None
            raise
        return StageStatus(self.stage, True, name, detail)

    async def warm_up(self) -> None:
        """Has the service do its work once."""
        await self._work()

    async def _described(self) -> tuple[str, str]:
        now = time.monotonic()
        if self._description is None or now - self._described_at >= self._description_seconds:
            self._description, self._described_at = await self._describe(), now
        return self._description


class SearchProbe:
    """Looks at Qdrant.

    Args:
        qdrant: The connection that requests use.
        collections: Where to find a collection to search in.
        chunk_search: Searches.
    """

    stage = SEARCH

    def __init__(self, qdrant: QdrantConnection, collections: Collections, chunk_search: ChunkSearch) -> None:
        self._qdrant = qdrant
        self._collections = collections
        self._chunk_search = chunk_search
        self._searched_at = float("-inf")
        self._detail = ""

    async def look(self) -> StageStatus:
        """How Qdrant is: a server that tells its version may still be unable to search, as one without its cluster."""
        version = await self._qdrant.version(timeout_seconds=_LOOK_SECONDS)
        if self._qdrant.is_too_old:
            raise too_old(version)
        now = time.monotonic()
        if now - self._searched_at >= _SEARCH_EVERY_SECONDS:
            await self._search()
            self._searched_at = now
        return StageStatus(SEARCH, True, f"qdrant {version}", self._detail)

    async def warm_up(self) -> None:
        """Searches once by words, if there is anything to search in."""
        collection = await self._some()
        if collection is not None:
            await self._try(collection, None, _QUESTION, _WARM_UP_SECONDS)

    async def _search(self) -> None:
        """Searches once by vector, which costs the same however much there is."""
        collection = await self._some()
        if collection is None:
            return
        vector = [1.0] + [0.0] * (collection.made.dimension - 1)
        try:
            await self._try(collection, vector, None, _SEARCH_SECONDS)
        except NotFound:  # deleted since, by somebody else: another one next time
            self._collections.forget(collection)
        except Overloaded:  # which is no reason to send it fewer gateways' questions
            pass

    async def _try(
        self, collection: ResolvedCollection, vector: list[float] | None, text: str | None, seconds: float
    ) -> None:
        reader = whole(collection.tenant)
        await self._chunk_search.search(
            collection, vector=vector, text=text, limit=1, timeout_seconds=seconds, reader=reader
        )

    async def _some(self) -> ResolvedCollection | None:
        """A collection to search in; None if there is none that is whole."""
        self._detail = ""
        try:
            return await self._collections.some()
        except FailedPrecondition as error:
            # All are damaged. Qdrant works, and who deletes them and ingests again needs this gateway for it.
            self._detail = error.message
            return None


def embed_probe(health: ServiceHealth, client: EmbedClient) -> ServiceProbe:
    """Looks at the embed service, and whether scores are calibrated for its model."""

    async def describe() -> tuple[str, str]:
        model = await client.model(timeout_seconds=_LOOK_SECONDS)
        calibration = calibration_for(model.fingerprint)
        return model.name, _UNCALIBRATED if calibration is None else f"Scores are calibrated for {calibration.name}."

    async def work() -> None:
        await client.tokenize([_TEXT], timeout_seconds=_WARM_UP_SECONDS)
        model = await client.model(timeout_seconds=_WARM_UP_SECONDS)
        await client.embed_query(
            _QUESTION,
            reader=whole(DEFAULT_TENANT),
            expected_fingerprint=model.fingerprint,
            timeout_seconds=_WARM_UP_SECONDS,
        )

    return ServiceProbe(health, describe=describe, work=work)


def rerank_probe(health: ServiceHealth, client: RerankClient, embed_client: EmbedClient) -> ServiceProbe:
    """Looks at the rerank service, and whether it judges by what embed gives, which is far quicker."""

    async def describe() -> tuple[str, str]:
        name = await client.model(timeout_seconds=_LOOK_SECONDS)
        try:
            given = await embed_client.model(timeout_seconds=_LOOK_SECONDS)
        except TriviumError:  # its own stage says so
            return name, ""
        codes = given.token_fingerprint if given.gives_codes else ""
        return name, "" if codes and codes == client.token_fingerprint else _READS_ALL

    async def work() -> None:
        await client.rerank(_QUESTION, [JudgedText(_TEXT)], timeout_seconds=_WARM_UP_SECONDS)

    return ServiceProbe(health, describe=describe, work=work)


def support_probe(health: ServiceHealth, client: RerankClient) -> ServiceProbe:
    """Looks at the service that judges citations, and whether its model can."""

    async def describe() -> tuple[str, str]:
        name = await client.model(timeout_seconds=_LOOK_SECONDS)
        return name, _JUDGES_NOTHING if client.kind is ScoreKind.SIMILARITY else ""

    async def work() -> None:
        await client.rerank(_TEXT, [JudgedText(_TEXT)], timeout_seconds=_WARM_UP_SECONDS)

    return ServiceProbe(health, describe=describe, work=work)


def generate_probe(health: ServiceHealth, client: GenerateClient, *, quotes_engine: bool) -> ServiceProbe:
    """Looks at the generate service. Its language model may load for long while it answers by other means.

    Args:
        health: Of the service.
        client: Calls it.
        quotes_engine: Whether to tell why the language model failed in its engine's own words.
    """
    passage = Passage("", Chunk("", 0, "", "", _TEXT, 0, len(_TEXT), "", 1, {}), 1.0, Scores())

    async def describe() -> tuple[str, str]:
        model = await client.model(timeout_seconds=_LOOK_SECONDS)
        if model.state is ModelState.LOADING:
            how = model.detail if quotes_engine else ""
            return model.name, f"The model is loading; answers are extractive. {how}".rstrip()
        if model.state is ModelState.FAILED:
            why = model.detail if quotes_engine else "The log of the generate service has the cause."
            return model.name, f"The model failed; answers are extractive. {why}".rstrip()
        return model.name, ""

    async def work() -> None:
        answer = client.generate(
            _QUESTION, [passage], history=(), mode=AnswerMode.EXTRACTIVE, timeout_seconds=_WARM_UP_SECONDS
        )
        async with aclosing(answer):
            async for _ in answer:
                pass

    return ServiceProbe(health, describe=describe, work=work, description_seconds=0)
