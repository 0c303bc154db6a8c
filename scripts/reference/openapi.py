"""The HTTP interface as a page, from the OpenAPI description that a gateway serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from trivium_gateway.app import GatewayProcess
from trivium_gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """# HTTP reference

What a gateway serves under `/openapi.json`, for programs, and `/docs`, for people. [The API by example](../api.md)
shows calls, [errors](../errors.md) what they fail with."""


def http_reference() -> str:
    """The page, from a gateway that is started for it, with nothing behind it."""
    return _page(asyncio.run(_description()))


async def _description() -> dict[str, Any]:
    process = GatewayProcess(GatewaySettings(grpc_listen="127.0.0.1:0", http_listen="127.0.0.1:0"))
    await process.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http_port}") as client:
            description: dict[str, Any] = (await client.get("/openapi.json")).raise_for_status().json()
            return description
    finally:
        await process.stop(0)


def _page(description: dict[str, Any]) -> str:
    schemas = description["components"]["schemas"]
    parts = [_INTRODUCTION]
    tag = ""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if operation.get("tags", [""])[0] != tag:
                tag = operation["tags"][0]
                parts.append(f"## {tag.capitalize()}")
            parts += [f"### `{method.upper()} {path}`", f"{operation['summary']}."]
            parts += _request(operation)
            parts += _response(operation, schemas)
    return "\n\n".join(parts) + "\n"


def _request(operation: dict[str, Any]) -> Iterator[str]:
    rows = [
        f"| `{one['name']}` | in the {one['in']} | {_cell(one.get('description', ''))} |"
        for one in operation.get("parameters", ())
    ]
    if rows:
        yield "\n".join(["| Parameter | | |", "|---|---|---|", *rows])
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body, `{kind}`:"
        yield _fields(content["schema"])


def _response(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    content = operation["responses"].get("200", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        yield "Response:" if "text/event-stream" not in content else "Response, or server-sent events:"
        yield _fields(schemas[name])


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = []
    for name, field in schema.get("properties", {}).items():
        kind = f"{_type(field)}, required" if name in required else _type(field)
        rows.append(f"| `{name}` | {kind} | {_cell(field.get('description', ''))} |")
    return "\n".join(["| Field | Type | |", "|---|---|---|", *rows]) if rows else f"{_type(schema)}."


def _type(schema: dict[str, Any]) -> str:
    options = [_type(one) for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if options:
        return " or ".join(dict.fromkeys(options))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", schema.get("const", "anything")))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
