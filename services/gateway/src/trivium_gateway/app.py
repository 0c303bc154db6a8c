"""Puts the gateway together from its settings, and runs it from start to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from trivium_serving.addresses import is_loopback
from trivium_serving.body_budget import BodyBudget
from trivium_serving.channels import open_channel
from trivium_serving.errors import TriviumError
from trivium_serving.heap import freeze_heap
from trivium_serving.message_gate import MessageGate
from trivium_serving.pulse import Pulse, health_of
from trivium_serving.server import GrpcServer, ListenError, serve_metrics
from trivium_serving.slow_readers import SlowReaders
from trivium_serving.tls import TlsError

from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.key_store import FileKeyStore, RedisKeyStore
from trivium_gateway.access.keyring import Access
from trivium_gateway.access.keys import given_key
from trivium_gateway.answering.answerer import Answerer, WritingTimeouts
from trivium_gateway.answering.embedding import TextEmbedder
from trivium_gateway.answering.explaining import Explainer
from trivium_gateway.answering.feedback import FeedbackBox
from trivium_gateway.answering.reranking import Reranker
from trivium_gateway.answering.retrieval import Retriever
from trivium_gateway.answering.rewriting import QuestionRewriter, RewritingMeans
from trivium_gateway.answering.stages import RetrievalStages, StageTimeouts
from trivium_gateway.answering.trace_store import TraceMetrics, Traces
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.gateway import Gateway, Library, Questions
from trivium_gateway.health.metrics import StageMetrics
from trivium_gateway.health.probes import SearchProbe, embed_probe, generate_probe, rerank_probe
from trivium_gateway.health.readiness import SEARCH, Readiness
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.extraction import ExtractionSettings
from trivium_gateway.ingestion.ingester import Ingester
from trivium_gateway.ingestion.jobs.database import JobDatabase
from trivium_gateway.ingestion.jobs.jobs import Jobs
from trivium_gateway.ingestion.jobs.metrics import JobMetrics
from trivium_gateway.ingestion.jobs.queue import JobQueue
from trivium_gateway.ingestion.jobs.runner import JobRunner
from trivium_gateway.ingestion.jobs.spool import Spool
from trivium_gateway.ingestion.jobs.store import JobStore
from trivium_gateway.ingestion.sweeping import Sweeper
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import Documents
from trivium_gateway.library.feedback import FileFeedbackStore, RedisFeedbackStore
from trivium_gateway.library.leg_ranks import LegRanks
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.metrics import DocumentMetrics
from trivium_gateway.library.reindexing import Reindexer
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.models import embed, generate, rerank
from trivium_gateway.models.health import ServiceHealth
from trivium_gateway.qdrant.collections import Distribution
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.request.admission import CallLimit, QuestionAdmission
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.request.outcomes import Outcomes
from trivium_gateway.request.principal import Scope
from trivium_gateway.surfaces.door import let_call_in
from trivium_gateway.surfaces.grpc import feedback, jobs, keys, servicer, traces
from trivium_gateway.surfaces.http.application import http_application
from trivium_gateway.surfaces.http.connections import (
    ConnectionLimits,
    Connections,
    grpc_connections_within,
    http_connections_within,
    raise_file_limit,
)
from trivium_gateway.surfaces.http.middleware import ProbesOnly
from trivium_gateway.surfaces.http.origins import OriginPolicy
from trivium_gateway.surfaces.http.server import HttpServer
from trivium_gateway.surfaces.metrics import DoorMetrics, HttpMetrics

if TYPE_CHECKING:
    from trivium_gateway.library.feedback import FeedbackStore
    from trivium_gateway.settings import GatewaySettings
    from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint

_logger = logging.getLogger(__name__)

_KEYS = "gateway/keys.sqlite"
_AUDIT = "gateway/audit"
_JOBS = "gateway/jobs"
_FEEDBACK = "gateway/feedback.sqlite"
_FIRST_KEY = "gateway/first-key"

_EXPLANATIONS = 4
"""Explanations at once: each follows the search far down."""

_SWITCH_SECONDS = 0.001
"""How long a thread that cuts documents or counts words may keep the event loop waiting; Python's own is 5 ms."""


