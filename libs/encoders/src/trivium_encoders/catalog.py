"""What models need that their files do not say."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is put before a text, by its role."""

    query: str = ""
    """Before a query."""
    document: str = ""
    """Before a text to be found."""


_E5 = Prompts("query: ", "passage: ")
_E5_INSTRUCT = Prompts(
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""
)
_BGE_ENGLISH = Prompts("Represent this sentence for searching relevant passages: ", "")
_BGE_CHINESE = Prompts("为这个句子生成表示以用于检索相关文章：", "")

# Each pattern is matched against the last part of a model's name or folder. First match wins.
_PROMPTS: tuple[tuple[re.Pattern[str], Prompts], ...] = (
    (re.compile(r"multilingual-e5-large-instruct"), _E5_INSTRUCT),
    (re.compile(r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?"), _E5),
    (re.compile(r"bge-(small|base|large)-en(-v1\.5)?"), _BGE_ENGLISH),
    (re.compile(r"bge-(small|base|large)-zh(-v1\.5)?"), _BGE_CHINESE),
)


def missing_prompts(name: str) -> Prompts | None:
    """The prompts that a model was trained with but does not ship; None for a model that the catalog does not know.

    Args:
        name: The model's name or folder; only its last part counts, so a renamed folder is not recognised.
    """
    last = name.rstrip("/").rpartition("/")[2]
    return next((prompts for pattern, prompts in _PROMPTS if pattern.fullmatch(last)), None)
