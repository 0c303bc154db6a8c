"""A gateway with a real Qdrant engine behind it, and model services that fail, hang and write on command.

The model services here are real gRPC servers. Their models are a few lines each, so that a test can say what they do;
the real ones are behind the gateway in `tests/e2e`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import re
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest
import pytest_asyncio
from contract.qdrant_under_test import command
from model_services.upstream_words import WORDS
from ports import free_ports
from prometheus_client import CollectorRegistry
from trivium.embed.v1 import embed_service_pb2 as embed_pb
from trivium.embed.v1 import embed_service_pb2_grpc as embed_grpc
from trivium.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.generate.v1 import generate_service_pb2_grpc as generate_grpc
from trivium.rerank.v1 import rerank_service_pb2 as rerank_pb
from trivium.rerank.v1 import rerank_service_pb2_grpc as rerank_grpc
from trivium.type.v1.model_info_pb2 import ModelInfo
from trivium.type.v1.span_pb2 import Span
from trivium.type.v1.usage_pb2 import Usage
from trivium_gateway.app import GatewayProcess
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import TriviumError
from trivium_serving.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_DIMENSION = 32
_WORD = re.compile(r"\w+")

HANG = "hang"
"""A fault: the call does not end until it is cancelled."""


@dataclass
class Call:
    """A call that a peer got."""

    method: str
    request: Any
    request_id: str
    seconds_left: float | None


@dataclass
class Peer:
    """What the model services of these tests have in common."""

    full_name: str
    port: int = 0
    faults: dict[str, TriviumError | grpc.StatusCode | str] = field(default_factory=dict)
    """By method: the error to raise, a code to fail with in WORDS, as no service of Trivium does, or HANG."""
    slow: dict[str, float] = field(default_factory=dict)
    """By method: how many seconds a call takes, for each text where it has some."""
    calls: list[Call] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a hanging call was cancelled."""
    server: GrpcServer | None = None

    async def meet(self, method: str, request: Any, context: Any) -> None:
        """Notes a call, and does to it what the test wants."""
        metadata = dict(context.invocation_metadata())
        self.calls.append(Call(method, request, metadata.get("x-request-id", ""), context.time_remaining()))
        fault = self.faults.get(method)
        if fault == HANG:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if isinstance(fault, grpc.StatusCode):
            await context.abort(fault, WORDS)
        if isinstance(fault, TriviumError):
            raise fault
        if method in self.slow:
            texts = [*getattr(request, "texts", ()), *getattr(request, "passages", ())]
            await asyncio.sleep(self.slow[method] * max(1, len(texts)))

    def reset(self) -> None:
        """Forgets faults and calls."""
        self.faults.clear()
        self.slow.clear()
        self.calls.clear()
        self.cancelled.clear()

    def called(self, method: str) -> list[Call]:
        """The calls of one method."""
        return [call for call in self.calls if call.method == method]

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the peer's servicer."""
        raise NotImplementedError

    async def start(self) -> None:
        """Listens, on the port it had before if there was one."""
        self.server = GrpcServer(
            service="peer",
            listen=f"127.0.0.1:{self.port}",
            full_names=(self.full_name,),
            registry=CollectorRegistry(),
        )
        self.add_to(self.server.grpc)
        self.port = await self.server.start()
        await self.server.health.set_server(True)

    async def stop(self) -> None:
        """Goes away, with all connections."""
        if self.server is not None:
            await self.server.stop(0)
            self.server = None


