"""Puts together what answers questions and what keeps documents."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from trivium_serving.addresses import is_loopback

from trivium_gateway.answering.answerer import Answerer, WritingTimeouts
from trivium_gateway.answering.embedding import TextEmbedder
from trivium_gateway.answering.explaining import Explainer
from trivium_gateway.answering.feedback import FeedbackBox
from trivium_gateway.answering.gate import IndexGate
from trivium_gateway.answering.reranking import Reranker
from trivium_gateway.answering.retrieval import Retriever
from trivium_gateway.answering.rewriting import QuestionRewriter, RewritingMeans
from trivium_gateway.answering.sections import SectionReader
from trivium_gateway.answering.stages import RetrievalStages, StageTimeouts
from trivium_gateway.answering.supporting import SupportJudge
from trivium_gateway.answering.trace_store import TraceMetrics, Traces
from trivium_gateway.app.answering_settings import answering_settings
from trivium_gateway.app.caches import Caches
from trivium_gateway.app.upstreams import Upstreams
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.gateway import Files, Gateway, Library, Questions, Rebuilding, Transfers
from trivium_gateway.gateway.metered import BulkMeter
from trivium_gateway.health.metrics import StageMetrics
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
from trivium_gateway.ingestion.rebuilding.change import ModelChange
from trivium_gateway.ingestion.rebuilding.models import ModelFinder
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.ingestion.sweeping import Sweeper
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import Documents
from trivium_gateway.library.expiring import Expiry
from trivium_gateway.library.exporting import DocumentExport
from trivium_gateway.library.feedback import FeedbackStore
from trivium_gateway.library.leg_ranks import LegRanks
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.metrics import DocumentMetrics, StoredMetrics
from trivium_gateway.library.neighbours import Neighbours
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.permitting import Permissions
from trivium_gateway.library.reindexing import Reindexer
from trivium_gateway.library.retention import Retention
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.library.totals import Totals
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.qdrant.collections import Distribution
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.call_limit import CallLimit
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.request.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry
    from trivium_serving.background import Background

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.library.contents import Contents
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.settings import GatewaySettings

_JOBS = "gateway/jobs"
_FILES = "gateway/files"

_EXPLANATIONS, _EXPORTS, _FEEDBACK_EXPORTS = 4, 4, 2
"""Explanations at once: each follows the search far down."""


class Composition:
    """The parts of a gateway, over the services that it calls. Create it inside the event loop.

    Attributes:
        gateway: What surfaces ask.
        totals: Counts what is stored.

    Args:
        settings: How it is set up.
        registry: Where its metrics are registered.
        audit: Notes who did what.
        quotas: Counts what is used, and limits it.
        on_ready: Called when the gateway gets ready, or is ready no more.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        registry: CollectorRegistry,
        audit: AuditLog,
        quotas: Quotas,
        on_ready: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._limits, self._quotas = GatewayLimits(), quotas
        self._stage_metrics, self._outcomes = StageMetrics(registry), Outcomes()
        self._question_metrics = QuestionMetrics(registry, self._outcomes.paces)
        self._caches = Caches(settings, registry)
        self._upstreams = Upstreams(settings, self._stage_metrics, self._caches)
        embed, qdrant = self._upstreams.embed, self._upstreams.qdrant
        distribution = Distribution(settings.qdrant_shard_number, settings.qdrant_replication_factor)
        self._collections = Collections(qdrant, embed, self._limits, distribution=distribution)
        self._chunk_search, chunks, locks = ChunkSearch(qdrant), ChunkStore(qdrant), KeyedLocks()
        self.totals, self._stored_metrics = Totals(qdrant), StoredMetrics(registry)
        self._admission = QuestionAdmission(settings.max_questions, self._question_metrics, weight_of=quotas.weight_of)
        self._originals = Originals(settings.data_dir / _FILES, settings.max_file_bytes)
        self._ingester = Ingester(
            self._collections,
            chunks,
            embed,
            locks,
            self._limits,
            registry,
            self._admission,
            StorageRoom(quotas, self.totals.count),
            self._originals,
            ChunkingSettings(settings.chunk_tokens, settings.chunk_overlap_tokens),
            ExtractionSettings(settings.parse_processes, settings.parse_seconds_per_megabyte),
        )
        self._sweeper = Sweeper(self._collections, chunks)
        feedback = FeedbackStore(settings.data_dir, settings.redis_url)
        documents = Documents(chunks, locks, self._originals, self._limits)
        self._retention = Retention(qdrant, Expiry(chunks, locks, self._originals), registry)
        permissions = Permissions(self._collections, chunks, locks, self._limits)
        self._traces = Traces(
            settings.trace_bytes, settings.trace_seconds, answering_settings(settings), TraceMetrics(registry)
        )
        self._feedback = FeedbackBox(
            feedback,
            traces=self._traces,
            collections=self._collections,
            documents=documents,
            exports=self._call_limit("exports", _FEEDBACK_EXPORTS),
            audit=audit,
            registry=registry,
            limits=self._limits,
        )
        readiness, questions = self._readiness(on_ready), self._questions(chunks.contents)
        library = self._library(documents, permissions, audit)
        rebuilding = Rebuilding(
            library.calls,
            Reindexer(qdrant, self._collections, embed),
            ModelChange(
                qdrant,
                self._collections,
                ModelFinder(embed, chunks, self._ingester.transfer),
                self._ingester.transfer,
                IndexGate(embed, self._chunk_search, chunks, feedback),
            ),
            BulkMeter(quotas, self._question_metrics),
        )
        jobs, files = self._jobs(library, audit), Files(library, self._ingester.extractor)
        transfers = Transfers(library, DocumentExport(qdrant, chunks), self._call_limit("exports", _EXPORTS))
        self.gateway = Gateway(
            questions, library, files, rebuilding, transfers, jobs, self._feedback, readiness, self._limits
        )

    def start(self, background: Background) -> None:
        """Starts to look at the services, and what goes on by itself."""
        self._upstreams.watch(background)
        self.gateway.readiness.watch(background)
        background.start("sweep", self._sweeper.run)
        background.start("retention", self._retention.run)
        background.start("jobs", self._job_runner.run)
        background.start("traces", self._traces.follow)
        background.start("totals", partial(self.totals.follow, self._stored_metrics))

    async def close(self) -> None:
        """Closes what is open, once nobody asks any more and the background has ended."""
        self._job_database.close()
        await self._ingester.close()
        await self._feedback.close()
        await self._caches.close()
        await self._upstreams.close()

    def _readiness(self, on_ready: Callable[[bool], Awaitable[None]]) -> Readiness:
        settings = self._settings
        # Who asks from another machine is not told what this one's network looks like; a developer needs to know.
        is_private = is_loopback(settings.grpc_listen) and is_loopback(settings.http_listen)
        return Readiness(
            self._upstreams.probes(self._collections, self._chunk_search, quotes_engine=is_private),
            metrics=self._stage_metrics,
            interval_seconds=settings.probe_interval_seconds,
            warm_up_seconds=settings.warm_up_seconds,
            on_change=on_ready,
            outcomes=self._outcomes,
            addresses=self._upstreams.addresses if is_private else None,
        )

    def _questions(self, contents: Contents) -> Questions:
        settings, upstreams = self._settings, self._upstreams
        retriever = Retriever(
            RetrievalStages(
                collections=self._collections,
                embed=upstreams.embed,
                chunk_search=self._chunk_search,
                rerank=upstreams.rerank,
                timeouts=StageTimeouts(
                    settings.embed_timeout_seconds, settings.search_timeout_seconds, settings.rerank_timeout_seconds
                ),
            ),
            SectionReader(Neighbours(upstreams.qdrant), settings.search_timeout_seconds),
            settings.section_characters,
            self._caches.retrievals(upstreams, contents),
        )
        return Questions(
            rewriter=QuestionRewriter(
                upstreams.generate, RewritingMeans(settings.rewrite), settings.rewrite_timeout_seconds
            ),
            retriever=retriever,
            answerer=Answerer(
                retriever,
                upstreams.generate,
                WritingTimeouts(settings.generate_begin_timeout_seconds, settings.generate_timeout_seconds),
                None if settings.refusal == "auto" else Refusal(settings.refusal),
                SupportJudge(upstreams.support, settings.support_timeout_seconds) if upstreams.support else None,
            ),
            reranker=Reranker(upstreams.rerank, upstreams.embed),
            embedder=TextEmbedder(upstreams.embed, self._admission.encoder),
            admission=self._admission,
            quotas=self._quotas,
            pulses=upstreams.pulses,
            outcomes=self._outcomes,
            metrics=self._question_metrics,
            traces=self._traces,
            explainer=Explainer(
                collections=self._collections,
                embed=upstreams.embed,
                chunk_search=self._chunk_search,
                leg_ranks=LegRanks(upstreams.qdrant),
                limits=self._limits,
                timeout_seconds=settings.search_timeout_seconds,
            ),
            explanations=self._call_limit("explanations", _EXPLANATIONS, settings.document_timeout_seconds),
            limits=self._limits,
            longest_seconds=settings.request_timeout_seconds,
        )

    def _library(self, documents: Documents, permissions: Permissions, audit: AuditLog) -> Library:
        settings, upstreams = self._settings, self._upstreams
        return Library(
            tuning=CollectionTuning(upstreams.qdrant, self._collections, upstreams.embed),
            collections=self._collections,
            documents=documents,
            permissions=permissions,
            ingester=self._ingester,
            originals=self._originals,
            ingestions=self._call_limit("ingestions", settings.max_ingestions, settings.ingest_timeout_seconds),
            calls=self._call_limit(
                "calls about documents and collections", settings.max_document_calls, settings.document_timeout_seconds
            ),
            quotas=self._quotas,
            audit=audit,
            qdrant=upstreams.pulses[SEARCH],
            document_metrics=DocumentMetrics(self._registry),
            question_metrics=self._question_metrics,
            limits=self._limits,
        )

    def _jobs(self, library: Library, audit: AuditLog) -> Jobs:
        folder = self._settings.data_dir / _JOBS
        self._job_database = JobDatabase(folder / "jobs.sqlite")
        spool = Spool(folder / "documents")
        self._job_runner = JobRunner(
            JobQueue(self._job_database),
            spool,
            folder / "lock",
            library.ingest_unbounded,
            JobMetrics(self._registry),
            self._limits.max_job_age_seconds,
        )
        store = JobStore(self._job_database)
        most = self._settings.max_job_bytes
        return Jobs(store, spool, self._job_runner, self._collections, self._limits, most, self._quotas, audit)

    def _call_limit(self, what: str, most: int, longest_seconds: float = math.inf) -> CallLimit:
        return CallLimit(what, most, longest_seconds, self._quotas.weight_of)
