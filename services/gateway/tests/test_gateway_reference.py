"""The description of the HTTP API, and the schemas that are taken out of it."""

from __future__ import annotations

from trivium_gateway.surfaces.http.reference import reference_page, self_contained


def test_schema_within_itself_is_written_out_once() -> None:
    part = {"type": "object", "properties": {"parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}}}}
    resolved = self_contained({"items": {"$ref": "#/$defs/Part"}, "$defs": {"Part": part}})
    inner = {"type": "array", "items": {"type": "object"}}
    assert resolved == {"items": {"type": "object", "properties": {"parts": inner}}}


def test_reference_page_names_what_it_is_of_and_shows_code_as_code() -> None:
    schema = {"properties": {"filter": {"type": "object", "description": "`not` and <any> hold filters."}}}
    call = {"tags": ["openai"], "summary": "Ask", "requestBody": {"content": {"application/json": {"schema": schema}}}}
    page = reference_page({"info": {"title": "T", "description": "D"}, "paths": {"/v1/x": {"post": call}}}, "assets")

    assert "<h2>OpenAI</h2>" in page
    assert "<td><code>not</code> and &lt;any&gt; hold filters.</td>" in page
