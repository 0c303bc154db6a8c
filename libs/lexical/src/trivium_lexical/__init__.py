"""Trivium's words: turns texts and queries into the terms by which they find each other."""

from trivium_lexical.analyzer import ANALYZER_VERSION, MAX_TERMS, SparseVector, document_vector, query_vector
from trivium_lexical.folding import simplified
from trivium_lexical.languages import LANGUAGES
from trivium_lexical.query_syntax import ParsedQuery, occurs, parse_query
from trivium_lexical.spacing import spaced

__all__ = [
    "ANALYZER_VERSION",
    "LANGUAGES",
    "MAX_TERMS",
    "ParsedQuery",
    "SparseVector",
    "document_vector",
    "occurs",
    "parse_query",
    "query_vector",
    "simplified",
    "spaced",
]
