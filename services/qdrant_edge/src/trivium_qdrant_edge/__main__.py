"""Runs the embedded Qdrant: `python -m trivium_qdrant_edge`."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from trivium_serving.admission import Admission
from trivium_serving.errors import TriviumError
from trivium_serving.metrics import DiskMetrics
from trivium_serving.server import GrpcServer, serve_until_signal
from trivium_serving.starting import prepare_process

from trivium_qdrant_edge.collections_servicer import CollectionsServicer
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.flushing import flush_forever, keep_digests_forever
from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.health_servicer import HealthServicer
from trivium_qdrant_edge.http_endpoints import HttpEndpoints
from trivium_qdrant_edge.metrics import DataFolderMetrics, EngineMetrics, QdrantMetrics, QdrantRequestMetrics
from trivium_qdrant_edge.optimizing import Optimizer
from trivium_qdrant_edge.points_servicer import PointsServicer
from trivium_qdrant_edge.settings import QdrantEdgeSettings, limits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_logger = logging.getLogger(__name__)

_FULL_NAMES = ("qdrant.Collections", "qdrant.Points", "qdrant.Qdrant")


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT; the exit status is 0 then, 1 if it cannot start, 2 for a bad setting."""
    settings = prepare_process(
        QdrantEdgeSettings,
        service="qdrant_edge",
        description="Serves the part of Qdrant's gRPC API that Trivium uses, on Qdrant's engine as a library.",
        argv=argv,
    )
    try:
        status = asyncio.run(_serve(settings))
    except TriviumError as error:
        _logger.error("cannot start: %s", error.message)
        status = 1
    sys.exit(status)


async def _serve(settings: QdrantEdgeSettings) -> int:
    database = Database(
        settings.data_dir / "qdrant",
        max_collections=settings.max_collections,
        reserve_bytes=settings.reserve_mib << 20,
    )
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    registry.register(QdrantMetrics(database, metrics))
    DataFolderMetrics(database, registry)
    DiskMetrics("qdrant_edge", settings.data_dir, registry)
    server = GrpcServer(
        service="qdrant_edge",
        listen=settings.listen,
        full_names=_FULL_NAMES,
        registry=registry,
        metrics=QdrantRequestMetrics(registry),
    )
    server.background.declare("flush", "optimize", "digests")
    admission = Admission(
        service="qdrant_edge",
        registry=registry,
        max_requests=settings.max_in_flight_calls,
        max_tokens=settings.max_in_flight_mib << 20,
    )
    points = PointsServicer(database, limits_of(settings), admission)
    qdrant.add_PointsServicer_to_server(points, server.grpc)  # type: ignore[no-untyped-call]
    qdrant.add_CollectionsServicer_to_server(CollectionsServicer(database), server.grpc)  # type: ignore[no-untyped-call]
    qdrant.add_QdrantServicer_to_server(HealthServicer(), server.grpc)  # type: ignore[no-untyped-call]
    http = HttpEndpoints(settings.http_listen, registry, database.damaged)
    http.start()
    _logger.info("HTTP on port %d", http.port)

    async def warm_up() -> None:
        server.background.start("flush", lambda: flush_forever(database, metrics, settings.flush_interval_seconds))
        await database.open()
        if not database.is_read_only:
            server.background.start("digests", lambda: keep_digests_forever(database))
        if settings.optimize_from_points > 0 and not database.is_read_only:
            optimizer = Optimizer(
                database,
                metrics,
                from_points=settings.optimize_from_points,
                quiet_seconds=settings.optimize_quiet_seconds,
            )
            server.background.start("optimize", optimizer.run_forever)
        http.ready = True

    async def close() -> None:
        http.ready = False
        await server.background.close()
        await database.close()
        http.stop()

    return await serve_until_signal(
        server, metrics_port=0, warm_up=warm_up, close=close, drain_seconds=settings.drain_seconds
    )


if __name__ == "__main__":
    main()
