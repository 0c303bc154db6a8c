"""Numbers that no machine computes with, wherever the HTTP surface takes a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HUGE = (10**400, -(10**400), 10**30, 1e308)
_NUMBERS = ("integer", "number")


class _Bodies:
    """Bodies made after the OpenAPI description.

    Args:
        described: The description.
    """

    def __init__(self, described: dict[str, Any]) -> None:
        self._shapes = described["components"]["schemas"]

    def least(self, schema: dict[str, Any]) -> Any:
        """A value with what a schema requires and nothing else."""
        schema = self._resolved(schema)
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if schema.get("type") == "object":
            return {name: self.least(schema["properties"][name]) for name in schema.get("required", ())}
        if schema.get("type") == "array":
            return [self.least(schema["items"])]
        return 1 if schema.get("type") in _NUMBERS else "herons"

    def with_numbers(self, schema: dict[str, Any], number: float) -> Iterator[tuple[str, Any]]:
        """Least values with a number in one of the places where one may be, each with the path to it."""
        schema = self._resolved(schema)
        if schema.get("type") in _NUMBERS:
            yield "", number
        elif schema.get("type") == "array":
            for path, value in self.with_numbers(schema["items"], number):
                yield f"[0]{path}", [value]
        elif schema.get("type") == "object":
            for name, one in schema.get("properties", {}).items():
                for path, value in self.with_numbers(one, number):
                    yield f".{name}{path}", {**self.least(schema), name: value}

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema itself; of several, the first that is not null."""
        while True:
            several = schema.get("anyOf") or schema.get("oneOf")
            if "$ref" in schema:
                schema = self._shapes[schema["$ref"].rpartition("/")[2]]
            elif several:
                schema = next(one for one in several if one.get("type") != "null")
            else:
                return schema


async def test_number_beyond_reason_in_any_field_is_no_error_of_ours(stack: Stack) -> None:
    described = (await stack.http.get("/openapi.json")).json()
    bodies = _Bodies(described)
    tried = set()

    for path, methods in described["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            continue
        for number in _HUGE:
            for field, body in bodies.with_numbers(content["application/json"]["schema"], number):
                tried.add(f"{path}{field}")
                response = await stack.http.post(path.replace("{id}", stack.collection), json=body)
                assert response.status_code < 500, f"{path}{field} of {str(number)[:9]}: {response.text}"
    assert len(tried) > 15, tried


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1e400", "NaN", "9" * 30])
async def test_number_beyond_reason_in_a_parameter_or_header_is_a_400(stack: Stack, number: str) -> None:
    page = await stack.http.get("/v1/documents", params={"page_size": number, "collection": stack.collection})
    timed = await stack.http.get("/v1/collections", headers={"X-Request-Timeout": number})

    assert page.status_code == 400, page.text
    assert timed.status_code in ({200} if number == "9" * 30 else {400}), timed.text
