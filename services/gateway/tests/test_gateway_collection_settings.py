"""Settings of collections: kept with them, versioned, taken back, heeded by every gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.readers import whole
from trivium_gateway.domain.settings import MOST_EARLIER, CollectionSettings, SettingsHistory
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import OpenStorage, Storage


def _tuning(storage: Storage) -> CollectionTuning:
    return CollectionTuning(storage.connection, storage.collections, storage.embed)


async def _in_force(storage: Storage, name: str = "papers") -> tuple[int, CollectionSettings]:
    found = await storage.collections.find(name, tenant="default")
    assert found is not None
    return found.settings.now.number, found.settings.now.settings


async def test_changed_settings_are_in_force_and_the_rest_stays(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    assert await _in_force(storage) == (0, CollectionSettings())
    tuning = _tuning(storage)

    await tuning.change("papers", CollectionSettings(dense_weight=0.0, candidates=30), note="a", tenant="default")
    await tuning.change("papers", CollectionSettings(refusal=Refusal.OFF), clear=["candidates"], tenant="default")

    assert await _in_force(storage) == (2, CollectionSettings(dense_weight=0.0, refusal=Refusal.OFF))
    described = await storage.collections.get("papers", reader=WHOLE)
    assert [one.number for one in described.settings.earlier] == [0, 1]
    assert described.settings.earlier[1].note == "a"
    assert described.settings.earlier[1].settings == CollectionSettings(dense_weight=0.0, candidates=30)


async def test_rolled_back_settings_are_those_before_until_there_are_none(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    tuning = _tuning(storage)
    await tuning.change("papers", CollectionSettings(dense_weight=0.5), tenant="default")
    await tuning.change("papers", CollectionSettings(sparse_weight=0.5), tenant="default")

    await tuning.roll_back("papers", tenant="default")
    once = await _in_force(storage)
    await tuning.change("papers", CollectionSettings(candidates=9), tenant="default")
    await tuning.roll_back("papers", tenant="default")
    await tuning.roll_back("papers", tenant="default")

    assert once == (1, CollectionSettings(dense_weight=0.5))
    assert await _in_force(storage) == (0, CollectionSettings())
    with pytest.raises(FailedPrecondition) as caught:
        await tuning.roll_back("papers", tenant="default")
    assert caught.value.reason == "NO_EARLIER_SETTINGS"


async def test_number_of_a_version_is_never_given_twice(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    tuning = _tuning(storage)
    await tuning.change("papers", CollectionSettings(dense_weight=0.5), tenant="default")
    await tuning.roll_back("papers", tenant="default")
    await tuning.change("papers", CollectionSettings(dense_weight=0.1), tenant="default")

    assert await _in_force(storage) == (2, CollectionSettings(dense_weight=0.1))


async def test_change_that_is_based_on_another_version_is_refused(storage: Storage, open_storage: OpenStorage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    async with open_storage() as other:
        await _tuning(other).change("papers", CollectionSettings(dense_weight=0.5), based_on=0, tenant="default")
    with pytest.raises(FailedPrecondition) as caught:
        await _tuning(storage).change("papers", CollectionSettings(), based_on=0, tenant="default")
    assert caught.value.reason == "SETTINGS_CHANGED"


async def test_another_gateway_heeds_a_change_within_the_time_that_it_remembers(
    storage: Storage, open_storage: OpenStorage
) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    async with open_storage() as other:
        assert await _in_force(other) == (0, CollectionSettings())  # and it remembers that
        await _tuning(storage).change("papers", CollectionSettings(dense_weight=0.5), tenant="default")
        await asyncio.sleep(other.collections.remember_seconds)
        assert await _in_force(other) == (1, CollectionSettings(dense_weight=0.5))


async def test_settings_of_one_tenant_are_no_business_of_another(storage: Storage) -> None:
    for tenant in ("default", "other"):
        await storage.collections.create("papers", reader=whole(tenant))
    await _tuning(storage).change("papers", CollectionSettings(dense_weight=0.5), tenant="other")

    assert await _in_force(storage) == (0, CollectionSettings())
    with pytest.raises(NotFound):
        await _tuning(storage).change("papers", CollectionSettings(), tenant="nobody")


async def test_settings_of_a_later_version_of_trivium_are_passed_over(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    resolved = await storage.collections.resolve("papers", tenant="default")
    history = SettingsHistory().changed(CollectionSettings(candidates=7), made_at="", note="")
    later = history.to_text().replace('"candidates": 7', '"candidates": 7, "colour": "blue"')

    assert SettingsHistory.from_text(later) == history
    await QdrantCollections(storage.connection).keep_settings(resolved.physical, history)
    described = await QdrantCollections(storage.connection).describe(resolved.physical)
    assert described.settings == history
    assert described.made.fingerprint == resolved.made.fingerprint  # the rest of the record is as it was


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (CollectionSettings(dense_weight=1.1), "settings.dense_weight"),
        (CollectionSettings(dense_weight=float("nan")), "settings.dense_weight"),
        (CollectionSettings(dense_weight=0.0, sparse_weight=0.0), "settings.sparse_weight"),
        (CollectionSettings(candidates=0), "settings.candidates"),
        (CollectionSettings(score_slope=0.0), "settings.score_slope"),
        (CollectionSettings(chunk_tokens=15), "settings.chunk_tokens"),
        (CollectionSettings(language="german"), "settings.language"),
        (CollectionSettings(refuse_below=0.5, mark_below=0.4), "settings.refuse_below"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: CollectionSettings, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        settings.check()
    assert caught.value.field == field


def test_history_keeps_as_many_versions_as_it_says() -> None:
    history = SettingsHistory()
    for number in range(MOST_EARLIER + 5):
        history = history.changed(CollectionSettings(candidates=number + 1), made_at="", note="")

    assert len(history.earlier) == MOST_EARLIER
    assert history.now.number == MOST_EARLIER + 5
    assert SettingsHistory.from_text(history.to_text()) == history


def test_scale_of_a_collection_keeps_the_order_and_leaves_an_unset_one_alone() -> None:
    unset, steep = CollectionSettings(), CollectionSettings(confidence_slope=2.0, confidence_intercept=-1.0)
    values = [0.0, 0.1, 0.5, 0.9, 1.0]

    assert [unset.scaled_confidence(one) for one in values] == values
    scaled = [steep.scaled_confidence(one) for one in values]
    assert scaled == sorted(scaled)
    assert steep.scaled_confidence(0.5) == pytest.approx(0.26894142)  # the logistic of -1
