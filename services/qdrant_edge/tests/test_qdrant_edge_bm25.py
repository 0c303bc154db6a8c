"""The options of `qdrant/bm25`."""

from __future__ import annotations

from typing import Any

import pytest
from trivium_qdrant_edge.bm25 import bm25_model
from trivium_serving.errors import InvalidField, Unimplemented


def terms(text: str, **options: Any) -> int:
    return len(bm25_model("qdrant/bm25", options).embed_document(text).indices)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2),
        ({"language": None}, 2),
        ({"stopwords": {"languages": [], "custom": []}}, 3),
        ({"stopwords": "german"}, 3),
        ({"stopwords": {"languages": ["english"], "custom": ["dogs"]}}, 1),
        ({"stemmer": {"type": "snowball", "language": "english"}}, 2),
        ({"min_token_len": 4}, 0),
        ({"max_token_len": 2}, 0),
        ({"tokenizer": "whitespace", "lowercase": False, "stopwords": {"custom": []}, "ascii_folding": True}, 3),
    ],
)
def test_bm25_option_changes_the_terms(options: dict[str, Any], expected: int) -> None:
    assert terms("The running dogs", **options) == expected


def test_bm25_with_the_same_options_is_the_same_object() -> None:
    first = bm25_model("Qdrant/BM25", {"k": 1.5, "tokenizer": "word"})

    assert bm25_model("qdrant/bm25", {"tokenizer": "word", "k": 1.5}) is first
    assert bm25_model("qdrant/bm25", {"tokenizer": "word", "k": 1.6}) is not first


@pytest.mark.parametrize(
    "options",
    [
        {"unknown": 1},
        {"k": "1"},
        {"k": True},
        {"avg_len": 0},
        {"b": 1.5},
        {"tokenizer": "letters"},
        {"tokenizer": ["word"]},
        {"language": "klingon"},
        {"language": 3},
        {"lowercase": "yes"},
        {"stopwords": {"languages": ["klingon"]}},
        {"stopwords": {"words": ["a"]}},
        {"stopwords": 7},
        {"stemmer": "english"},
        {"stemmer": {"type": "porter"}},
        {"stemmer": {"type": "snowball", "language": "klingon"}},
        {"min_token_len": -1},
        {"min_token_len": 1.5},
    ],
    ids=str,
)
def test_bm25_with_an_impossible_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidField):
        bm25_model("qdrant/bm25", options)


def test_bm25_is_the_only_model() -> None:
    with pytest.raises(Unimplemented, match="`all-minilm` cannot be computed here"):
        bm25_model("all-minilm", {})
