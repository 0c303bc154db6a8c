"""The protocol's side: tools and documents as the MCP SDK's server gives them out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from trivium_serving.errors import INTERNAL_MESSAGE, NotFound, TriviumError
from trivium_serving.logs import log_failure

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.mcp import texts
from trivium_gateway.surfaces.http.mcp.tools import TOOLS
from trivium_gateway.surfaces.http.reference import self_contained

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from pydantic import BaseModel

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.surfaces.http.mcp.tools import Tool

    Context = ServerRequestContext[Any, Any]

_logger = logging.getLogger(__name__)

_SCHEME = "trivium://"
_RESOURCES_PER_PAGE = 100
_LONGEST_RESOURCE = 200_000
_INSTRUCTIONS = (
    "Trivium keeps the user's own documents. Use `search` or `answer` when a question may be answered by them, and "
    "cite the sources that they give. Say so when the documents have no answer, and when a result notes that a stage "
    "was not available."
)


def mcp_server(gateway: Gateway, *, read_only: bool) -> Server[Any]:
    """The server.

    Args:
        gateway: Does the work.
        read_only: Whether to leave out the tools that change something.
    """
    tools = {tool.name: tool for tool in TOOLS if tool.reads_only or not read_only}
    described = [_described(tool) for tool in tools.values()]

    async def list_tools(_context: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=described)

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name!r}; there are {', '.join(tools)}.")
        try:
            output = await tool.call(gateway, params.arguments or {}, context.session.report_progress)
        except TriviumError as error:
            log_failure(_logger, f"MCP tool {tool.name}", error)
            return _failed(INTERNAL_MESSAGE if type(error) is TriviumError else texts.error_text(error))
        except Exception as error:  # the edge of the process: the client is told, the log gets the cause
            log_failure(_logger, f"MCP tool {tool.name}", error)
            return _failed(INTERNAL_MESSAGE)
        return types.CallToolResult(
            content=[types.TextContent(text=output.text)],
            structured_content=output.content.model_dump(mode="json"),
            is_error=output.failed,
        )

    async def list_resources(
        _context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        token = (params.cursor if params else None) or ""
        try:
            documents, following = await gateway.library.list_documents(
                principal(), "", page_size=_RESOURCES_PER_PAGE, page_token=token
            )
        except TriviumError as error:
            raise _protocol_error(error) from error
        resources = [
            types.Resource(uri=_uri("default", one.id), name=one.id, title=one.title or None, mime_type="text/plain")
            for one in documents
        ]
        return types.ListResourcesResult(resources=resources, next_cursor=following or None)

    async def list_templates(
        _context: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=f"{_SCHEME}{{collection}}/{{id}}",
            name="document",
            title="A document",
            description="The text of a document of any collection.",
            mime_type="text/plain",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(_context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        collection, separator, document_id = uri.removeprefix(_SCHEME).partition("/")
        try:
            if not uri.startswith(_SCHEME) or not separator:
                raise NotFound(f"{uri} is no document; its uri would be {_SCHEME}COLLECTION/ID.")
            document = await gateway.library.get_document(principal(), collection, unquote(document_id))
        except TriviumError as error:
            raise _protocol_error(error) from error
        if len(document.text) > _LONGEST_RESOURCE:
            raise MCPError(
                types.INVALID_PARAMS,
                f"{uri} has {len(document.text)} characters, and a resource at most {_LONGEST_RESOURCE}. Read it in "
                "parts with the tool read_document.",
            )
        contents = types.TextResourceContents(uri=params.uri, text=document.text, mime_type="text/plain")
        return types.ReadResourceResult(contents=[contents])

    # It announces itself at every start otherwise, and logs each request's failure beside our own line.
    logging.getLogger("mcp").setLevel(logging.WARNING)
    return Server(
        "trivium",
        title="Trivium",
        version="1",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_schema(tool.input, "validation"),
        output_schema=_schema(tool.output, "serialization"),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads_only,
            destructive_hint=not tool.reads_only,  # a document with the same id is replaced
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


def _schema(shape: type[BaseModel], mode: Any) -> dict[str, Any]:
    return self_contained(shape.model_json_schema(mode=mode))


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def _protocol_error(error: TriviumError) -> MCPError:
    """The error for a resource, which has no other way to say what is wrong."""
    log_failure(_logger, "MCP resource", error)
    code = types.INVALID_PARAMS if isinstance(error, NotFound) else types.INTERNAL_ERROR
    return MCPError(code, texts.error_text(error))


def _uri(collection: str, document_id: str) -> str:
    return f"{_SCHEME}{collection}/{quote(document_id, safe='')}"
