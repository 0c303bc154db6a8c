"""`trivium mcp`."""

import asyncio
import importlib.util
from typing import Annotated

import typer

from trivium_client.cli.output import fail

UrlOption = Annotated[
    str,
    typer.Option("--url", metavar="URL", envvar="TRIVIUM_MCP_URL", help="The gateway's endpoint, over HTTP or HTTPS."),
]


def mcp(url: UrlOption = "http://127.0.0.1:8080/mcp") -> None:
    """Serve the Model Context Protocol over standard input and output, for programs that start it themselves.

    It passes everything on to a running gateway, which has the tools and the documents; with a gateway on this machine,
    programs that take a URL can use `http://127.0.0.1:8080/mcp` without it. Nothing but the protocol goes to standard
    output.

    **Examples**

        claude mcp add trivium -- trivium mcp

        trivium mcp --url https://rag.example.com/mcp
    """
    if importlib.util.find_spec("mcp") is None:
        fail("This needs the package mcp: pip install 'mcp>=2.3,<3'")
        raise typer.Exit(1)
    from trivium_client.mcp.bridge import serve

    asyncio.run(serve(url))
