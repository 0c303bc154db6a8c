"""The words of chunks and queries, as the sparse vector that Qdrant searches.

Which terms a text has is decided by the analyzer that its collection was made with: queries and chunks of two analyzers
do not find each other. Collections from before there was one are asked in Qdrant's own way, as they were made.
"""

from dataclasses import dataclass

from trivium_lexical import ANALYZER_VERSION, SparseVector, document_vector, query_vector
from trivium_serving.errors import FailedPrecondition

from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.values import to_value

__all__ = ["QDRANTS_OWN", "StoredWords", "WordRules", "asked_words", "stored_words"]

StoredWords = qdrant.Vector
"""The vector of a chunk's words, ready to be written; only this folder looks into it."""

QDRANTS_OWN = 0
"""The analyzer of collections that say nothing of one: Qdrant's `qdrant/bm25` with its tokenizer `multilingual`."""

_MULTILINGUAL = {"tokenizer": to_value("multilingual")}


@dataclass(frozen=True, slots=True)
class WordRules:
    """What a collection's words were made by.

    Attributes:
        analyzer: The version of the analyzer.
        language: The code of the language of texts in which nothing tells; empty for English.
    """

    analyzer: int
    language: str = ""


def stored_words(text: str, rules: WordRules) -> qdrant.Vector | None:
    """Make the vector of a chunk's words; None if it has none.

    Args:
        text: What is indexed of the chunk.
        rules: The collection's.

    Raises:
        FailedPrecondition: It is none that this version of Trivium has (ANALYZER_CHANGED).
    """
    if rules.analyzer == QDRANTS_OWN:
        return qdrant.Vector(document=_document(text))
    _check(rules.analyzer)
    vector = _sparse(document_vector(text, rules.language))
    return qdrant.Vector(sparse=vector) if vector.indices else None


def asked_words(text: str, rules: WordRules, focus: str = "") -> qdrant.VectorInput | None:
    """Make the vector of a query's words; None if it has none.

    Args:
        text: The query.
        rules: The collection's.
        focus: What a long query asks above all; empty for all of it.

    Raises:
        FailedPrecondition: It is none that this version of Trivium has (ANALYZER_CHANGED).
    """
    if rules.analyzer == QDRANTS_OWN:
        return qdrant.VectorInput(document=_document(text))
    _check(rules.analyzer)
    vector = _sparse(query_vector(text, focus, rules.language))
    return qdrant.VectorInput(sparse=vector) if vector.indices else None


def _check(analyzer: int) -> None:
    if analyzer != ANALYZER_VERSION:
        raise FailedPrecondition(
            f"The words of this collection were indexed by version {analyzer} of the analyzer, and this Trivium has "
            f"version {ANALYZER_VERSION}. Run `trivium reindex` for the collection.",
            reason="ANALYZER_CHANGED",
        )


def _document(text: str) -> qdrant.Document:
    return qdrant.Document(text=text, model="qdrant/bm25", options=_MULTILINGUAL)


def _sparse(vector: SparseVector) -> qdrant.SparseVector:
    return qdrant.SparseVector(indices=vector.indices, values=vector.values)
