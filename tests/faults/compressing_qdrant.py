"""Tells its version as a Qdrant server does: compressed, if the client says that it takes that."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from qdrant_client import grpc as qdrant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VERSION = "1.19.0"


class CompressingQdrant:
    """Serves HTTP/2 by itself: gRPC's own server compresses for everyone or nobody, and hides what a client takes."""

    def __init__(self) -> None:
        self.port = 0
        self.request_encodings: list[str] = []
        """How the requests came."""
        self.answer_encodings: list[str] = []
        """How they were answered."""

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        accepted: dict[int, bool] = {}
        writer.write(connection.data_to_send())
        while block := await reader.read(65536):
            for event in connection.receive_data(block):
                if isinstance(event, RequestReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                    accepted[event.stream_id] = "gzip" in headers.get("grpc-accept-encoding", "")
                    self.request_encodings.append(headers.get("grpc-encoding", "identity"))
                elif isinstance(event, DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    self._answer(connection, event.stream_id, accepted.pop(event.stream_id))
            writer.write(connection.data_to_send())
        writer.close()

    def _answer(self, connection: H2Connection, stream_id: int, is_gzip_accepted: bool) -> None:
        message = qdrant.HealthCheckReply(title="qdrant", version=VERSION).SerializeToString()
        encoding = "gzip" if is_gzip_accepted else "identity"
        self.answer_encodings.append(encoding)
        if is_gzip_accepted:
            message = gzip.compress(message)
        headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", encoding)]
        connection.send_headers(stream_id, headers)
        connection.send_data(stream_id, bytes([is_gzip_accepted]) + len(message).to_bytes(4, "big") + message)
        connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[CompressingQdrant]:
        """Serve on a free port."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
