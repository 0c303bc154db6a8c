"""Which parts of the found points come back, and in which order pages go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qdrant_edge
from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.generated import qdrant

if TYPE_CHECKING:
    from google.protobuf.message import Message


def payload_selector(request: Message, *, default: bool) -> qdrant_edge.WithPayloadType:
    """Which payload comes back.

    Args:
        request: A message with `with_payload`.
        default: What holds if the request does not say.
    """
    if not request.HasField("with_payload"):
        return default
    selector: qdrant.WithPayloadSelector = request.with_payload  # type: ignore[attr-defined]
    kind = selector.WhichOneof("selector_options")
    if kind == "include":
        return qdrant_edge.PayloadSelector.Include(list(selector.include.fields))
    if kind == "exclude":
        return qdrant_edge.PayloadSelector.Exclude(list(selector.exclude.fields))
    if kind == "enable":
        return selector.enable
    raise InvalidField("with_payload", "Wrong input: with_payload must enable, include or exclude")


def vectors_selector(request: Message) -> qdrant_edge.WithVectorType:
    """Which vectors come back; none if the request does not say."""
    if not request.HasField("with_vectors"):
        return False
    selector: qdrant.WithVectorsSelector = request.with_vectors  # type: ignore[attr-defined]
    kind = selector.WhichOneof("selector_options")
    if kind == "include":
        return list(selector.include.names)
    if kind == "enable":
        return selector.enable
    raise InvalidField("with_vectors", "Wrong input: with_vectors must enable or include")


def order_by_to_engine(wire: qdrant.OrderBy) -> qdrant_edge.OrderBy:
    """An order by a payload field, which needs an index with ranges."""
    direction = None
    if wire.HasField("direction"):
        ascending = wire.direction == qdrant.Direction.Asc
        direction = qdrant_edge.Direction.Asc if ascending else qdrant_edge.Direction.Desc
    return qdrant_edge.OrderBy(wire.key, direction, _start_from(wire.start_from))


def _start_from(wire: qdrant.StartFrom) -> int | float | str | None:
    kind = wire.WhichOneof("value")
    if kind is None:
        return None
    if kind == "timestamp":
        return wire.timestamp.ToJsonString()
    value: int | float | str = getattr(wire, kind)
    return value
