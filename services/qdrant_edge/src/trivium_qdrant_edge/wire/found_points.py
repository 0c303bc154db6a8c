"""Points as queries and reads give them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.values import fill_payload
from trivium_qdrant_edge.wire.vectors import point_id_to_wire, vectors_to_wire

if TYPE_CHECKING:
    import qdrant_edge


def scored_point_to_wire(point: qdrant_edge.ScoredPoint) -> qdrant.ScoredPoint:
    """A result of a query."""
    wire = qdrant.ScoredPoint(
        id=point_id_to_wire(point.id),
        score=point.score,
        version=point.version,
        vectors=vectors_to_wire(point.vector),
        order_value=_order_value(point.order_value),
    )
    fill_payload(wire.payload, point.payload or {})
    return wire


def record_to_wire(record: qdrant_edge.Record) -> qdrant.RetrievedPoint:
    """A point of a page, or one that was asked for by its id."""
    wire = qdrant.RetrievedPoint(
        id=point_id_to_wire(record.id),
        vectors=vectors_to_wire(record.vector),
        order_value=_order_value(record.order_value),
    )
    fill_payload(wire.payload, record.payload or {})
    return wire


def facet_hit_to_wire(hit: qdrant_edge.FacetHit) -> qdrant.FacetHit:
    """A value of a payload field, and how many points have it."""
    value = hit.value
    if isinstance(value, bool):
        wire = qdrant.FacetValue(bool_value=value)
    elif isinstance(value, int):
        wire = qdrant.FacetValue(integer_value=value)
    else:
        wire = qdrant.FacetValue(string_value=str(value))
    return qdrant.FacetHit(value=wire, count=hit.count)


def _order_value(value: float | None) -> qdrant.OrderValue | None:
    if value is None:
        return None
    return qdrant.OrderValue(int=value) if isinstance(value, int) else qdrant.OrderValue(float=value)
