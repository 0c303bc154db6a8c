"""The description of the HTTP API, and the schemas that are taken out of it."""

from __future__ import annotations

from trivium_gateway.surfaces.http.reference import self_contained


def test_schema_within_itself_is_written_out_once() -> None:
    part = {"type": "object", "properties": {"parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}}}}
    resolved = self_contained({"items": {"$ref": "#/$defs/Part"}, "$defs": {"Part": part}})
    inner = {"type": "array", "items": {"type": "object"}}
    assert resolved == {"items": {"type": "object", "properties": {"parts": inner}}}