class EmbedPeer(Peer, embed_grpc.EmbedServiceServicer):
    """Vectors of hashed words: texts with the same words are close."""

    model = ModelInfo(
        name="words",
        fingerprint="0123456789abcdef" * 4,
        backend="test",
        max_input_tokens=256,
        token_fingerprint="cd" * 32,
    )

    def __init__(self, model: ModelInfo | None = None, dimension: int = _DIMENSION) -> None:
        super().__init__(embed_pb.DESCRIPTOR.services_by_name["EmbedService"].full_name)
        self.gives_codes = True
        self.model = model or self.model
        self.dimension = dimension

    def reset(self) -> None:
        super().reset()
        self.gives_codes = True

    def add_to(self, server: grpc.aio.Server) -> None:
        embed_grpc.add_EmbedServiceServicer_to_server(self, server)

    async def Embed(self, request: Any, context: Any) -> Any:
        await self.meet("Embed", request, context)
        return self._embedded(request)

    async def EmbedStream(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async for one in request_iterator:
            await self.meet("EmbedStream", one, context)
            yield embed_pb.EmbedStreamResponse(sequence=one.sequence, response=self._embedded(one.request))

    async def Tokenize(self, request: Any, context: Any) -> Any:
        await self.meet("Tokenize", request, context)
        texts = [embed_pb.TextTokens(starts=[word.start() for word in _WORD.finditer(text)]) for text in request.texts]
        return embed_pb.TokenizeResponse(texts=texts, overhead_tokens=2, max_input_tokens=256)

    async def GetModel(self, request: Any, context: Any) -> Any:
        await self.meet("GetModel", request, context)
        codes = embed_pb.TOKEN_CODES_1_BIT if self.gives_codes else embed_pb.TOKEN_CODES_UNSPECIFIED
        return embed_pb.GetModelResponse(
            model=self.model, dimension=self.dimension, normalized=True, max_texts=256, token_codes=codes
        )

    def _embedded(self, request: Any) -> Any:
        texts = list(request.texts)
        rows = np.zeros((len(texts), self.dimension), dtype="<f4")
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                row[hashlib.sha256(word.encode()).digest()[0] % self.dimension] += 1
            row /= math.sqrt(float((row**2).sum())) or 1
        return embed_pb.EmbedResponse(
            vectors_f32=rows.tobytes(),
            dimension=self.dimension,
            token_counts=[len(_WORD.findall(text)) + 2 for text in texts],
            model=self.model,
            token_codes=[codes_of(text) for text in texts] if request.token_codes and self.gives_codes else [],
            sparse_vectors=[sparse_of(text) for text in texts]
            if request.sparse and self.model.sparse_fingerprint
            else [],
        )


def sparse_of(text: str) -> embed_pb.SparseVector:
    """What the embed service gives for the words of a text: how often each number of letters occurs."""
    lengths = sorted(map(len, _WORD.findall(text)))
    counts = {length: lengths.count(length) for length in lengths}
    return embed_pb.SparseVector(indices=counts.keys(), values=counts.values())


def codes_of(text: str) -> bytes:
    """What the embed service gives for the vectors of a text's tokens."""
    return b"TC of \xff\x00 " + text.encode()


class RerankPeer(Peer, rerank_grpc.RerankServiceServicer):
    """Scores by the share of the query's words that a text has."""

    model = ModelInfo(name="word-share", max_input_tokens=512)

    def __init__(self) -> None:
        super().__init__(rerank_pb.DESCRIPTOR.services_by_name["RerankService"].full_name)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self.kind = rerank_pb.SCORE_KIND_SIMILARITY
        self.rankings: list[Any] | None = None
        """What to answer instead, for answers that break the contract."""
        self.token_fingerprint = ""
        """Whose token codes it takes."""
        self.texts_optional = False
        """Whether it judges by token codes alone."""

    def add_to(self, server: grpc.aio.Server) -> None:
        rerank_grpc.add_RerankServiceServicer_to_server(self, server)

    async def Rerank(self, request: Any, context: Any) -> Any:
        await self.meet("Rerank", request, context)
        words = set(_WORD.findall(request.query.lower()))
        texts = list(request.texts) or [passage.text for passage in request.passages]
        scores = [len(words & set(_WORD.findall(text.lower()))) / max(1, len(words)) for text in texts]
        ordered = sorted(enumerate(scores), key=lambda pair: -pair[1])
        rankings = [rerank_pb.Ranking(index=index, score=score) for index, score in ordered]
        return rerank_pb.RerankResponse(
            rankings=rankings if self.rankings is None else self.rankings,
            score_kind=self.kind,
            token_count=sum(len(_WORD.findall(request.query + " " + text)) for text in texts),
            model=self._model(),
            texts_optional=self.texts_optional,
        )

    async def GetModel(self, request: Any, context: Any) -> Any:
        await self.meet("GetModel", request, context)
        return rerank_pb.GetModelResponse(model=self._model(), score_kind=self.kind, max_texts=1000)

    def _model(self) -> Any:
        model = ModelInfo(token_fingerprint=self.token_fingerprint)
        model.MergeFrom(self.model)
        return model


class GeneratePeer(Peer, generate_grpc.GenerateServiceServicer):
    """Writes the events of `script`: messages as they are, errors raised, HANG hung."""

    def __init__(self) -> None:
        super().__init__(generate_pb.DESCRIPTOR.services_by_name["GenerateService"].full_name)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self.model_name = "writer"
        self.script: list[Any] = [
            delta("Herons eat fish. [1]", (1, 17, 20)),
            delta(" And frogs. [1]", (1, 32, 35)),
            finish(),
        ]
        self.rewritten = {"standalone": ["What do herons eat?"], "queries": ["otters"], "passage": ["Herons eat fish."]}
        """What it makes of any question, by task."""
        self.state = generate_pb.MODEL_STATE_READY
        self.detail = ""

    def add_to(self, server: grpc.aio.Server) -> None:
        generate_grpc.add_GenerateServiceServicer_to_server(self, server)

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self.meet("Generate", request, context)
        for step in self.script:
            if step == HANG:
                self.faults["script"] = HANG
                await self.meet("script", request, context)
            elif isinstance(step, TriviumError):
                raise step
            else:
                yield step

    async def Rewrite(self, request: Any, context: Any) -> Any:
        await self.meet("Rewrite", request, context)
        task = generate_pb.RewriteTask.Name(request.task).removeprefix("REWRITE_TASK_").lower()
        return generate_pb.RewriteResponse(
            texts=self.rewritten[task],
            model=ModelInfo(name="writer"),
            usage=Usage(prompt_tokens=40, completion_tokens=3),
        )

    async def GetModel(self, request: Any, context: Any) -> Any:
        await self.meet("GetModel", request, context)
        return generate_pb.GetModelResponse(model=ModelInfo(name=self.model_name), state=self.state, detail=self.detail)


def delta(text: str, *citations: tuple[int, int, int]) -> Any:
    """A delta; citations are (index, start, end)."""
    made = [generate_pb.Citation(index=i, answer_span=Span(start=start, end=end)) for i, start, end in citations]
    return generate_pb.GenerateResponse(delta=generate_pb.Delta(text=text, citations=made))


def finish(**fields: Any) -> Any:
    """A finish."""
    usage = {"prompt_tokens": 90, "completion_tokens": 7, "is_estimated": True}
    stopped = {"reason": generate_pb.FINISH_REASON_STOP, "model": {"name": "writer"}}
    return generate_pb.GenerateResponse(
        finish=generate_pb.Finish(**{**stopped, "usage": usage, "dropped_passages": [3], **fields})
    )


@dataclass
class Qdrant:
    """A real Qdrant, in a process of its own that can be killed and started again."""

    folder: Path
    port: int
    http_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it listens."""
        arguments, environ = command(
            grpc_port=self.port, http_port=self.http_port, data=self.folder, environ=os.environ
        )
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(arguments, env=environ, stdout=log, stderr=log)
        end = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{self.http_port}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    """Qdrant for all tests of the session; each test uses collections of its own."""
    yield from _qdrant(tmp_path_factory.mktemp("qdrant"))


@pytest.fixture(scope="module")
def own_qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    """A Qdrant that a test may stop, as long as it starts it again."""
    yield from _qdrant(tmp_path_factory.mktemp("qdrant"))


def _qdrant(folder: Path) -> Iterator[Qdrant]:
    port, http_port = free_ports(2)
    qdrant = Qdrant(folder, port, http_port)
    qdrant.start()
    yield qdrant
    qdrant.kill()


@dataclass
class Stack:
    """A gateway and what is behind it."""

    process: GatewayProcess
    http: httpx.AsyncClient
    stub: gateway_grpc.GatewayServiceAsyncStub
    channel: grpc.aio.Channel
    embed: EmbedPeer
    rerank: RerankPeer
    generate: GeneratePeer
    collection: str

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        value = self.process.registry.get_sample_value(name, labels)
        assert value is not None, f"{name}{labels} does not exist"
        return value

    async def create_collection(self) -> None:
        """Creates the test's collection."""
        response = await self.http.post("/v1/collections", json={"name": self.collection})
        assert response.status_code == 201, response.text

    async def add(self, *documents: dict[str, Any]) -> list[dict[str, Any]]:
        """Ingests documents into the test's collection."""
        response = await self.http.post(
            "/v1/documents", json={"documents": list(documents), "collection": self.collection}
        )
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["documents"]
        return results

    async def ask(self, question: str = "What do herons eat?", **fields: Any) -> httpx.Response:
        """Asks over HTTP, in the test's collection."""
        return await self.http.post("/v1/answer", json={"question": question, "collection": self.collection, **fields})

    async def retrieve(self, query: str = "What do herons eat?", **fields: Any) -> httpx.Response:
        """Retrieves over HTTP, in the test's collection."""
        return await self.http.post("/v1/retrieve", json={"query": query, "collection": self.collection, **fields})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # what it waits for is outside this process's events
                await asyncio.sleep(0.01)

    def stage(self, name: str) -> bool:
        """Whether the gateway sees a stage as ready."""
        return self.metric("trivium_gateway_stage_ready", stage=name) == 1


@asynccontextmanager
async def running_stack(
    qdrant: Qdrant, settings: GatewaySettings | None = None, *, cache: str = "off"
) -> AsyncIterator[Stack]:
    """Runs a gateway with its peers; without caches, so that a question that is asked again goes all the way again."""
    embed, rerank, generate = EmbedPeer(), RerankPeer(), GeneratePeer()
    settings = settings or GatewaySettings()
    async with AsyncExitStack() as stack:
        if settings.data_dir == GatewaySettings().data_dir:  # never whatever is kept in the clone
            settings = replace(settings, data_dir=Path(stack.enter_context(tempfile.TemporaryDirectory())))
        for peer in (embed, rerank, generate):
            await peer.start()
            stack.push_async_callback(peer.stop)
        process = GatewayProcess(
            replace(
                settings,
                cache=cache,
                grpc_listen="127.0.0.1:0",
                http_listen="127.0.0.1:0",
                embed_target=f"127.0.0.1:{embed.port}",
                rerank_target=f"127.0.0.1:{rerank.port}",
                generate_target=f"127.0.0.1:{generate.port}",
                qdrant_url=f"http://127.0.0.1:{qdrant.http_port}",
                qdrant_grpc_port=qdrant.port,
                probe_interval_seconds=0.05,
            )
        )
        stack.push_async_callback(process.stop, 0)
        await process.start()
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http_port}", timeout=30)
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc_port}"))
        name = f"test-{os.urandom(6).hex()}"
        running = Stack(process, http, gateway_grpc.GatewayServiceStub(channel), channel, embed, rerank, generate, name)
        await running.until(lambda: all(running.stage(one) for one in ("embed", "search", "rerank", "generate")))
        yield running


DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "id": "heron",
        "title": "The heron",
        "uri": "https://x.org/heron",
        "text": "Herons eat fish and frogs.",
        "metadata": {"year": 2021},
    },
    {
        "id": "otter",
        "title": "The otter",
        "text": "Otters sleep in a holt.",
        "metadata": {"year": 2019, "lang": "en"},
    },
    {"id": "swift", "text": "What do swifts eat? Insects, in flight.", "metadata": {"lang": "en"}},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_stack(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway for the tests of a module, with DOCUMENTS in its collection."""
    async with running_stack(qdrant) as running:
        await running.create_collection()
        assert [result["status"] for result in await running.add(*DOCUMENTS)] == ["indexed"] * 3
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def stack(module_stack: Stack) -> Stack:
    """The module's gateway, whose peers do their work again whatever the test before told them."""
    module_stack.embed.reset()
    module_stack.rerank.reset()
    module_stack.generate.reset()
    return module_stack
