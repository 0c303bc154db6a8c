"""Runs an ASGI application with uvicorn in the event loop of someone else."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from trivium_serving.server import ListenError
from trivium_serving.tls import TlsFiles, https_context

from trivium_gateway.surfaces.http.connections import guarded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from trivium_serving.background import Background

    from trivium_gateway.surfaces.http.connections import Connections

# Of what a response has ready, so much is handed to the connection at a time; the rest waits until the client reads.
_WRITE_BYTES = 64 * 1024
_LARGEST_HEAD_BYTES = 64 * 1024
_BACKLOG = 2048


class HttpServer:
    """Serves an application over HTTP until it is stopped; over HTTPS where the environment names a certificate.

    Args:
        app: The application.
        listen: `HOST:PORT` to listen on; port 0 takes a free one.
        background: Runs it. Nothing takes its place, so the process ends if it fails.
        connections: Guards its connections.
    """

    def __init__(self, app: ASGIApp, listen: str, background: Background, connections: Connections) -> None:
        self._app = _InPieces(app)
        self._connections = connections
        self._background = background
        self._listen = listen
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Starts to listen.

        Returns:
            The port.

        Raises:
            ListenError: The address is taken or not this machine's.
            TlsError: The environment asks for TLS with files that cannot be used.
        """
        context = https_context(TlsFiles.from_environment())
        listener = _bind(self._listen)
        config = uvicorn.Config(
            self._app,
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            http=guarded(self._connections),  # type: ignore[arg-type]  # it is called, and makes a protocol
            timeout_keep_alive=self._connections.limits.keep_alive_seconds,  # type: ignore[arg-type]  # fractions, too
            h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
            # asyncio takes so many off the queue in one go. All that wait there may be more than there are files.
            backlog=self._connections.limits.accepted_at_once,
            reset_contextvars=True,
            ws="none",
        )
        config.load()
        config.ssl = context
        self._server = _Server(config)
        self._serving = self._background.start("http", partial(_serve, self._server, listener), restart=False)
        port: int = listener.getsockname()[1]
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new connections, and gives running requests `grace_seconds` to end."""
        if self._server is None or self._serving is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_seconds))
        self._server.should_exit = True
        await self._serving


async def _serve(server: _Server, listener: socket.socket) -> None:
    await server.serve([listener])
    if not server.should_exit:
        raise RuntimeError("the HTTP server ended by itself")


class _InPieces:
    """Hands large bodies of responses on in pieces, so that a connection never holds more than one of them.

    Args:
        app: What responds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""

        async def send_in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            for start in range(_WRITE_BYTES, len(body), _WRITE_BYTES):
                await send({**message, "body": body[start - _WRITE_BYTES : start], "more_body": True})
            rest = max(0, len(body) - 1) // _WRITE_BYTES * _WRITE_BYTES
            await send({**message, "body": body[rest:]} if rest else message)

        await self._app(scope, receive, send_in_pieces)


class _Server(uvicorn.Server):
    """Leaves signals to the process that it runs in, and has as many wait to be accepted as come at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    # Said in so many words, because only then asyncio turns Nagle's algorithm off: with it, and the delayed
    # acknowledgements of the other side, each response takes 40 ms longer.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if not host:  # which would listen on every address of the machine
            raise ValueError("it must be HOST:PORT")
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        listener.close()
        raise ListenError(
            f"cannot listen on {listen}: {error}. Stop what uses it, or set TRIVIUM_GATEWAY_HTTP_LISTEN."
        ) from error
    return listener
