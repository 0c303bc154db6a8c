"""A gRPC server as every service of Trivium runs it: health, reflection, metrics, drain."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from prometheus_client import make_wsgi_app, start_http_server

from trivium_serving.background import Background
from trivium_serving.channels import MAX_MESSAGE_BYTES
from trivium_serving.errors import TriviumError
from trivium_serving.health import Health
from trivium_serving.heap import freeze_heap
from trivium_serving.interceptors import RequestInterceptor
from trivium_serving.metrics import CertificateMetrics, RequestMetrics, TaskMetrics
from trivium_serving.tls import CurrentTls, TlsFiles, server_credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from prometheus_client import CollectorRegistry

    from trivium_serving.message_gate import MessageGate
    from trivium_serving.slow_readers import SlowReaders

_logger = logging.getLogger(__name__)


class ListenError(TriviumError):
    """An address cannot be listened on."""

    default_reason = "ADDRESS_UNAVAILABLE"


_CONNECTION_SECONDS = 300.0
# After it a connection that says nothing is closed; gRPC's own two minutes let a few hundred of them use up all files.
_HANDSHAKE_MS = 10_000


class GrpcServer:
    """A grpc.aio server with health, reflection, error mapping and RED metrics.

    `background` has the service's long-lived tasks. Whoever starts some closes it before what they use.

    Args:
        service: The service's short name, for example `embed`.
        listen: `HOST:PORT` to listen on; port 0 takes a free one.
        full_names: The gRPC services that will be added to `grpc`, for example `trivium.embed.v1.EmbedService`; their
            generated modules must have been imported.
        registry: Where the metrics are registered.
        max_message_bytes: Largest message to receive. Keep it above the service's own limits, so that their errors
            are the ones that people see.
        connection_seconds: After about this long a connection is closed once its calls have ended. The client opens
            another, and looks its name up again: so it finds servers that came later.
        let_in: Called with the context of each call before it is served, to say who asks; may refuse it.
        metrics: What counts its calls; None for a `RequestMetrics` of the service.
        gate: What decodes the messages of strangers; None for those of our own services.
        max_connections: Most connections at once; 0 for any number.
        stall_seconds: How long a client may read nothing of a stream; 0 for any time.
        slow_readers: Where those are noted who read nothing; each is waited for if None.
    """

    def __init__(
        self,
        *,
        service: str,
        listen: str,
        full_names: Sequence[str],
        registry: CollectorRegistry,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        connection_seconds: float = _CONNECTION_SECONDS,
        let_in: Callable[[Any], None] | None = None,
        metrics: RequestMetrics | None = None,
        gate: MessageGate | None = None,
        max_connections: int = 0,
        stall_seconds: float = 0.0,
        slow_readers: SlowReaders | None = None,
    ) -> None:
        self.service = service
        self.listen = listen
        self.registry = registry
        self.background = Background(service, registry)
        metrics = metrics or RequestMetrics(service, registry)
        self._certificate_metrics = CertificateMetrics(service, registry)
        self._task_metrics = TaskMetrics(service, registry)
        # Qdrant's Points and Collections both have a Get; with one service its RPCs' names are clear enough.
        prefixes = {name: f"{name.rpartition('.')[2]}/" if len(full_names) > 1 else "" for name in full_names}
        for name in full_names:
            for method in descriptor_pool.Default().FindServiceByName(name).methods:
                metrics.declare(prefixes[name] + method.name)
        self.grpc: grpc.aio.Server = grpc.aio.server(
            interceptors=[
                RequestInterceptor(name, metrics, prefixes[name], let_in, gate, stall_seconds, slow_readers)
                for name in full_names
            ],
            options=(
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.so_reuseport", 0),  # two processes on one port must be an error, not a lottery
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.http2.max_ping_strikes", 0),
                ("grpc.max_connection_age_ms", round(connection_seconds * 1000)),
                ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
                *((("grpc.max_allowed_incoming_connections", max_connections),) if max_connections else ()),
            ),
        )
        self.health = Health(full_names)
        self.health.add_to(self.grpc)
        reflection.enable_server_reflection((*full_names, health.SERVICE_NAME, reflection.SERVICE_NAME), self.grpc)

    async def start(self) -> int:
        """Starts to listen, with every health status NOT_SERVING.

        Returns:
            The port.

        Raises:
            ListenError: The address is taken or not this machine's.
            TlsError: The environment asks for TLS with files that cannot be used.
        """
        await self.health.set_server(False)
        tls = CurrentTls(TlsFiles.from_environment())
        self._certificate_metrics.follow(tls)
        self._task_metrics.follow(asyncio.get_running_loop())
        credentials = server_credentials(tls)
        try:
            port: int = (
                self.grpc.add_insecure_port(self.listen)
                if credentials is None
                else self.grpc.add_secure_port(self.listen, credentials)
            )
        except RuntimeError as error:
            raise ListenError(
                f"cannot listen on {self.listen}: the port is taken, or the address is not this machine's. "
                f"Stop what uses it, or set TRIVIUM_{self.service.upper()}_LISTEN."
            ) from error
        await self.grpc.start()
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Tells health checks, refuses new calls, and gives running ones `grace_seconds` to end."""
        await self.health.shut_down()
        await self.grpc.stop(grace_seconds)


