"""The OpenAPI description of the routes, and a page that shows it without any asset from elsewhere."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel

_Call = tuple[str, str, dict[str, Any]]
"""A method, a path, and what OpenAPI says of them."""

_NAMES = {"openai": "OpenAI", "mcp": "MCP"}
_FORM_FIELDS = ("collection", "wait", "job", "id", "title", "uri", "metadata", "readers")


def documented(
    response: type[BaseModel],
    body: type[BaseModel] | None = None,
    *,
    multipart: bool = False,
    body_optional: bool = False,
    event_stream: bool = False,
    accepted: type[BaseModel] | None = None,
    errors: type[BaseModel] = ErrorResponse,
) -> dict[str, Any]:
    """Arguments of a route that reads its body and writes its response itself: what OpenAPI is to say about them.

    Args:
        response: What a response looks like.
        body: What may be in the JSON body; None for no body.
        multipart: Whether files are taken, too.
        body_optional: Whether there may be no body.
        event_stream: Whether the response may also be server-sent events.
        accepted: What a response looks like that says only that the work will be done.
        errors: What an error looks like.
    """
    arguments: dict[str, Any] = {"response_model": response, "responses": {"default": {"model": errors}}}
    if event_stream:
        arguments["responses"][200] = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
    if accepted is not None:
        arguments["responses"][202] = {"model": accepted}
    if body is not None:
        content: dict[str, Any] = {"application/json": {"schema": self_contained(body.model_json_schema())}}
        if multipart:
            files = {"type": "array", "items": {"type": "string", "format": "binary"}}
            text = {"type": "string"}
            properties = {"file": files, **dict.fromkeys(_FORM_FIELDS, text)}
            content["multipart/form-data"] = {"schema": {"type": "object", "properties": properties}}
        arguments["openapi_extra"] = {"requestBody": {"required": not body_optional, "content": content}}
    return arguments


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of an application, without the 422 that FastAPI adds and Trivium never sends."""
    description = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path, methods in description["paths"].items():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            _add_path_parameters(path, operation)
    for name in ("HTTPValidationError", "ValidationError"):
        description["components"]["schemas"].pop(name, None)
    return description


def _add_path_parameters(path: str, operation: dict[str, Any]) -> None:
    """Adds those that a route reads for itself."""
    parameters = operation.setdefault("parameters", [])
    known = {one["name"] for one in parameters if one["in"] == "path"}
    for name in re.findall(r"\{(\w+)\}", path):
        if name not in known:
            parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
    if not parameters:
        del operation["parameters"]


def self_contained(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its references replaced by what they point at; one within itself is any object there."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any, within: frozenset[str] = frozenset()) -> Any:
        if isinstance(node, list):
            return [resolve(item, within) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            return {"type": "object"} if name in within else resolve(definitions[name], within | {name})
        return {key: resolve(value, within) for key, value in node.items()}

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def reference_page(description: dict[str, Any], assets: str) -> str:
    """The OpenAPI description as a page for people, which looks like the others.

    Args:
        description: As /openapi.json has it.
        assets: Where the page's files are, relative to this page.
    """
    title, about = (html.escape(description["info"][key]) for key in ("title", "description"))
    calls: dict[str, list[_Call]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            calls.setdefault((operation.get("tags") or ["other"])[0], []).append((method, path, operation))
    index = "".join(
        f"<h2>{html.escape(_headed(tag))}</h2><ul>"
        + "".join(f'<li><a href="#{_anchor(*call)}">{_name(*call)}</a></li>' for call in of_tag)
        + "</ul>"
        for tag, of_tag in calls.items()
    )
    sections = "".join(
        f'<section aria-label="{html.escape(tag)}">{"".join(_operation(*call) for call in of_tag)}</section>'
        for tag, of_tag in calls.items()
    )
    styles = "".join(f'<link rel="stylesheet" href="{assets}/{name}.css">' for name in ("page", "reference"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{title}: API</title><link rel="icon" href="{assets}/icon.svg" type="image/svg+xml">'
        f'<script src="{assets}/theme.js"></script>{styles}</head><body class="reference">'
        f'<header class="top"><a class="brand" href="./"><img src="{assets}/icon.svg" alt="">Trivium</a>'
        '<nav aria-label="Sections"><a href="./#ask">Ask</a><a href="./#documents">Documents</a>'
        '<a href="docs" aria-current="page">API</a></nav></header>'
        f'<div class="manual"><nav class="index" aria-label="Calls">{index}</nav><main><h1>{title}</h1><p>{about}</p>'
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{sections}</main></div></body></html>'
    )


def _headed(tag: str) -> str:
    """A tag as a heading."""
    return _NAMES.get(tag, tag.capitalize())


def _anchor(method: str, path: str, _: dict[str, Any]) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-")


def _name(method: str, path: str, _: dict[str, Any]) -> str:
    return f'<span class="method {method}">{method.upper()}</span> <code>{html.escape(path)}</code>'


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    """One call: what it does, and what may be in it."""
    kinds = operation.get("requestBody", {}).get("content", {})
    rows = [(one["name"], one["in"], one.get("description", "")) for one in operation.get("parameters", ())]
    rows += [
        (name, _type_of(schema), schema.get("description", ""))
        for content in kinds.values()
        for name, schema in content["schema"].get("properties", {}).items()
    ]
    body = "".join(f"<p>Body: <code>{html.escape(kind)}</code></p>" for kind in kinds)
    cells = "".join(
        f'<tr><th scope="row"><code>{html.escape(name)}</code></th>'
        f"<td>{html.escape(kind)}</td><td>{_said(text)}</td></tr>"
        for name, kind, text in rows
    )
    table = f'<div class="scroll" tabindex="0"><table><tbody>{cells}</tbody></table></div>' if rows else ""
    call = (method, path, operation)
    summary = html.escape(operation["summary"])
    return f'<article id="{_anchor(*call)}"><h2>{_name(*call)}</h2><p>{summary}</p>{body}{table}</article>'


def _said(text: str) -> str:
    """A description, with what stands in backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _type_of(schema: dict[str, Any]) -> str:
    options = [_type_of(one) for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if options:
        return " or ".join(options)
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    return str(schema.get("type", ""))
