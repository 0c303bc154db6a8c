"""What several collections found, put together."""

from __future__ import annotations

from trivium_gateway.answering.plan import SearchOptions
from trivium_gateway.answering.together import FoundIn, together
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.settings import AS_THE_GATEWAY, CollectionSettings


def _found(collection: str, *scores: float, calibrated: bool, settings: CollectionSettings = AS_THE_GATEWAY) -> FoundIn:
    chunks = [Chunk(f"{collection}{one}", 0, "", "", f"{collection} {one}", 0, 1, "", 1, {}) for one in scores]
    passages = tuple(
        Passage(chunk.document_id, chunk, score, Scores(calibrated=calibrated), collection=collection)
        for chunk, score in zip(chunks, scores, strict=True)
    )
    return FoundIn(passages, settings)


def test_calibrated_scores_decide_and_others_take_turns() -> None:
    options = SearchOptions(top_n=4)
    some = [_found("a", 0.9, 0.8, 0.7, calibrated=True), _found("b", 0.75, 0.1, calibrated=True)]
    assert [(one.collection, one.score) for one in together(some, options).passages] == [
        ("a", 0.9),
        ("a", 0.8),
        ("b", 0.75),
        ("a", 0.7),
    ]

    some = [_found("a", 0.9, 0.8, 0.7, calibrated=True), _found("b", 0.75, 0.1, calibrated=False)]
    assert [(one.collection, one.score) for one in together(some, options).passages] == [
        ("a", 0.9),
        ("b", 0.75),
        ("a", 0.75),
        ("b", 0.1),
    ]


def test_settings_of_several_collections_count_only_where_they_agree() -> None:
    wanted = CollectionSettings(refuse_below=0.2)
    options = SearchOptions()
    agreeing = [_found(name, 0.5, calibrated=True, settings=wanted) for name in "ab"]
    assert together(agreeing, options).settings == wanted
    differing = [agreeing[0], _found("c", 0.5, calibrated=True)]
    assert together(differing, options).settings == AS_THE_GATEWAY
