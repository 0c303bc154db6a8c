"""Stands before a server and is a bad network: bytes come late, connections break, or are forgotten as by a NAT."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BLOCK_BYTES = 65536


class BadLink:
    """Passes bytes on, but for connections that were open when `silence` was called. They stay open.

    Args:
        port: Where the server listens on this machine.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._passing: set[asyncio.Event] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = 0
        self.port = 0
        self.connections = 0
        self.delay_seconds = 0.0
        """How long a new connection says nothing."""
        self.lag_seconds = 0.0
        """How late all bytes come, either way."""

    def silence(self, *, also_next: int = 0) -> None:
        """Pass nothing on over the connections that there are, nor over as many new ones."""
        for passing in self._passing:
            passing.clear()
        self._refusing = also_next

    def drop(self) -> None:
        """Break the connections that there are."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        passing = asyncio.Event()
        self._passing.add(passing)
        if self._refusing:
            self._refusing -= 1
        else:
            passing.set()
        await asyncio.sleep(self.delay_seconds)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        writers = {writer, server_writer}
        self._writers |= writers
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, server_writer, passing))
                group.create_task(self._pass(server_reader, writer, passing))
        except* OSError:  # either side has gone
            pass
        finally:
            self._writers -= writers
            for one in writers:
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        """Far away is not narrow: all bytes come as much later."""
        blocks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        clock = asyncio.get_running_loop().time

        async def send() -> None:
            while (due_and_block := await blocks.get())[1]:
                due, block = due_and_block
                await asyncio.sleep(due - clock())
                await passing.wait()
                writer.write(block)
                await writer.drain()
            writer.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            while block := await reader.read(_BLOCK_BYTES):
                blocks.put_nowait((clock() + self.lag_seconds, block))
            blocks.put_nowait((clock(), b""))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BadLink]:
        """Serve on a free port."""
        handling: set[asyncio.Task[None]] = set()

        def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._handle(reader, writer))
            handling.add(task)
            task.add_done_callback(handling.discard)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            tasks = tuple(handling)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
