"""Puts together what a query found in several collections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_gateway.domain.settings import AS_THE_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.answering.plan import SearchOptions
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.domain.standings import Ordered, Ranked


@dataclass(frozen=True, slots=True)
class FoundIn:
    """What a query found in one collection.

    Attributes:
        passages: Best first.
        settings: By which settings they were searched and judged.
        found: What the search found for each query.
        ordered: The candidates as they were ordered.
    """

    passages: tuple[Passage, ...]
    settings: CollectionSettings
    found: Sequence[Sequence[Ranked]] = ()
    ordered: Sequence[Ordered] = ()


def together(some: Sequence[FoundIn], options: SearchOptions) -> FoundIn:
    """Give the best of all.

    Scores that are probabilities compare, whichever models they are from: then the most probable passages come first.
    Others do not: then the collections take turns, each with its best, and no passage scores more than the one before.
    What stands word for word in several collections is shown once.

    Args:
        some: What each collection has.
        options: How many passages to give, and whether those that say the same are shown once.
    """
    found = [(rank, passage) for one in some for rank, passage in enumerate(one.passages)]
    if all(passage.scores.calibrated for _, passage in found):
        found.sort(key=lambda ranked: -ranked[1].score)
    else:
        found.sort(key=lambda ranked: (ranked[0], -ranked[1].score))
    passages: list[Passage] = []
    texts: set[str] = set()
    for _, passage in found:
        if options.collapse and passage.chunk.text in texts:
            continue
        texts.add(passage.chunk.text)
        most = passages[-1].score if passages else 1.0
        passages.append(replace(passage, score=min(passage.score, most)))
    passages = passages[: options.top_n]
    settings = {one.settings for one in some}
    return FoundIn(
        tuple(passages),
        settings.pop() if len(settings) == 1 else options.settings.over(AS_THE_GATEWAY),
        [ranking for one in some for ranking in one.found],
        _ordered(some, passages),
    )


def _ordered(some: Sequence[FoundIn], passages: Sequence[Passage]) -> list[Ordered]:
    """Where each candidate of any collection ended: its place among what is shown now."""
    places = {(one.collection, one.id): place for place, one in enumerate(passages)}
    ordered = [
        candidate._replace(place=_place(places, one.passages, candidate.place))
        for one in some
        for candidate in one.ordered
    ]
    return sorted(ordered, key=lambda candidate: -candidate.score)


def _place(places: Mapping[tuple[str, str], int], passages: Sequence[Passage], place: int | None) -> int | None:
    """Where a passage of one collection is shown among all; None if it is not."""
    if place is None or place >= len(passages):
        return None
    return places.get((passages[place].collection, passages[place].id))
