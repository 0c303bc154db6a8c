"""The model `qdrant/bm25`, which a Qdrant server computes itself: a text becomes a sparse vector of its terms.

A document's terms carry BM25's term weights, a query's terms carry 1; the IDF is applied in the search, by the sparse
vector's modifier. The options are those of a Qdrant server.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import qdrant_edge
from trivium_serving.errors import InvalidField, Unimplemented

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODEL = "qdrant/bm25"

_TOKENIZERS = {
    "prefix": qdrant_edge.TokenizerType.Prefix,
    "whitespace": qdrant_edge.TokenizerType.Whitespace,
    "word": qdrant_edge.TokenizerType.Word,
    "multilingual": qdrant_edge.TokenizerType.Multilingual,
    "code": qdrant_edge.TokenizerType.Code,
}


def bm25_model(model: str, options: Mapping[str, Any]) -> qdrant_edge.Bm25:
    """The model with these options; the same object for the same options.

    Args:
        model: Its name; there is only `qdrant/bm25`.
        options: `tokenizer`, `language`, `k`, `b`, `avg_len`, `lowercase`, `ascii_folding`, `stopwords`, `stemmer`,
            `min_token_len`, `max_token_len`, as in Qdrant's API.

    Raises:
        Unimplemented: Another model.
        InvalidField: An option that does not exist, or cannot have this value.
    """
    if model.lower() != MODEL:
        raise Unimplemented(
            f"The model `{model}` cannot be computed here, only `{MODEL}`. Send vectors instead of documents.",
            reason="UNKNOWN_MODEL",
        )
    return _bm25(json.dumps(options, sort_keys=True))


@lru_cache(maxsize=64)
def _bm25(options_json: str) -> qdrant_edge.Bm25:
    arguments: dict[str, Any] = {}
    for name, value in json.loads(options_json).items():
        parse = _OPTIONS.get(name)
        if parse is None:
            known = ", ".join(sorted(_OPTIONS))
            raise InvalidField("options", f"Wrong input: `{name}` is not an option of {MODEL}; there are {known}")
        if value is None:
            continue
        try:
            arguments[name] = parse(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidField(f"options.{name}", f"Wrong input: {value!r} cannot be `{name}` of {MODEL}") from error
    try:
        return qdrant_edge.Bm25(qdrant_edge.Bm25Config(**arguments))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidField("options", f"Wrong input: {error}") from error


def _exactly(kind: type) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return parse


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError
    return float(value)


def _language(name: str) -> qdrant_edge.Language:
    language: qdrant_edge.Language = getattr(qdrant_edge.Language, name.capitalize())
    return language


def _stopwords(value: Any) -> qdrant_edge.Stopwords:
    """A language's name, or `{"languages": [...], "custom": [...]}`."""
    if isinstance(value, str):
        return _language(value)
    unknown = value.keys() - {"languages", "custom"}
    if unknown:
        raise KeyError(*unknown)
    return qdrant_edge.StopwordsSet(
        languages={_language(name) for name in value.get("languages") or ()},
        custom={_exactly(str)(word) for word in value.get("custom") or ()},
    )


def _stemmer(value: Any) -> qdrant_edge.StemmingAlgorithm:
    """`{"type": "snowball", "language": "english"}` or `{"type": "none"}`."""
    if value["type"] == "none" and len(value) == 1:
        return qdrant_edge.DisabledStemmer()
    if value["type"] != "snowball" or value.keys() != {"type", "language"}:
        raise ValueError
    language = getattr(qdrant_edge.SnowballLanguage, value["language"].capitalize())
    return qdrant_edge.SnowballParams(language)


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "k": _number,
    "b": _number,
    "avg_len": _number,
    "tokenizer": lambda value: _TOKENIZERS[value],
    "language": _exactly(str),
    "lowercase": _exactly(bool),
    "ascii_folding": _exactly(bool),
    "stopwords": _stopwords,
    "stemmer": _stemmer,
    "min_token_len": _exactly(int),
    "max_token_len": _exactly(int),
}
