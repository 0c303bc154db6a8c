"""The OpenAPI description of the routes, and a page that shows it without any asset from elsewhere."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from pydantic import BaseModel

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font: 14px/1.4 ui-monospace, monospace; }
h2 { border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding-top: 1rem; }
h2 code { font-size: 1.1rem; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
"""


_FORM_FIELDS = ("collection", "wait", "job", "id", "title", "uri", "metadata", "readers")


def documented(
    response: type[BaseModel],
    body: type[BaseModel] | None = None,
    *,
    multipart: bool = False,
    event_stream: bool = False,
    accepted: type[BaseModel] | None = None,
    errors: type[BaseModel] = ErrorResponse,
) -> dict[str, Any]:
    """Arguments of a route that reads its body and writes its response itself: what OpenAPI is to say about them.

    Args:
        response: What a response looks like.
        body: What may be in the JSON body; None for no body.
        multipart: Whether files are taken, too.
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
        arguments["openapi_extra"] = {"requestBody": {"required": True, "content": content}}
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


def reference_page(description: dict[str, Any]) -> str:
    """The OpenAPI description as a page for people.

    Args:
        description: As /openapi.json has it.
    """
    title, about = (html.escape(description["info"][key]) for key in ("title", "description"))
    operations = "".join(_operations(description))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><p>{about}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{operations}</body></html>'
    )


def _operations(description: dict[str, Any]) -> Iterator[str]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
            yield f"<p>{html.escape(operation['summary'])}</p>"
            rows = [(one["name"], one["in"], one.get("description", "")) for one in operation.get("parameters", ())]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"<p>Body: <code>{html.escape(kind)}</code></p>"
                rows += [
                    (name, _type_of(schema), schema.get("description", ""))
                    for name, schema in content["schema"].get("properties", {}).items()
                ]
            if rows:
                cells = "".join(
                    f"<tr><td><code>{html.escape(name)}</code><td>{html.escape(kind)}<td>{html.escape(text)}"
                    for name, kind, text in rows
                )
                yield f"<table>{cells}</table>"


def _type_of(schema: dict[str, Any]) -> str:
    options = [_type_of(one) for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if options:
        return " or ".join(options)
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    return str(schema.get("type", ""))
