"""Moves collections: what is there already is compared, so that a move that broke off goes on when it is run again."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_client._errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qdrant_client import grpc as qdrant

    from trivium_client.moving.engine import Engine
    from trivium_client.moving.snapshot import Snapshot

    Side = Engine | Snapshot

__all__ = ["MovedCollection", "move"]

_PAGE = 128
_CLOSE = 1e-6
"""How much a number of a vector may differ: a Qdrant that normalises one again may round it another way."""
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class MovedCollection:
    """What became of a collection.

    Attributes:
        name: Its name.
        points: How many points it has, on both sides.
        written: How many of them had to be written.
        checksum: Of the ids and payloads of its points, the same on both sides.
        left_out: What the other side cannot do, in words.
    """

    name: str
    points: int
    written: int
    checksum: str
    left_out: tuple[str, ...]


def move(
    source: Side, target: Side, names: Sequence[str], on_progress: Callable[[str, int, int], None]
) -> list[MovedCollection]:
    """Copies collections with all their points, settings, indexes and aliases, and compares both sides at last.

    Nothing is deleted, on either side. Nothing may write to the source meanwhile: what is written behind the place that
    a move has reached is not seen, which the comparison tells.

    Args:
        source: Where they are.
        target: Where they go.
        names: Which; all if there are none.
        on_progress: Called with a collection's name, how many points are done, and how many there are.

    Raises:
        FailedPrecondition: A collection is not there (COLLECTION_NOT_FOUND), or the two sides differ (MOVE_DIFFERS).
    """
    there, aliases = source.names(), source.aliases()
    wanted = list(names) or there
    wanted = [aliases.get(one, one) for one in wanted]
    missing = [one for one in wanted if one not in there]
    if missing:
        raise FailedPrecondition(f"{source.url} has no collection {missing[0]!r}", reason="COLLECTION_NOT_FOUND")
    moved = [_move_one(source, target, name, on_progress) for name in wanted]
    # An alias stands for its collection only once that is whole: until then the gateway sees none there.
    have = target.aliases()
    for alias, name in sorted(aliases.items()):
        if name in wanted and have.get(alias) != name:
            target.alias(alias, name)
    target.end()
    return moved


def _move_one(source: Side, target: Side, name: str, on_progress: Callable[[str, int, int], None]) -> MovedCollection:
    info = source.describe(name)
    left_out = target.make(name, info)
    total = source.count(name)
    written = done = 0
    offset = None
    while True:
        points, offset = source.page(name, offset, _PAGE)
        lacking = _lacking(points, target.find(name, [one.id for one in points])) if points else []
        if lacking:
            target.write(name, lacking)
            written += len(lacking)
        done += len(points)
        on_progress(name, done, max(total, done))
        if offset is None:
            break
    target.note(name, info.config.metadata)
    checksum = _compare(source, target, name)
    return MovedCollection(name, target.count(name), written, checksum, left_out)


def _compare(source: Side, target: Side, name: str) -> str:
    """Reads both sides once more, and says the checksum of both.

    Raises:
        FailedPrecondition: They differ (MOVE_DIFFERS).
    """
    counts = source.count(name), target.count(name)
    sums = [0, 0]
    different = 0
    offset = None
    while counts[0]:
        points, offset = source.page(name, offset, _PAGE)
        found = target.find(name, [one.id for one in points])
        different += len(_lacking(points, found))
        for side, some in enumerate((points, found)):
            sums[side] = (sums[side] + sum(map(_digest, some))) % _MODULUS
        if offset is None:
            break
    if counts[0] != counts[1] or sums[0] != sums[1] or different:
        raise FailedPrecondition(
            f"{name} has {counts[0]} points in {source.url} and {counts[1]} in {target.url}, and {different} of them "
            "differ. Let nothing write to either, and run it again; what only the second one has, delete there",
            reason="MOVE_DIFFERS",
        )
    return f"{sums[0]:064x}"[:16]


def _lacking(
    points: Sequence[qdrant.RetrievedPoint], found: Sequence[qdrant.RetrievedPoint]
) -> list[qdrant.RetrievedPoint]:
    """Those of some points that the other side has not, or not the same."""
    there = {_id(one): one for one in found}
    return [one for one in points if (other := there.get(_id(one))) is None or not _is_same(one, other)]


def _is_same(one: qdrant.RetrievedPoint, other: qdrant.RetrievedPoint) -> bool:
    return _digest(one) == _digest(other) and _are_close(_numbers(one), _numbers(other))


def _are_close(some: dict[str, list[float]], others: dict[str, list[float]]) -> bool:
    return some.keys() == others.keys() and all(
        len(numbers) == len(others[name])
        and all(math.isclose(a, b, rel_tol=_CLOSE, abs_tol=_CLOSE) for a, b in zip(numbers, others[name], strict=True))
        for name, numbers in some.items()
    )


def _numbers(point: qdrant.RetrievedPoint) -> dict[str, list[float]]:
    """All numbers of a point's vectors, those of a sparse one with their places, by the vectors' names."""
    kind = point.vectors.WhichOneof("vectors_options")
    named = {"": point.vectors.vector} if kind == "vector" else dict(point.vectors.vectors.vectors)
    return {name: _numbers_of(vector) for name, vector in named.items()} if kind else {}


def _numbers_of(vector: qdrant.VectorOutput) -> list[float]:
    kind = vector.WhichOneof("vector")
    if kind == "multi_dense":
        return [number for row in vector.multi_dense.vectors for number in row.data]
    if kind == "sparse" or (kind is None and vector.HasField("indices")):
        places = vector.sparse.indices if kind else vector.indices.data
        values = vector.sparse.values if kind else vector.data
        return [number for pair in sorted(zip(places, values, strict=True)) for number in pair]
    return list(vector.dense.data or vector.data)


def _digest(point: qdrant.RetrievedPoint) -> int:
    digest = hashlib.sha256(_id(point))
    for key in sorted(point.payload):
        digest.update(key.encode() + b"\0" + point.payload[key].SerializeToString(deterministic=True) + b"\0")
    return int.from_bytes(digest.digest(), "big")


def _id(point: qdrant.RetrievedPoint) -> bytes:
    identity: bytes = point.id.SerializeToString(deterministic=True)
    return identity
