"""Passes what comes over standard input on to a gateway's /mcp, and its answers back.

The tools are the gateway's: what they are called, what they take and what they say stands there alone.
"""

from __future__ import annotations

import os
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from trivium_client import GatewayUnreachable, InvalidRequest, TriviumError
from trivium_client._channel import api_key_of
from trivium_client._errors import error_from_body
from trivium_client._tls import CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE
from trivium_client.cli.failures import failure_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mcp.server.context import ServerRequestContext

    Context = ServerRequestContext[Any, Any]
    Page = types.PaginatedRequestParams | None

_Answer = TypeVar("_Answer")

_CONNECT_SECONDS = 10.0
# The gateway's own limit for a question is two minutes unless it is set higher; documents may take longer.
_READ_SECONDS = 900.0
_REFUSED, _NOT_THERE = 400, 404
_refusals: ContextVar[list[TriviumError]] = ContextVar("refusals")
"""What the gateway has refused of a request, in its own words, of which the protocol's library passes few on."""


async def serve(url: str) -> None:
    """Serves until standard input ends.

    Args:
        url: Of the gateway's endpoint, for example `http://127.0.0.1:8080/mcp`.

    Raises:
        GatewayUnreachable: Nothing there speaks the protocol.
        TriviumError: The gateway refuses: for example it is overloaded, or wants a key.
        InvalidRequest: The address holds a password, or the files for TLS cannot be used.
    """
    if "@" in url:  # unrepeated: addresses stand in messages
        raise InvalidRequest("the endpoint's address holds a user name or a password", reason="INVALID_ADDRESS")
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS)
    key = api_key_of()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    hooks = {"response": [_note_refusal]}
    async with httpx2.AsyncClient(
        timeout=timeout, verify=_tls_context() or True, headers=headers, event_hooks=hooks
    ) as http:
        gateway = _Gateway(url, http)
        try:
            server = await gateway.ask(lambda client: _server(gateway, client))
        except MCPError as error:  # something else is there, or a gateway that was told to leave the protocol out
            raise GatewayUnreachable(f"{url} does not speak the Model Context Protocol: {error}.") from error
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


class _Gateway:
    """The gateway's endpoint. Each request has a client of its own, so that none is lost with a gateway that restarts.

    Args:
        url: Of the endpoint.
        http: Holds the connections.
    """

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def ask(self, request: Callable[[Client], Awaitable[_Answer]]) -> _Answer:
        """Makes a request.

        Raises:
            MCPError: The gateway's own.
            TriviumError: The gateway refuses the request as a whole.
            GatewayUnreachable: There is none.
        """
        refusals: list[TriviumError] = []
        _refusals.set(refusals)  # the library's tasks begin with a copy, and so with this list
        try:
            async with Client(streamable_http_client(self._url, http_client=self._http), cache=None) as client:
                return await request(client)
        except Exception as error:  # the SDK's tasks raise groups of what went wrong
            if refusals:
                raise refusals[-1] from error
            causes = list(_causes(error))
            lost = next((one for one in causes if isinstance(one, httpx2.HTTPError)), None)
            refused = next((one for one in causes if isinstance(one, MCPError)), None)
            if lost is None and refused is not None:
                raise refused from error
            raise GatewayUnreachable(
                f"Nothing speaks the Model Context Protocol at {self._url} ({lost or causes[0]!r}). Start the gateway "
                "with `trivium up`, or say where it is with --url."
            ) from error


async def _server(gateway: _Gateway, first: Client) -> Server[Any]:
    """A server whose every answer is the gateway's."""

    async def list_tools(_context: Context, params: Page) -> types.ListToolsResult:
        return await gateway.ask(lambda client: client.list_tools(cursor=_cursor(params)))

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        report = context.session.report_progress
        try:
            return await gateway.ask(
                lambda client: client.call_tool(params.name, params.arguments or {}, progress_callback=report)
            )
        except TriviumError as error:
            return types.CallToolResult(content=[types.TextContent(text=failure_text(error))], is_error=True)

    async def list_resources(_context: Context, params: Page) -> types.ListResourcesResult:
        return await gateway.ask(lambda client: client.list_resources(cursor=_cursor(params)))

    async def list_templates(_context: Context, params: Page) -> types.ListResourceTemplatesResult:
        return await gateway.ask(lambda client: client.list_resource_templates(cursor=_cursor(params)))

    async def read_resource(_context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await gateway.ask(lambda client: client.read_resource(str(params.uri)))

    return Server(
        "trivium",
        title="Trivium",
        version=first.server_info.version if first.server_info else "",
        instructions=first.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


async def _note_refusal(response: httpx2.Response) -> None:
    """Takes down the words of a request that is refused, by a gateway whose endpoint it is."""
    if response.status_code < _REFUSED or response.status_code == _NOT_THERE:
        return
    await response.aread()
    try:
        refusal = error_from_body(response.json())
    except ValueError:
        return
    if refusal is not None:
        _refusals.get().append(refusal)


def _cursor(params: Page) -> str | None:
    return params.cursor if params else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors in nested groups, the innermost alone."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    else:
        yield error


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
