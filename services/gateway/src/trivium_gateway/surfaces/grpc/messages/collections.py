"""Collections and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_serving.errors import InvalidField

from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.settings import CollectionSettings, Quantisation
from trivium_gateway.library.descriptions import CollectionState
from trivium_gateway.surfaces.grpc.messages.indexes import beside_message, comparison_message

if TYPE_CHECKING:
    from trivium_gateway.domain.settings import SettingsVersion
    from trivium_gateway.library.descriptions import CollectionDescription

_REFUSAL_VALUES = {
    None: pb.REFUSAL_UNSPECIFIED,
    Refusal.OFF: pb.REFUSAL_OFF,
    Refusal.MARK: pb.REFUSAL_MARK,
    Refusal.REFUSE: pb.REFUSAL_REFUSE,
}
_REFUSALS: dict[int, Refusal | None] = {value: refusal for refusal, value in _REFUSAL_VALUES.items()}
_QUANTISATION_VALUES = {
    None: pb.QUANTISATION_UNSPECIFIED,
    Quantisation.OFF: pb.QUANTISATION_OFF,
    Quantisation.SCALAR: pb.QUANTISATION_SCALAR,
    Quantisation.BINARY: pb.QUANTISATION_BINARY,
}
_QUANTISATIONS: dict[int, Quantisation | None] = {value: one for one, value in _QUANTISATION_VALUES.items()}
_COLLECTION_STATES = {
    CollectionState.READY: pb.COLLECTION_STATE_READY,
    CollectionState.OPENING: pb.COLLECTION_STATE_OPENING,
    CollectionState.DAMAGED: pb.COLLECTION_STATE_DAMAGED,
    CollectionState.UNAVAILABLE: pb.COLLECTION_STATE_UNAVAILABLE,
}


def collection_message(collection: CollectionDescription) -> pb.Collection:
    """A collection."""
    return pb.Collection(
        name=collection.name,
        chunk_count=collection.chunk_count or 0,
        model=collection.model,
        model_fingerprint=collection.model_fingerprint,
        dimension=collection.dimension,
        metadata_keys=collection.metadata_keys,
        state=_COLLECTION_STATES[collection.state],
        needs_reindex=collection.needs_reindex,
        coded_chunk_count=collection.coded_chunk_count,
        settings=_settings_version(collection.settings.now) if collection.settings.change_count else None,
        earlier_settings=map(_settings_version, collection.settings.earlier),
        index_beside=beside_message(collection.beside) if collection.beside else None,
        comparison=comparison_message(collection.comparison) if collection.comparison else None,
        sparse_fingerprint=collection.sparse_fingerprint,
    )


def settings_from(message: pb.CollectionSettings) -> CollectionSettings:
    """Settings of a collection.

    Raises:
        InvalidField: The refusal, or the quantisation, is none that there is.
    """
    given = {one.name: value for one, value in message.ListFields() if one.name not in ("refusal", "quantisation")}
    if message.quantisation not in _QUANTISATIONS:
        raise InvalidField("settings.quantisation", f"settings.quantisation {message.quantisation} does not exist.")
    return CollectionSettings(
        **given,
        refusal=refusal_from("settings.refusal", message.refusal),
        quantisation=_QUANTISATIONS[message.quantisation],
    )


def refusal_from(field: str, refusal: pb.Refusal.ValueType) -> Refusal | None:
    """What becomes of a question that the documents hardly answer; None where nobody says it.

    Raises:
        InvalidField: It is none that there is.
    """
    if refusal not in _REFUSALS:
        raise InvalidField(field, f"{field} {refusal} does not exist.")
    return _REFUSALS[refusal]


def settings_message(settings: CollectionSettings) -> pb.CollectionSettings:
    """Settings of a collection."""
    given = settings.given()
    refusal = given.pop("refusal", None)
    quantisation = _QUANTISATION_VALUES[given.pop("quantisation", None)]
    return pb.CollectionSettings(**given, refusal=_REFUSAL_VALUES[refusal], quantisation=quantisation)


def _settings_version(version: SettingsVersion) -> pb.SettingsVersion:
    settings = settings_message(version.settings)
    return pb.SettingsVersion(number=version.number, settings=settings, made_at=version.made_at, note=version.note)
