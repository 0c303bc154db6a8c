"""Questions to a collection with settings of its own: which legs are asked, how they count, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "What do herons eat?"


async def passages(stack: Stack, **fields: Any) -> list[dict[str, Any]]:
    response = await stack.retrieve(QUERY, **fields)
    assert response.status_code == 200, response.text
    assert response.json()["degraded"] == []
    found: list[dict[str, Any]] = response.json()["passages"]
    return found


async def test_leg_that_is_off_is_not_asked_and_what_is_left_is_no_degradation(stack: Stack) -> None:
    both = await passages(stack)
    words = await passages(stack, settings={"dense_weight": 0})
    vectors = await passages(stack, settings={"sparse_weight": 0})

    assert any(one["scores"]["dense"] is not None for one in both)
    assert all(one["scores"]["dense"] is None and one["scores"]["sparse"] is not None for one in words)
    assert all(one["scores"]["sparse"] is None and one["scores"]["dense"] is not None for one in vectors)
    assert all(one["scores"]["fused"] is not None for one in (*words, *vectors))
    assert {one["scores"]["calibration"] for one in words} == {"words"}


async def test_leg_that_is_off_stands_in_for_one_that_fails(stack: Stack) -> None:
    stack.embed.faults["Embed"] = grpc.StatusCode.UNAVAILABLE
    response = await stack.retrieve("Where do otters sleep?", settings={"sparse_weight": 0})

    assert [one["stage"] for one in response.json()["degraded"]] == ["embed"]
    assert response.json()["passages"][0]["document_id"] == "otter"


async def test_reranker_without_a_weight_is_not_asked(stack: Stack) -> None:
    found = await passages(stack, settings={"rerank_weight": 0})

    assert stack.rerank.called("Rerank") == []
    assert {one["scores"]["rerank"] for one in found} == {None}
    assert (await passages(stack, settings={"rerank_weight": 0.25}))[0]["scores"]["rerank_weight"] == 0.25


async def test_settings_of_the_collection_hold_until_they_are_taken_back(stack: Stack) -> None:
    path = f"/v1/collections/{stack.collection}"
    changed = await stack.http.patch(
        path, json={"settings": {"dense_weight": 0, "candidates": 2}, "note": "no vectors"}
    )
    assert changed.status_code == 200, changed.text
    tuned = await passages(stack)
    once = await passages(stack, settings={"dense_weight": 1})
    back = await stack.http.post(f"{path}/settings/rollback")
    after = await passages(stack)
    none = await stack.http.post(f"{path}/settings/rollback")

    settings = changed.json()["settings"]
    assert (settings["number"], settings["note"]) == (1, "no vectors")
    assert settings["values"] == {"dense_weight": 0, "candidates": 2}
    assert len(changed.json()["earlier_settings"]) == 1
    assert all(one["scores"]["dense"] is None for one in tuned)
    assert len(tuned) <= 2
    assert any(one["scores"]["dense"] is not None for one in once)
    assert back.json()["settings"]["values"] == {}
    assert any(one["scores"]["dense"] is not None for one in after)
    assert (none.status_code, none.json()["error"]["reason"]) == (409, "NO_EARLIER_SETTINGS")


async def test_null_leaves_a_setting_to_the_gateway(stack: Stack) -> None:
    path = f"/v1/collections/{stack.collection}"
    await stack.http.patch(path, json={"settings": {"rerank_weight": 2, "refusal": "off"}})
    cleared = await stack.http.patch(path, json={"settings": {"rerank_weight": None}})

    assert cleared.json()["settings"]["values"] == {"refusal": "off"}
    for _ in range(2):
        await stack.http.post(f"{path}/settings/rollback")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"settings": {"dense_weight": 2}}, "settings.dense_weight"),
        ({"settings": {"colour": "blue"}}, "settings.colour"),
        ({"settings": {"refusal": "maybe"}}, "settings.refusal"),
        ({"settings": {}, "note": "x" * 501}, "note"),
    ],
)
async def test_change_that_cannot_be_is_refused_and_changes_nothing(
    stack: Stack, body: dict[str, Any], field: str
) -> None:
    path = f"/v1/collections/{stack.collection}"
    before = (await stack.http.get(path)).json()
    response = await stack.http.patch(path, json=body)

    assert (response.status_code, response.json()["error"]["field"]) == (400, field)
    assert (await stack.http.get(path)).json() == before


async def test_grpc_changes_and_shows_the_same_settings(stack: Stack) -> None:
    settings = pb.CollectionSettings(sparse_weight=0, refusal=pb.REFUSAL_MARK)
    changed = await stack.stub.UpdateCollection(
        pb.UpdateCollectionRequest(name=stack.collection, settings=settings, note="by gRPC")
    )
    found = await stack.stub.Retrieve(pb.RetrieveRequest(query=QUERY, collection=stack.collection))
    over_http = (await stack.http.get(f"/v1/collections/{stack.collection}")).json()
    back = await stack.stub.RollBackCollectionSettings(pb.RollBackCollectionSettingsRequest(name=stack.collection))

    assert changed.collection.settings.settings == settings
    assert not any(one.scores.HasField("sparse") for one in found.passages)
    assert over_http["settings"]["values"] == {"sparse_weight": 0, "refusal": "mark"}
    assert back.collection.settings.settings == pb.CollectionSettings()


async def test_models_say_by_which_calibration_and_settings_they_answer(stack: Stack) -> None:
    path = f"/v1/collections/{stack.collection}"
    await stack.http.patch(path, json={"settings": {"candidates": 20}})
    number = (await stack.http.get(path)).json()["settings"]["number"]
    uncalibrated = (await stack.http.get(f"/v1/models/trivium/{stack.collection}")).json()
    alone = (await stack.http.get("/v1/models/trivium-model")).json()
    await stack.http.post(f"{path}/settings/rollback")

    # The vectors of these tests are of no model that scores are calibrated for.
    assert (uncalibrated["calibration"], uncalibrated["settings_version"]) == (None, number)
    assert number > 0
    assert (alone["calibration"], alone["settings_version"]) == (None, 0)
