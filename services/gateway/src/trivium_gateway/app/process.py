"""The gateway as a process: its servers, from start to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from trivium_serving.body_budget import BodyBudget
from trivium_serving.errors import TriviumError
from trivium_serving.heap import freeze_heap
from trivium_serving.message_gate import MessageGate
from trivium_serving.server import GrpcServer, ListenError, serve_metrics
from trivium_serving.slow_readers import SlowReaders
from trivium_serving.tls import TlsError

from trivium_gateway.app.access import access_of, audit_of, quotas_of
from trivium_gateway.app.composition import Composition
from trivium_gateway.metering.book import UsageBook
from trivium_gateway.surfaces.door import let_call_in
from trivium_gateway.surfaces.grpc import feedback, jobs, keys, servicer, traces, transfers, usage
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
    from trivium_serving.background import Background

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.settings import GatewaySettings
    from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint

_logger = logging.getLogger(__name__)

_FIRST_KEY = "gateway/first-key"

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
        files = raise_file_limit()
        limits = ConnectionLimits(
            settings.max_connections or http_connections_within(files), settings.keep_alive_seconds
        )
        slow_readers = SlowReaders(settings.max_questions // 2)
        door = DoorMetrics(self.registry)
        bodies = BodyBudget(settings.max_body_bytes_in_flight, door.count_refused_body)
        door.follow_bodies(bodies)
        audit = audit_of(settings, self.registry)
        self._access, self._quotas = access_of(settings, audit, self.registry), quotas_of(settings, self.registry)
        services = (servicer, jobs, keys, traces, feedback, usage, transfers)
        self._grpc = GrpcServer(
            service="gateway",
            listen=settings.grpc_listen,
            full_names=tuple(one.FULL_NAME for one in services),
            registry=self.registry,
            let_in=partial(let_call_in, self._access.guard),
            gate=MessageGate(bodies),
            max_connections=grpc_connections_within(files),
            stall_seconds=limits.stall_seconds,
            slow_readers=slow_readers,
        )
        self.background = self._grpc.background
        self._composition = Composition(settings, self.registry, audit, self._quotas, self._grpc.health.set_server)
        self.gateway = gateway = self._composition.gateway
        book = UsageBook(self._quotas, self._access.guard, audit, self._composition.totals.count)
        servicer.serve(gateway, self._grpc.grpc)
        jobs.serve(gateway, self._grpc.grpc)
        keys.serve(self._access.keyring, self._grpc.grpc)
        usage.serve(book, self._grpc.grpc)
        traces.serve(gateway, self._grpc.grpc)
        feedback.serve(gateway, self._grpc.grpc)
        transfers.serve(gateway, self._grpc.grpc)
        app = http_application(
            gateway,
            self.registry,
            HttpMetrics(self.registry),
            bodies,
            self._access,
            book,
            OriginPolicy.of(settings.allowed_origins, settings.allowed_hosts),
            _mcp_endpoint(gateway, self.background, settings.mcp),
        )
        connections = Connections(limits, door, ProbesOnly(app), slow_readers)
        self._http = HttpServer(app, settings.http_listen, self.background, connections)
        self.grpc_port = 0
        self.http_port = 0

    async def start(self) -> None:
        """Starts to listen and to look at the services, whichever of them are there.

        Raises:
            ListenError: An address is taken or not this machine's.
            Unavailable: The keys cannot be read.
        """
        await self._open_access()
        await self._quotas.open()
        try:
            self.grpc_port = await self._grpc.start()
        except ListenError as error:
            hint = error.message.replace("TRIVIUM_GATEWAY_LISTEN", "TRIVIUM_GATEWAY_GRPC_LISTEN")
            raise ListenError(hint) from error
        self.http_port = await self._http.start()
        serve_metrics("gateway", self._settings.http_listen, self._settings.metrics_port, self.registry)
        self._composition.start(self.background)
        if not self._access.guard.is_open:
            self.background.start("keys", self._access.guard.follow)
            self.background.start("usage", self._quotas.follow)
        if (tokens := self._access.guard.tokens) is not None:
            self.background.start("issuer", tokens.keys.follow)

    async def _open_access(self) -> None:
        """Reads the keys, and makes the first one where there is none."""
        if self._access.guard.is_open:
            return
        if (tokens := self._access.guard.tokens) is not None:
            await tokens.keys.load()  # it starts without: keys of its own are taken all the same
        first = self._settings.data_dir / _FIRST_KEY
        if self._settings.admin_key:
            await self._access.guard.load()
        elif await self._access.keyring.make_first(first):
            _logger.warning("made the first key, which may do everything: read it in %s", first)

    async def stop(self, drain_seconds: float) -> None:
        """Tells health checks, refuses new calls, gives running ones some time to end, and closes everything."""
        await self.gateway.readiness.drain()
        await asyncio.gather(self._grpc.stop(drain_seconds), self._http.stop(drain_seconds))
        await self.background.close()
        await self._composition.close()
        await self._access.guard.close()
        await self._quotas.close()


def _mcp_endpoint(gateway: Gateway, background: Background, setting: str) -> McpEndpoint | None:
    """What answers at /mcp; the protocol's library is loaded only if anything does."""
    if setting == "off":
        return None
    from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint

    return McpEndpoint(gateway, background, read_only=setting == "read-only")


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
