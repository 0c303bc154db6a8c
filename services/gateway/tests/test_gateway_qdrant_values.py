"""Payload values, compared with what Qdrant's own client makes of them."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from qdrant_client.conversions.conversion import json_to_value, value_to_json
from trivium_gateway.qdrant.values import from_value, to_value


class _Kind(enum.StrEnum):
    ONE = "one"


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 0.0, 1.5, -1e300, "", "龙井茶 🐦", _Kind.ONE,
    [], {}, [1, [2.5, None, {"a": [True, "x"]}]], (1, "two"), {"a": {"b": {"c": [None, {}]}}, "": 1, "id": 7},
)  # fmt: skip


@pytest.mark.parametrize("content", VALUES, ids=repr)
def test_value_is_that_of_qdrants_client_and_is_read_back(content: Any) -> None:
    value = to_value(content)

    assert value == json_to_value(content)
    read = from_value(value)
    assert read == value_to_json(value)
    assert read == (list(content) if isinstance(content, tuple) else content)
    assert type(read) is type(value_to_json(value))


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_number_that_json_has_not_is_read_as_words(number: float) -> None:
    assert isinstance(from_value(to_value(number)), str)


@pytest.mark.parametrize("content", [2**63, -(2**63) - 1, b"bytes", {1}, [object]], ids=repr)
def test_value_that_json_has_not_is_refused(content: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        to_value(content)
