"""Queries that are longer than the embedding model reads at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from trivium_gateway.models.long_queries import split_query

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage

_AROUND = "We have been running this machine in our plant for many years, and colleagues have looked at it. " * 20


async def _vector(storage: Storage, query: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    model = await storage.embed.model()
    made = await storage.embed.embed_query(
        query, reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=30
    )
    return np.asarray(made.vector, dtype=np.float32)


async def test_long_query_is_near_what_it_asks_at_its_end(storage: Storage) -> None:
    valve = await _vector(storage, "The relief valve opens at nine bar.")
    pump = await _vector(storage, "The pump stops after ten seconds.")
    of_valve = await _vector(storage, _AROUND + "When does the relief valve open?")
    of_pump = await _vector(storage, _AROUND + "When does the pump stop?")

    assert np.linalg.norm(of_valve) == pytest.approx(1, abs=1e-3)
    assert of_valve @ valve > of_valve @ pump
    assert of_pump @ pump > of_pump @ valve


async def test_long_queries_that_differ_anywhere_have_different_vectors(storage: Storage) -> None:
    question = "When does the relief valve open?"
    queries = [
        _AROUND + question,
        _AROUND.replace("plant", "ship", 1) + question,
        _AROUND + "It is blue. " + question + " It is not hot.",
        question + " " + _AROUND,
    ]

    vectors = [await _vector(storage, query) for query in queries]

    for index, vector in enumerate(vectors):
        assert all(not np.array_equal(vector, other) for other in vectors[:index])


async def test_long_query_is_remembered_with_its_parts(storage: Storage) -> None:
    model = await storage.embed.model()
    first, second = [
        await storage.embed.embed_query(
            _AROUND, reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=30
        )
        for _ in range(2)
    ]

    assert (first.cached, second.cached) == (False, True)
    assert first.long == second.long
    assert first.long is not None
    assert first.vector == second.vector
    assert " ".join(first.long.windows).split() == _AROUND.split()


async def test_query_within_the_window_has_no_parts(storage: Storage) -> None:
    model = await storage.embed.model()
    made = await storage.embed.embed_query(
        "How?", reader=WHOLE, expected_fingerprint=model.fingerprint, timeout_seconds=30
    )

    assert made.long is None


@pytest.mark.parametrize(
    ("text", "focus"),
    [
        ("It is old. When does it open? It is red.", "When does it open?"),
        ("Does v2.3.1 work? Yes.\n\nAnd 2.4?\nThanks.", "Does v2.3.1 work? And 2.4?"),
        ("ERROR 7\nERROR 8\nTell me what this means", "Tell me what this means"),
        ("泵很旧。阀门何时打开？谢谢。", "阀门何时打开？"),
        ("x" * 2000, "x" * 500),
    ],
)
def test_focus_is_what_a_query_asks(text: str, focus: str) -> None:
    long = split_query(text, range(0, len(text), 4), 100)

    assert long.focus == focus
    assert "".join("".join(long.windows).split()) == "".join(text.split())
