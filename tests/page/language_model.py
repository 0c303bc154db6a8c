"""A server that speaks the chat completions API, and writes what a test tells it to, when it is told to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLD_SECONDS = 60


@dataclass
class LanguageModel:
    """The model, as tests see it.

    Attributes:
        pieces: What it writes, piece by piece.
        fails: Whether it answers with an error instead.
        open: Cleared, it waits after the first piece.
        requests: The bodies that it got.
    """

    url: str = ""
    pieces: tuple[str, ...] = ()
    fails: bool = False
    open: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def says(self, *pieces: str) -> None:
        """From now on it writes this, at once."""
        self.pieces, self.fails = pieces, False
        self.open.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stops after the first piece, until the block ends."""
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()


class _Handler(BaseHTTPRequestHandler):
    model: LanguageModel

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        model = self.model
        model.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if model.fails:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for piece in model.pieces:
                self._send({"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}]})
                model.open.wait(_HOLD_SECONDS)
            self._send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            pass  # who asked is gone

    def _send(self, part: dict[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "told", **part}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def running_language_model() -> Iterator[LanguageModel]:
    """Runs it."""
    model = LanguageModel()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"model": model}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield model
    finally:
        model.open.set()
        server.shutdown()
        server.server_close()
