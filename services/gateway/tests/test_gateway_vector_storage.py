"""Vectors that are quantised, or on the disk: what a Qdrant server is asked, and what the embedded engine says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from contract.qdrant_under_test import given
from qdrant_client import grpc as qdrant
from trivium_gateway.domain.settings import CollectionSettings, Quantisation, SettingsHistory
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.qdrant.legs import dense_leg
from trivium_gateway.qdrant.points import scoped_filter
from trivium_gateway.qdrant.storing import search_params, storage_change
from trivium_serving.errors import FailedPrecondition

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import Storage

_SETTINGS = [
    CollectionSettings(quantisation=Quantisation.SCALAR),
    CollectionSettings(quantisation=Quantisation.BINARY, on_disk=True),
    CollectionSettings(on_disk=True),
]


def _diff(before: CollectionSettings, after: CollectionSettings) -> qdrant.VectorParamsDiff:
    request = storage_change("papers__0", before, after)
    assert request is not None
    assert [field.name for field, _ in request.ListFields()] == ["collection_name", "vectors_config"]
    (name,) = request.vectors_config.params_map.map
    assert name == "dense"
    return request.vectors_config.params_map.map[name]


def test_server_is_asked_for_what_is_set_and_for_nothing_that_is_so_already() -> None:
    plain, scalar = CollectionSettings(candidates=9), CollectionSettings(quantisation=Quantisation.SCALAR)
    binary = CollectionSettings(quantisation=Quantisation.BINARY, on_disk=True)

    assert _diff(plain, scalar).quantization_config.scalar.type == qdrant.QuantizationType.Int8
    assert _diff(scalar, binary).quantization_config.WhichOneof("quantization") == "binary"
    assert _diff(scalar, binary).on_disk
    assert _diff(binary, plain).quantization_config.WhichOneof("quantization") == "disabled"
    assert not _diff(binary, plain).on_disk
    assert storage_change("papers__0", plain, CollectionSettings(quantisation=Quantisation.OFF)) is None
    assert (
        storage_change("papers__0", scalar, CollectionSettings(quantisation=Quantisation.SCALAR, rescore=False)) is None
    )


def test_quantised_vectors_are_searched_for_more_and_judged_again_unless_that_is_off() -> None:
    scope = scoped_filter(WHOLE)
    quantised = CollectionSettings(quantisation=Quantisation.BINARY)
    unjudged = CollectionSettings(quantisation=Quantisation.BINARY, rescore=False)

    asked = dense_leg([1.0], scope, quantised).query("papers__0", 5).params.quantization
    plain = dense_leg([1.0], scope, CollectionSettings(rescore=True)).query("papers__0", 5)

    assert (asked.rescore, asked.oversampling) == (True, 2.0)
    assert not plain.HasField("params")
    without = search_params(unjudged)
    assert without is not None
    assert (without.quantization.rescore, without.quantization.HasField("oversampling")) == (False, False)


def test_settings_are_read_as_they_were_kept() -> None:
    history = SettingsHistory().changed(_SETTINGS[1], made_at="2027-01-01T00:00:00Z", note="")

    assert SettingsHistory.from_text(history.to_text()) == history


@pytest.mark.skipif(bool(given()), reason="a server can")
@pytest.mark.parametrize("settings", _SETTINGS)
async def test_embedded_engine_says_that_it_cannot_and_nothing_is_changed(
    storage: Storage, settings: CollectionSettings
) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)
    await tuning.change("papers", CollectionSettings(candidates=9), tenant="default")

    with pytest.raises(FailedPrecondition, match="Qdrant server") as refused:
        await tuning.change("papers", settings, tenant="default")

    assert refused.value.reason == "ENGINE_CANNOT"
    described = await storage.collections.get("papers", reader=WHOLE)
    assert described.settings.now.settings == CollectionSettings(candidates=9)


@pytest.mark.skipif(not given(), reason="the embedded engine cannot")
@pytest.mark.parametrize("settings", _SETTINGS)
async def test_server_keeps_vectors_as_it_is_told_and_finds_the_same(
    storage: Storage, settings: CollectionSettings
) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    tuning = CollectionTuning(storage.connection, storage.collections, storage.embed)

    await tuning.change("papers", settings, tenant="default")

    found = await storage.collections.find("papers", tenant="default")
    assert found is not None
    request = qdrant.GetCollectionInfoRequest(collection_name=found.physical)
    reply = await storage.connection.call(storage.connection.collections.Get, request, timeout_seconds=30)
    dense = reply.result.config.params.vectors_config.params_map.map["dense"]
    wanted = {Quantisation.SCALAR: "scalar", Quantisation.BINARY: "binary"}.get(settings.storage[0])
    assert dense.quantization_config.WhichOneof("quantization") == wanted
    assert dense.on_disk == settings.storage[1]
