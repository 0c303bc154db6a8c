"""Settings of collections in messages, by their names."""

from collections.abc import Mapping

from trivium.gateway.v1 import gateway_service_pb2 as pb

_WORDS: Mapping[str, Mapping[int, str]] = {
    "refusal": {pb.REFUSAL_OFF: "off", pb.REFUSAL_MARK: "mark", pb.REFUSAL_REFUSE: "refuse"},
    "quantisation": {
        pb.QUANTISATION_OFF: "off",
        pb.QUANTISATION_SCALAR: "scalar",
        pb.QUANTISATION_BINARY: "binary",
    },
}


def setting_values(message: pb.CollectionSettings) -> dict[str, float | int | str | None]:
    return {
        field.name: _WORDS[field.name].get(value, "unknown") if field.name in _WORDS else value
        for field, value in message.ListFields()
    }
