"""Changes to points: the engine's from Qdrant's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qdrant_edge
from trivium_serving.errors import InvalidField, TooLarge

from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.fields import allow_only, unsupported
from trivium_qdrant_edge.wire.filters import FilterConverter
from trivium_qdrant_edge.wire.values import payload_to_python
from trivium_qdrant_edge.wire.vectors import point_id_to_engine, stored_vectors_to_engine

if TYPE_CHECKING:
    from trivium_qdrant_edge.schema import CollectionSchema
    from trivium_qdrant_edge.settings import Limits

# Every write is applied in order before it is acknowledged, on the only copy: these change nothing here.
_WITHOUT_EFFECT = frozenset(("collection_name", "wait", "ordering", "timeout"))
_UPSERT = _WITHOUT_EFFECT | {"points", "update_filter", "update_mode"}
_DELETE = _WITHOUT_EFFECT | {"points"}
_SET_PAYLOAD = _WITHOUT_EFFECT | {"payload", "points_selector", "key"}
_DELETE_PAYLOAD = _WITHOUT_EFFECT | {"keys", "points_selector"}
_POINT = frozenset(("id", "payload", "vectors"))

_UPDATE_MODES = {
    qdrant.UpdateMode.Upsert: qdrant_edge.UpdateMode.Upsert,
    qdrant.UpdateMode.InsertOnly: qdrant_edge.UpdateMode.InsertOnly,
    qdrant.UpdateMode.UpdateOnly: qdrant_edge.UpdateMode.UpdateOnly,
}


def upsert_to_engine(request: qdrant.UpsertPoints, schema: CollectionSchema, limits: Limits) -> Change:
    """Stores points. Everything is checked here, see `Collection.write`.

    Raises:
        InvalidField: A point does not fit the collection.
        TooLarge: There are too many points.
        Unimplemented: It uses what is not supported.
    """
    allow_only(request, _UPSERT)
    if not request.points:
        raise InvalidField("points", "Wrong input: Empty update request")
    _check_count(len(request.points), limits)
    points = [_point(point, schema, f"points[{index}]") for index, point in enumerate(request.points)]
    condition = None
    if request.HasField("update_filter"):
        condition = FilterConverter(limits.filter_conditions).convert(request.update_filter)
    operation = qdrant_edge.UpdateOperation.upsert_points(
        points, condition=condition, update_mode=_UPDATE_MODES[request.update_mode]
    )
    return Change(operation, [point.id for point in points])


def delete_to_engine(request: qdrant.DeletePoints, limits: Limits) -> Change:
    """Deletes points by their ids or by a filter."""
    allow_only(request, _DELETE)
    selected = _selected(request.points, limits)
    if isinstance(selected, qdrant_edge.Filter):
        return Change(qdrant_edge.UpdateOperation.delete_points_by_filter(selected), selected)
    return Change(qdrant_edge.UpdateOperation.delete_points(selected), selected)


def set_payload_to_engine(request: qdrant.SetPayloadPoints, limits: Limits, *, overwrite: bool) -> Change:
    """Sets keys of the payload, or the whole payload."""
    allow_only(request, _SET_PAYLOAD)
    payload = payload_to_python(request.payload)
    key = request.key if request.HasField("key") else None
    selected = _selected(request.points_selector, limits)
    operations = qdrant_edge.UpdateOperation
    if isinstance(selected, qdrant_edge.Filter):
        by_filter = operations.overwrite_payload_by_filter if overwrite else operations.set_payload_by_filter
        return Change(by_filter(selected, payload, key), selected)
    by_ids = operations.overwrite_payload if overwrite else operations.set_payload
    return Change(by_ids(selected, payload, key), selected)


def delete_payload_to_engine(request: qdrant.DeletePayloadPoints, limits: Limits) -> Change:
    """Deletes keys of the payload."""
    allow_only(request, _DELETE_PAYLOAD)
    selected = _selected(request.points_selector, limits)
    if isinstance(selected, qdrant_edge.Filter):
        return Change(qdrant_edge.UpdateOperation.delete_payload_by_filter(selected, list(request.keys)), selected)
    return Change(qdrant_edge.UpdateOperation.delete_payload(selected, list(request.keys)), selected)


def clear_payload_to_engine(request: qdrant.ClearPayloadPoints, limits: Limits) -> Change:
    """Deletes the whole payload."""
    allow_only(request, _DELETE)
    selected = _selected(request.points, limits)
    if isinstance(selected, qdrant_edge.Filter):
        return Change(qdrant_edge.UpdateOperation.clear_payload_by_filter(selected), selected)
    return Change(qdrant_edge.UpdateOperation.clear_payload(selected), selected)


def _point(wire: qdrant.PointStruct, schema: CollectionSchema, field: str) -> qdrant_edge.Point:
    allow_only(wire, _POINT)
    vectors = stored_vectors_to_engine(wire.vectors, schema, f"{field}.vectors")
    try:
        return qdrant_edge.Point(
            point_id_to_engine(wire.id),
            vectors,  # type: ignore[arg-type]  # a dict of one kind of vector is one of mixed kinds too
            payload_to_python(wire.payload),
        )
    except ValueError as error:
        raise InvalidField(field, f"Wrong input: {error}") from error


def _selected(selector: qdrant.PointsSelector, limits: Limits) -> list[qdrant_edge.PointId] | qdrant_edge.Filter:
    kind = selector.WhichOneof("points_selector_one_of")
    if kind == "points":
        _check_count(len(selector.points.ids), limits)
        return [point_id_to_engine(point_id) for point_id in selector.points.ids]
    if kind == "filter":
        return FilterConverter(limits.filter_conditions).convert(selector.filter)
    if kind is None:
        raise InvalidField("points", "Wrong input: PointSelector is missing; give ids or a filter")
    raise unsupported(f"a selection of points by `{kind}`")


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.points_per_call:
        raise TooLarge(
            f"Wrong input: {count} points in one call, of which at most {limits.points_per_call} are taken. Send them "
            "in several calls; 64 to 256 at a time is fastest.",
            field="points",
        )
