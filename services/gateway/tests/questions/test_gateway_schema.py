"""Requests made up from the OpenAPI description, over real HTTP: none breaks anything, all are answered as it says.

`TRIVIUM_FUZZ_CASES=100` makes up that many of each operation, as it should be and as it should not.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyFailure
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from schemathesis import BaseSchema

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES_PER_OPERATION_AND_MODE = int(os.environ.get("TRIVIUM_FUZZ_CASES", "8"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: Any, value: Any) -> bytes:
    """Bytes of what stands for lines of JSON: a string as it is, anything else as one line."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


def _try(operation: Any, mode: GenerationMode) -> int:
    """Sends made-up requests of one operation.

    Returns:
        How many.
    """
    count = 0

    @seed(7)
    @settings(
        max_examples=CASES_PER_OPERATION_AND_MODE,
        derandomize=False,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(checks=CHECKS, timeout=60)

    try:
        send()
    except FlakyFailure as failure:
        # The parser of older Pythons breaks if two threads use it at once (https://github.com/python/cpython/issues/106905),
        # and Hypothesis parses what it makes strategies of.
        if failure.subgroup(SystemError) is None:
            raise
        send()
    return count


def _operations(schema: BaseSchema) -> list[Any]:
    operations: list[Any] = list(schema.get_all_operations())
    return [found.ok() for found in operations]  # each is one that can be read


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_made_up_requests_are_answered_as_the_description_says(stack: Stack, mode: GenerationMode) -> None:
    def run() -> dict[str, int]:
        schema = schemathesis.openapi.from_url(str(stack.http.base_url.join("/openapi.json")))
        counts = {}
        for operation in _operations(schema):
            if mode is GenerationMode.POSITIVE or operation.body or operation.query:
                counts[operation.label] = _try(operation, mode)
        return counts

    counts = await asyncio.to_thread(run)
    print(f"{mode.value}: {sum(counts.values())} requests of {len(counts)} operations")
    assert len(counts) > 10
    assert sum(counts.values()) > 100
