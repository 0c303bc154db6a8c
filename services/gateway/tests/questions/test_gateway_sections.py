"""Small pieces are found, and the sections that they stand in are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.gateway.v1 import gateway_service_pb2 as pb

from .conftest import delta, finish, running_stack
from .relay import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant, Stack
    from .relay import Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FILLER = "Nothing of this part is asked for by anybody who reads it on a rainy day in town. "
_QUERY = "Which valve of the crane opens at nine bar?"


def _section(name: str, fact: str) -> str:
    """A section of some two thousand characters, which is cut into three pieces, with a fact in the middle."""
    return f"## {name}\n\n{_FILLER * 14}\n\n{fact}\n\n{_FILLER * 14}\n\n"


_TEXT = "# Crane\n\n" + "".join(
    [
        _section("Pump", "The pump of the crane stops."),
        _section("Valve", "The relief valve of the crane opens at nine bar."),
        _section("Hook", "The hook of the crane carries nine tons."),
    ]
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crane(qdrant: Qdrant) -> AsyncIterator[tuple[Stack, Relay]]:
    """A gateway with one long document of three sections, and what stands before its Qdrant."""
    async with relayed(qdrant) as (relay, before), running_stack(before) as stack:
        stack.collection = "cranes"
        await stack.create_collection()
        result, _ = await stack.add({"id": "crane", "text": _TEXT}, {"id": "other", "text": _FILLER})
        assert result["chunks"] > 8
        yield stack, relay
        await stack.http.delete("/v1/collections/cranes")


async def _passages(stack: Stack, **fields: Any) -> list[dict[str, Any]]:
    response = await stack.retrieve(_QUERY, **fields)
    assert response.status_code == 200, response.text
    assert response.json()["degraded"] == []
    found: list[dict[str, Any]] = response.json()["passages"]
    return found


async def test_passage_is_read_with_its_section_which_is_cut_from_the_stored_text(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    piece = (await _passages(stack))[0]
    section = (await _passages(stack, settings={"section_characters": 4000}))[0]

    assert (section["id"], section["score"]) == (piece["id"], piece["score"])
    assert section["text"].startswith("## Valve")
    assert section["text"].rstrip() == _section("Valve", "The relief valve of the crane opens at nine bar.").rstrip()
    assert section["text"] == _TEXT[section["span"]["start"] : section["span"]["end"]]
    assert section["heading"] == ["Crane", "Valve"]
    assert len(piece["text"]) < len(section["text"]) / 2
    assert piece["text"] in section["text"]


async def test_pieces_of_one_section_are_one_passage_and_others_move_up(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    pieces = await _passages(stack, top_n=3)
    sections = await _passages(stack, top_n=3, settings={"section_characters": 8000})

    assert len(pieces) == len(sections) == 3
    spans = [(one["span"]["start"], one["span"]["end"]) for one in sections if one["document_id"] == "crane"]
    assert all(one[1] <= other[0] or other[1] <= one[0] for one in spans for other in spans if one != other)
    assert len(spans) == len(set(spans))
    assert [one["score"] for one in sections] == sorted((one["score"] for one in sections), reverse=True)


async def test_collection_says_how_much_is_read_and_the_question_goes_before_it(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    path = f"/v1/collections/{stack.collection}"
    changed = await stack.http.patch(path, json={"settings": {"section_characters": 1500}})
    assert changed.status_code == 200, changed.text
    by_collection = (await _passages(stack))[0]
    by_question = (await _passages(stack, settings={"section_characters": 0}))[0]
    over_grpc = await stack.stub.Retrieve(pb.RetrieveRequest(query=_QUERY, collection=stack.collection))
    await stack.http.post(f"{path}/settings/rollback")

    assert len(by_question["text"]) < len(by_collection["text"]) <= 1500
    assert over_grpc.passages[0].text == by_collection["text"]


async def test_answer_is_written_from_sections_and_quotes_where_they_say_it(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    stack.generate.script = [delta("The relief valve of the crane opens at nine bar. [1]", (1, 49, 52)), finish()]
    response = (await stack.ask(_QUERY, settings={"section_characters": 4000}, refusal="off")).json()

    sent = stack.generate.called("Generate")[-1].request.passages
    assert sent[0].text.startswith("## Valve")
    quote = response["citations"][0]["quote"]
    assert _TEXT[quote["start"] : quote["end"]] == "The relief valve of the crane opens at nine bar."


async def test_explanation_knows_where_a_piece_in_another_ones_section_ended(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    response = await stack.retrieve(_QUERY, top_n=2, settings={"section_characters": 8000})
    trace = (await stack.http.get(f"/v1/traces/{response.json()['request_id']}")).json()

    places = [one["passage"] for one in trace["candidates"] if one["passage"] is not None]
    assert len(places) > 2
    assert set(places) == {1, 2}


async def test_sections_that_cannot_be_read_leave_pieces_and_say_so(crane: tuple[Stack, Relay]) -> None:
    stack, relay = crane
    pieces = await _passages(stack)
    relay.methods, relay.passing, relay.fault = ("Points/Get",), 1, grpc.StatusCode.UNAVAILABLE
    try:
        response = await stack.retrieve(_QUERY, settings={"section_characters": 4000})
    finally:
        relay.fault = None

    body = response.json()
    assert [one["text"] for one in body["passages"]] == [one["text"] for one in pieces]
    assert [(one["stage"], one["fallback"]) for one in body["degraded"]] == [("section", "piece")]


async def test_section_that_is_too_long_is_refused(crane: tuple[Stack, Relay]) -> None:
    stack, _ = crane
    response = await stack.retrieve(_QUERY, settings={"section_characters": 8001})

    assert (response.status_code, response.json()["error"]["field"]) == (400, "settings.section_characters")
