"""One document of a thousand has what is asked for, and nothing else tells it from the others."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.stack import Stack

_KINDS = ("PPR-{}{}{}{}", "PPR{}{}{}{}{}", "fiscal {}{}{}{}", "v{}.{}{}.{}{}", "20{}{}-{}{}-{}{}")
"""Ids with and without hyphens, years, versions and dates."""
_PARTS = ("cover", "cable gland", "inlet filter", "control board", "pump housing", "alarm horn", "label", "drain valve")
_CHANGES = ("becomes grey", "is moved to the left side", "gets a new gasket", "receives a second coat of varnish")
_PLANTS = ("Turin", "Lyon", "Graz", "Leeds", "Malmo")


def _made_up_ids(count: int) -> list[str]:
    draw = random.Random(7)
    made: dict[str, None] = {}
    while len(made) < count:
        made.setdefault(_KINDS[len(made) % len(_KINDS)].format(*(draw.randrange(10) for _ in range(6))))
    return list(made)


@pytest.fixture(scope="module")
def ids(stack: Stack) -> list[str]:
    """Fills the stack, and gives the documents' ids, each of which stands in one text."""
    draw, made = random.Random(1), _made_up_ids(1000)
    documents = [
        {
            "id": one,
            "text": f"Change {one}: The {draw.choice(_PARTS)} {draw.choice(_CHANGES)}. "
            f"Requested by the plant in {draw.choice(_PLANTS)}.",
        }
        for one in made
    ]
    for start in range(0, len(documents), 100):
        assert {one["status"] for one in stack.ingest(*documents[start : start + 100])} == {"indexed"}
    return made


@pytest.mark.parametrize(("rerank", "within"), [(False, 1), (True, 5)], ids=["search", "reranked"])
def test_exact_rare_match_is_found_for_thirty_of_thirty(
    stack: Stack, ids: list[str], rerank: bool, within: int
) -> None:
    missed = {}
    for one in ids[::33][:30]:
        body = stack.http.post("/v1/retrieve", json={"query": one, "rerank": rerank}).json()
        found = [passage["document_id"] for passage in body["passages"][:within]]
        if one not in found:
            missed[one] = found
    assert missed == {}
