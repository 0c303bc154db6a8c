"""Texts of mixed lengths, the same ones in each run."""

from __future__ import annotations

import random
import re
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "examples" / "corpus"

_WORDS_PER_TOKEN = 0.68  # of this corpus, with the tokenizer of all-MiniLM-L6-v2


def mixed_texts(count: int, seed: int) -> list[str]:
    """Pieces of the example corpus, each another one, of lognormal length: about 75 tokens on average, at most 256."""
    prose = " ".join(path.read_text(encoding="utf-8") for path in sorted(CORPUS.glob("*.md")) if path.name.isascii())
    words = re.sub(r"[`|#*]+", " ", prose).split()
    choice = random.Random(seed)
    texts = []
    for number in range(count):
        tokens = min(250.0, choice.lognormvariate(4.1, 0.7))
        length = max(3, int(tokens * _WORDS_PER_TOKEN))
        start = choice.randrange(len(words) - length)
        texts.append(f"{number} " + " ".join(words[start : start + length]))  # the number keeps any cache out of it
    return texts


def short_queries(count: int, seed: int) -> list[str]:
    """Questions of about ten tokens, each another one."""
    choice = random.Random(seed)
    subjects = ["the reranker", "a payload index", "the KV cache", "BM25", "a collection", "the gateway", "an alias"]
    return [f"what does {choice.choice(subjects)} do in case {number}?" for number in range(count)]
