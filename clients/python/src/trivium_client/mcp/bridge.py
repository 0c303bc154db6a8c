"""Passes what comes over standard input on to a gateway's /mcp, and its answers back.

The tools are the gateway's: what they are called, what they take and what they say stands there alone.
"""

from __future__ import annotations

import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from trivium_client import GatewayUnreachable, InvalidRequest
from trivium_client._tls import CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import mcp_types as types
    from mcp.server.context import ServerRequestContext

    Context = ServerRequestContext[Any, Any]
    Page = types.PaginatedRequestParams | None

_CONNECT_SECONDS = 10.0
# The gateway's own limit for a question is two minutes unless it is set higher; documents may take longer.
_READ_SECONDS = 900.0


async def serve(url: str) -> None:
    """Serves until standard input ends.

    Args:
        url: Of the gateway's endpoint, for example `http://127.0.0.1:8080/mcp`.

    Raises:
        GatewayUnreachable: Nothing there speaks the protocol.
        InvalidRequest: The files for TLS cannot be used.
    """
    async with _connected(url) as gateway:
        server = _server(gateway)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Client]:
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    async with httpx2.AsyncClient(timeout=timeout, verify=_tls_context() or True) as http:
        client = Client(streamable_http_client(url, http_client=http), cache=None)
        try:
            await client.__aenter__()
        except Exception as error:
            raise GatewayUnreachable(
                f"Nothing speaks the Model Context Protocol at {url} ({_cause(error)}). Start the gateway with "
                "`trivium up`, or say where it is with --url."
            ) from error
        try:
            yield client
        finally:
            await client.__aexit__(None, None, None)


def _server(gateway: Client) -> Server[Any]:
    """A server whose every answer is the gateway's."""

    async def list_tools(_context: Context, params: Page) -> types.ListToolsResult:
        return await gateway.list_tools(cursor=_cursor(params))

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await gateway.call_tool(
            params.name, params.arguments or {}, progress_callback=context.session.report_progress
        )

    async def list_resources(_context: Context, params: Page) -> types.ListResourcesResult:
        return await gateway.list_resources(cursor=_cursor(params))

    async def list_templates(_context: Context, params: Page) -> types.ListResourceTemplatesResult:
        return await gateway.list_resource_templates(cursor=_cursor(params))

    async def read_resource(_context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await gateway.read_resource(str(params.uri))

    return Server(
        "trivium",
        title="Trivium",
        version=gateway.server_info.version if gateway.server_info else "",
        instructions=gateway.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def _cursor(params: Page) -> str | None:
    return params.cursor if params else None


def _cause(error: BaseException) -> str:
    """The innermost of nested errors, in a few words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _tls_context() -> ssl.SSLContext | None:
    """Whom to trust and what to show where the environment says so; the system's authorities if None."""
    authorities, certificate, key = (
        os.environ.get(variable, "").strip() for variable in (CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE)
    )
    if not authorities:
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except OSError as error:
        raise InvalidRequest(
            f"cannot use the files for TLS: {error}", reason="INVALID_TLS_FILES", field="tls"
        ) from error
    return context