async def serve_until_signal(
    server: GrpcServer,
    *,
    metrics_port: int,
    warm_up: Callable[[], Awaitable[None]],
    close: Callable[[], Awaitable[None]],
    drain_seconds: float,
) -> int:
    """Runs a service from start to end: listen, warm up, serve, and on SIGTERM or SIGINT drain and close.

    A background task that fails for good ends it, too.

    Args:
        server: With its servicers added.
        metrics_port: Port for Prometheus, on the host that the server listens on; 0 for none.
        warm_up: Makes ready; the service reports SERVING once it returns.
        close: Releases what the service holds.
        drain_seconds: How long running calls may take to end.

    Returns:
        The process's exit status.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        port = await server.start()
        serve_metrics(server.service, server.listen, metrics_port, server.registry)
    except TriviumError as error:
        _logger.error("%s", error.message)
        await server.stop(0)
        return 1
    _logger.info("listening on %s:%d, warming up", server.listen.rpartition(":")[0], port)
    warming, stopping = asyncio.ensure_future(warm_up()), asyncio.ensure_future(stopped.wait())
    await asyncio.wait((warming, stopping), return_when=asyncio.FIRST_COMPLETED)
    exit_status = 0
    if stopped.is_set():
        warming.cancel()
    elif (failure := warming.exception()) is not None:
        known = isinstance(failure, (TriviumError, ValueError))
        _logger.error("cannot start: %s", failure, exc_info=None if known else failure)
        exit_status = 1
    else:
        freeze_heap()
        await server.health.set_server(True)
        _logger.info("ready")
        broken = asyncio.ensure_future(server.background.wait_until_broken())
        await asyncio.wait((broken, stopping), return_when=asyncio.FIRST_COMPLETED)
        broken.cancel()
        exit_status = int(server.background.broken)
        _logger.info("stopping: no new calls, %g s for the running ones", drain_seconds)
    stopping.cancel()
    await server.stop(drain_seconds)
    await close()
    return exit_status


def serve_metrics(service: str, listen: str, port: int, registry: CollectorRegistry) -> None:
    """Serves metrics for Prometheus, to whoever reaches them.

    Args:
        service: Short name of the service.
        listen: Where the service listens, HOST:PORT; its host is that of the metrics, too.
        port: Their port; 0 for none.
        registry: What there is to show.

    Raises:
        ListenError: The port is taken.
    """
    if port == 0:
        return
    host = listen.rpartition(":")[0].strip("[]")
    try:
        http, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ListenError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}. "
            f"Set TRIVIUM_{service.upper()}_METRICS_PORT to a free port, or to 0 for none."
        ) from error
    # Always as plain text: in OpenMetrics prometheus_client writes the colons in vLLM's names as underscores
    # (https://github.com/prometheus/client_python/issues/1177), so that no panel and no alert finds them.
    app = make_wsgi_app(registry)
    http.set_app(lambda environ, start_response: app({**environ, "HTTP_ACCEPT": ""}, start_response))
