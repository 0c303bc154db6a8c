"""Stands before a server and forgets connections, as a node that hangs or a NAT does: their bytes go nowhere."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BLOCK_BYTES = 65536


class SilentProxy:
    """Passes bytes on, but for connections that were open when `silence` was called. They stay open.

    Args:
        port: Where the server listens on this machine.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._passing: set[asyncio.Event] = set()
        self._refusing = 0
        self.port = 0
        self.connections = 0
        self.delay_seconds = 0.0
        """How long a new connection says nothing."""

    def silence(self, *, also_next: int = 0) -> None:
        """Pass nothing on over the connections that there are, nor over as many new ones."""
        for passing in self._passing:
            passing.clear()
        self._refusing = also_next

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        passing = asyncio.Event()
        self._passing.add(passing)
        if self._refusing:
            self._refusing -= 1
        else:
            passing.set()
        await asyncio.sleep(self.delay_seconds)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            await asyncio.gather(_pass(reader, server_writer, passing), _pass(server_reader, writer, passing))
        finally:
            writer.close()
            server_writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[SilentProxy]:
        """Serve on a free port."""
        handling: set[asyncio.Task[None]] = set()

        def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handling.add(asyncio.create_task(self._handle(reader, writer)))

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in handling:
                task.cancel()
            await asyncio.gather(*handling, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    while block := await reader.read(_BLOCK_BYTES):
        await passing.wait()
        writer.write(block)
        await writer.drain()
    writer.close()
