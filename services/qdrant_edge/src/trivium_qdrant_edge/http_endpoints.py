"""The HTTP endpoints that people and tools expect on Qdrant's port 6333. The REST API is not among them."""

from __future__ import annotations

import json
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from trivium_serving.server import ListenError
from trivium_serving.tls import TlsFiles, https_context

from trivium_qdrant_edge.health_servicer import API_VERSION, TITLE

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry

_SLOWEST_REQUEST_SECONDS = 5.0


class _Server(ThreadingHTTPServer):
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Shakes hands in the connection's own thread, so that nobody waits for a caller who does not."""
        if self.tls is None or isinstance(request, tuple):
            super().finish_request(request, client_address)
            return
        request.settimeout(_SLOWEST_REQUEST_SECONDS)
        try:
            encrypted = self.tls.wrap_socket(request, server_side=True)
        except OSError:  # it speaks no TLS, or has gone
            return
        with encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Says nothing of callers who did not wait for the answer."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class HttpEndpoints:
    """Serves `/`, `/healthz`, `/livez`, `/readyz` and `/metrics` from threads of its own.

    Over TLS only, as Qdrant does, where the environment names a certificate.

    Args:
        listen: `HOST:PORT`; port 0 takes a free one.
        registry: What `/metrics` shows.
        damaged: Names the collections that are refused, which `/readyz` tells.

    Raises:
        ListenError: The address is taken or not this machine's.
        TlsError: The files for TLS cannot be used.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, damaged: Callable[[], Sequence[str]] = tuple) -> None:
        self.ready = False
        host, _, port = listen.rpartition(":")
        try:
            self._server = _Server((host.strip("[]"), int(port)), self._handler_class(registry, damaged))
        except (OSError, ValueError, OverflowError) as error:
            raise ListenError(
                f"cannot serve HTTP on {listen}: {error}. Set TRIVIUM_QDRANT_EDGE_HTTP_LISTEN to a free address."
            ) from error
        self._server.tls = https_context(TlsFiles.from_environment())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Starts to answer."""
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def stop(self) -> None:
        """Stops to answer."""
        self._server.shutdown()
        self._server.server_close()

    def _handler_class(
        self, registry: CollectorRegistry, damaged: Callable[[], Sequence[str]]
    ) -> type[BaseHTTPRequestHandler]:
        endpoints = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _SLOWEST_REQUEST_SECONDS
            server_version = "trivium-qdrant-edge"
            sys_version = ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/":
                    self._json(HTTPStatus.OK, {"title": TITLE, "version": API_VERSION})
                elif path in ("/healthz", "/livez"):
                    self._text(HTTPStatus.OK, f"{path[1:]} check passed")
                elif path == "/readyz" and endpoints.ready and damaged():
                    self._text(HTTPStatus.OK, f"ready, without what is damaged: {', '.join(damaged())}")
                elif path == "/readyz" and endpoints.ready:
                    self._text(HTTPStatus.OK, "all shards are ready")
                elif path == "/readyz":
                    self._text(HTTPStatus.SERVICE_UNAVAILABLE, "some shards are not ready")
                elif path == "/metrics":
                    self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
                else:
                    problem = f"{path} is not served: the embedded engine has Qdrant's gRPC API, not its REST API"
                    self._json(HTTPStatus.NOT_FOUND, {"status": {"error": problem}})

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
                """Probes and scrapes are not worth a line each."""

            def _json(self, status: HTTPStatus, body: object) -> None:
                self._send(status, "application/json", json.dumps(body).encode())

            def _text(self, status: HTTPStatus, body: str) -> None:
                self._send(status, "text/plain; charset=utf-8", body.encode())

            def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
