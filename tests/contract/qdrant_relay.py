"""Stands where tests start, stop and kill Qdrant, and passes all bytes on to a server that runs elsewhere.

    python -m contract.qdrant_relay HOST FOLDER HTTP_PORT GRPC_PORT AT_HTTP_PORT AT_GRPC_PORT

Whoever kills it sees what he would see of the server: connections break, and after a start all that was stored is
there. A new folder is a new server, so the server is emptied then. With TLS it is the relay that asks for certificates.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from pathlib import Path

from qdrant_client import AsyncQdrantClient

_READ_BYTES = 65536


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _listen(port: int, host: str, server_port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(host, server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))

    return await asyncio.start_server(relay, "127.0.0.1", port, ssl=tls)


async def _empty(host: str, http_port: int, grpc_port: int) -> None:
    client = AsyncQdrantClient(
        host=host, port=http_port, grpc_port=grpc_port, prefer_grpc=True, check_compatibility=False
    )
    for collection in (await client.get_collections()).collections:
        await client.delete_collection(collection.name)
    await client.close()


def _tls() -> ssl.SSLContext | None:
    certificate, authority = os.environ.get("TRIVIUM_TLS_CERT"), os.environ.get("TRIVIUM_TLS_CA")
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, os.environ["TRIVIUM_TLS_KEY"])
    context.set_alpn_protocols(["h2", "http/1.1"])
    if authority:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _relay(host: str, ports: dict[int, int]) -> None:
    tls = _tls()
    servers = [await _listen(port, host, server_port, tls) for port, server_port in ports.items()]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _main(host: str, folder: Path, http_port: int, grpc_port: int, at_http_port: int, at_grpc_port: int) -> None:
    seen = folder / "qdrant-elsewhere"
    if not seen.exists():
        asyncio.run(_empty(host, http_port, grpc_port))
        folder.mkdir(parents=True, exist_ok=True)
        seen.touch()
    asyncio.run(_relay(host, {at_http_port: http_port, at_grpc_port: grpc_port}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