class GatewayProcess:
    """The gateway with its connections and servers. Create it inside the event loop that it is to run in.

    Args:
        settings: How it is set up.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.registry = CollectorRegistry()
        self._channels = {
            "embed": open_channel(settings.embed_target),
            "rerank": open_channel(settings.rerank_target),
            "generate": open_channel(settings.generate_target),
        }
        files = raise_file_limit()
        limits = ConnectionLimits(
            settings.max_connections or http_connections_within(files), settings.keep_alive_seconds
        )
        slow_readers = SlowReaders(settings.max_questions // 2)
        door = DoorMetrics(self.registry)
        bodies = BodyBudget(settings.max_body_bytes_in_flight, door.count_refused_body)
        door.follow_bodies(bodies)
        self._model_channel = open_channel(settings.generate_target, health=generate.MODEL_HEALTH_NAME)
        self._qdrant = QdrantConnection(
            settings.qdrant_url,
            settings.qdrant_grpc_port,
            settings.qdrant_api_key,
            settings.qdrant_tls_ca,
            settings.qdrant_compression,
        )
        notes = settings.audit == "on" or (settings.audit == "auto" and settings.auth != "off")
        self._audit = AuditLog(
            settings.data_dir / _AUDIT if notes else None, self.registry, is_logged=settings.audit == "log"
        )
        self._access = _access(settings, self._audit)
        self._grpc = GrpcServer(
            service="gateway",
            listen=settings.grpc_listen,
            full_names=(servicer.FULL_NAME, jobs.FULL_NAME, keys.FULL_NAME, traces.FULL_NAME, feedback.FULL_NAME),
            registry=self.registry,
            let_in=partial(let_call_in, self._access.guard),
            gate=MessageGate(bodies),
            max_connections=grpc_connections_within(files),
            stall_seconds=limits.stall_seconds,
            slow_readers=slow_readers,
        )
        self.background = self._grpc.background
        self.gateway = gateway = self._compose()
        servicer.serve(gateway, self._grpc.grpc)
        jobs.serve(gateway, self._grpc.grpc)
        keys.serve(self._access.keyring, self._grpc.grpc)
        traces.serve(gateway, self._grpc.grpc)
        feedback.serve(gateway, self._grpc.grpc)
        self._readiness = gateway.readiness
        origins = OriginPolicy.of(settings.allowed_origins, settings.allowed_hosts)
        app = http_application(
            gateway,
            self.registry,
            HttpMetrics(self.registry),
            bodies,
            self._access,
            origins,
            _mcp_endpoint(gateway, settings.mcp),
        )
        connections = Connections(limits, door, ProbesOnly(app), slow_readers)
        self._http = HttpServer(app, settings.http_listen, self.background, connections)
        self.grpc_port = 0
        self.http_port = 0

    def _compose(self) -> Gateway:
        settings, limits = self._settings, GatewayLimits()
        # Who asks from another machine is not told what this one's network looks like; a developer needs to know.
        is_private = is_loopback(settings.grpc_listen) and is_loopback(settings.http_listen)
        embed_client = embed.EmbedClient(self._channels["embed"])
        rerank_client = rerank.RerankClient(self._channels["rerank"])
        generate_client = generate.GenerateClient(self._channels["generate"], self._model_channel)
        distribution = Distribution(settings.qdrant_shard_number, settings.qdrant_replication_factor)
        collections = Collections(self._qdrant, embed_client, limits, distribution=distribution)
        chunk_search = ChunkSearch(self._qdrant)
        chunks, locks = ChunkStore(self._qdrant), KeyedLocks()
        question_metrics = QuestionMetrics(self.registry)
        chunking = ChunkingSettings(settings.chunk_tokens, settings.chunk_overlap_tokens)
        extraction = ExtractionSettings(settings.parse_processes, settings.parse_seconds_per_megabyte)
        admission = QuestionAdmission(settings.max_questions, question_metrics)
        self._ingester = Ingester(
            collections, chunks, embed_client, locks, limits, self.registry, admission, chunking, extraction
        )
        self._sweeper = Sweeper(collections, chunks)
        stage_metrics, outcomes = StageMetrics(self.registry), Outcomes()
        self._pulses = {
            stage: Pulse(f"The {stage} service", health_of(channel), partial(stage_metrics.count_silence, stage))
            for stage, channel in self._channels.items()
        }
        self._pulses[SEARCH] = Pulse("Qdrant", self._qdrant.ask, partial(stage_metrics.count_silence, SEARCH))
        readiness = Readiness(
            (
                embed_probe(self._health("embed", embed.FULL_NAME), embed_client),
                SearchProbe(self._qdrant, collections, chunk_search),
                rerank_probe(self._health("rerank", rerank.FULL_NAME), rerank_client, embed_client),
                generate_probe(self._health("generate", generate.FULL_NAME), generate_client, quotes_engine=is_private),
            ),
            metrics=stage_metrics,
            interval_seconds=settings.probe_interval_seconds,
            warm_up_seconds=settings.warm_up_seconds,
            on_change=self._grpc.health.set_server,
            outcomes=outcomes,
            addresses=self._addresses() if is_private else None,
        )
        retriever = Retriever(
            RetrievalStages(
                collections=collections,
                embed=embed_client,
                chunk_search=chunk_search,
                rerank=rerank_client,
                timeouts=StageTimeouts(
                    settings.embed_timeout_seconds, settings.search_timeout_seconds, settings.rerank_timeout_seconds
                ),
            )
        )
        rewriter = QuestionRewriter(generate_client, RewritingMeans(settings.rewrite), settings.rewrite_timeout_seconds)
        self._traces = Traces(
            settings.trace_bytes, settings.trace_seconds, _answering_settings(settings), TraceMetrics(self.registry)
        )
        explainer = Explainer(
            collections=collections,
            embed=embed_client,
            chunk_search=chunk_search,
            leg_ranks=LegRanks(self._qdrant),
            limits=limits,
            timeout_seconds=settings.search_timeout_seconds,
        )
        questions = Questions(
            rewriter=rewriter,
            retriever=retriever,
            answerer=Answerer(
                retriever,
                generate_client,
                WritingTimeouts(settings.generate_begin_timeout_seconds, settings.generate_timeout_seconds),
                None if settings.refusal == "auto" else Refusal(settings.refusal),
            ),
            reranker=Reranker(rerank_client),
            embedder=TextEmbedder(embed_client),
            admission=admission,
            pulses=self._pulses,
            outcomes=outcomes,
            metrics=question_metrics,
            traces=self._traces,
            explainer=explainer,
            explanations=CallLimit("explanations", _EXPLANATIONS, settings.document_timeout_seconds),
            limits=limits,
            longest_seconds=settings.request_timeout_seconds,
        )
        documents = Documents(chunks, locks, limits)
        library = Library(
            reindexer=Reindexer(self._qdrant, collections, embed_client),
            tuning=CollectionTuning(self._qdrant, collections),
            collections=collections,
            documents=documents,
            ingester=self._ingester,
            ingestions=CallLimit("ingestions", settings.max_ingestions, settings.ingest_timeout_seconds),
            calls=CallLimit(
                "calls about documents and collections", settings.max_document_calls, settings.document_timeout_seconds
            ),
            audit=self._audit,
            qdrant=self._pulses[SEARCH],
            document_metrics=DocumentMetrics(self.registry),
            question_metrics=question_metrics,
            limits=limits,
        )
        self._feedback = FeedbackBox(
            _feedback_store(settings),
            traces=self._traces,
            collections=collections,
            documents=documents,
            registry=self.registry,
            limits=limits,
        )
        jobs = self._jobs(library, collections, limits)
        return Gateway(questions, library, jobs, self._feedback, readiness, limits)

    def _jobs(self, library: Library, collections: Collections, limits: GatewayLimits) -> Jobs:
        folder = self._settings.data_dir / _JOBS
        self._job_database = JobDatabase(folder / "jobs.sqlite")
        spool = Spool(folder / "documents")
        self._job_runner = JobRunner(
            JobQueue(self._job_database),
            spool,
            folder / "lock",
            library.ingest_unbounded,
            JobMetrics(self.registry),
            limits.max_job_age_seconds,
        )
        store = JobStore(self._job_database)
        return Jobs(store, spool, self._job_runner, collections, limits, self._settings.max_job_bytes)

    def _health(self, service: str, full_name: str) -> ServiceHealth:
        return ServiceHealth(service, self._channels[service], full_name)

    def _addresses(self) -> dict[str, str]:
        settings = self._settings
        return {
            "embed": settings.embed_target,
            SEARCH: self._qdrant.address,
            "rerank": settings.rerank_target,
            "generate": settings.generate_target,
        }

    async def start(self) -> None:
        """Starts to listen and to look at the services, whichever of them are there.

        Raises:
            ListenError: An address is taken or not this machine's.
            Unavailable: The keys cannot be read.
        """
        await self._open_access()
        try:
            self.grpc_port = await self._grpc.start()
        except ListenError as error:
            hint = error.message.replace("TRIVIUM_GATEWAY_LISTEN", "TRIVIUM_GATEWAY_GRPC_LISTEN")
            raise ListenError(hint) from error
        self.http_port = await self._http.start()
        serve_metrics("gateway", self._settings.http_listen, self._settings.metrics_port, self.registry)
        for stage, pulse in self._pulses.items():
            self.background.start(f"pulse.{stage}", pulse.watch)
        self._readiness.watch(self.background)
        if not self._access.guard.is_open:
            self.background.start("keys", self._access.guard.follow)
        self.background.start("sweep", self._sweeper.run)
        self.background.start("jobs", self._job_runner.run)
        self.background.start("traces", self._traces.follow)

    async def _open_access(self) -> None:
        """Reads the keys, and makes the first one where there is none."""
        if self._access.guard.is_open:
            return
        first = self._settings.data_dir / _FIRST_KEY
        if self._settings.admin_key:
            await self._access.guard.load()
        elif await self._access.keyring.make_first(first):
            _logger.warning("made the first key, which may do everything: read it in %s", first)

    async def stop(self, drain_seconds: float) -> None:
        """Tells health checks, refuses new calls, gives running ones some time to end, and closes everything."""
        await self._readiness.drain()
        await asyncio.gather(self._grpc.stop(drain_seconds), self._http.stop(drain_seconds))
        await self.background.close()
        self._job_database.close()
        await self._ingester.close()
        await self._qdrant.close()
        await self._access.guard.close()
        await self._feedback.close()
        for channel in (*self._channels.values(), self._model_channel):
            await channel.close()


def check_access(settings: GatewaySettings) -> None:
    """Refuses settings that let strangers do everything.

    Raises:
        ValueError: They do; or the key that they give, or the address of Redis, is none.
    """
    others = [listen for listen in (settings.grpc_listen, settings.http_listen) if not is_loopback(listen)]
    if settings.auth == "off" and others and settings.allow_anonymous != "yes":
        raise ValueError(
            f"others reach {' and '.join(others)}, and without keys everybody may read and delete everything. Set "
            "TRIVIUM_GATEWAY_AUTH=keys; or, if something before the gateway asks who comes, "
            "TRIVIUM_GATEWAY_ALLOW_ANONYMOUS=yes"
        )
    _access(settings, AuditLog(None, CollectorRegistry()))


def _access(settings: GatewaySettings, audit: AuditLog) -> Access:
    """Who may ask."""
    if settings.auth == "off":
        return Access.kept_in(None, audit)
    given = [given_key(settings.admin_key, DEFAULT_TENANT, frozenset(Scope))] if settings.admin_key else []
    store = RedisKeyStore(settings.redis_url) if settings.redis_url else FileKeyStore(settings.data_dir / _KEYS)
    return Access.kept_in(store, audit, given)


def _feedback_store(settings: GatewaySettings) -> FeedbackStore:
    """Where feedback is kept: where keys are."""
    if settings.redis_url:
        return RedisFeedbackStore(settings.redis_url)
    return FileFeedbackStore(settings.data_dir / _FEEDBACK)


def _answering_settings(settings: GatewaySettings) -> dict[str, Any]:
    """What decides how questions are answered, for those who read traces."""
    names = (
        "rewrite",
        "refusal",
        "request_timeout_seconds",
        "rewrite_timeout_seconds",
        "embed_timeout_seconds",
        "search_timeout_seconds",
        "rerank_timeout_seconds",
        "generate_begin_timeout_seconds",
        "generate_timeout_seconds",
    )
    return {name: getattr(settings, name) for name in names}


def _mcp_endpoint(gateway: Gateway, setting: str) -> McpEndpoint | None:
    """What answers at /mcp; the protocol's library is loaded only if anything does."""
    if setting == "off":
        return None
    from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint

    return McpEndpoint(gateway, read_only=setting == "read-only")


async def run(settings: GatewaySettings) -> int:
    """Runs the gateway until SIGTERM or SIGINT.

    Returns:
        The process's exit status.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        process = GatewayProcess(settings)
    except TlsError as error:
        _logger.error("%s", error.message)
        return 1
    try:
        await process.start()
    except TriviumError as error:
        _logger.error("%s", error.message)
        await process.stop(0)
        return 1
    freeze_heap()
    sys.setswitchinterval(_SWITCH_SECONDS)
    _logger.info("listening: gRPC on port %d, HTTP on port %d", process.grpc_port, process.http_port)
    ends = [asyncio.ensure_future(one) for one in (stopped.wait(), process.background.wait_until_broken())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    _logger.info("stopping: no new calls, %g s for the running ones", settings.drain_seconds)
    await process.stop(settings.drain_seconds)
    return int(process.background.broken)
