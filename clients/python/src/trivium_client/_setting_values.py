"""Settings of collections in messages, by their names."""

from trivium.gateway.v1 import gateway_service_pb2 as pb

_REFUSALS = {pb.REFUSAL_OFF: "off", pb.REFUSAL_MARK: "mark", pb.REFUSAL_REFUSE: "refuse"}


def setting_values(message: pb.CollectionSettings) -> dict[str, float | int | str | None]:
    return {
        field.name: _REFUSALS.get(value, "unknown") if field.name == "refusal" else value
        for field, value in message.ListFields()
    }
