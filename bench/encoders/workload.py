"""Texts of mixed lengths, the same ones in each run."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "examples" / "corpus"

_WORDS_PER_TOKEN = 0.68  # of this corpus, with the tokenizer of all-MiniLM-L6-v2
_PASSAGE_TOKENS = (130.0, 25.0)  # mean, standard deviation
_PASSAGE_CHARACTERS = 700  # of a document, so that there is enough to cut from


def mixed_texts(count: int, seed: int) -> list[str]:
    """Pieces of the example corpus, each another one, of lognormal length: about 75 tokens on average, at most 256."""
    return _pieces(count, random.Random(seed), lambda choice: min(250.0, choice.lognormvariate(4.23, 0.7)))


def short_texts(count: int, seed: int) -> list[str]:
    """Pieces of about 15 tokens, each another one."""
    return _pieces(count, random.Random(seed), lambda choice: choice.uniform(6, 20))


def requests_of(texts: list[str]) -> list[list[str]]:
    """The texts in order, 1 to 32 to a request."""
    sizes, requests, start = random.Random(1), [], 0
    while start < len(texts):
        size = sizes.randint(1, 32)
        requests.append(texts[start : start + size])
        start += size
    return requests


def short_queries(count: int, seed: int) -> list[str]:
    """Questions of about ten tokens, each another one."""
    choice = random.Random(seed)
    subjects = ["the reranker", "a payload index", "the KV cache", "BM25", "a collection", "the gateway", "an alias"]
    return [f"what does {choice.choice(subjects)} do in case {number}?" for number in range(count)]


def passages_to_rerank(data: Path | None, tokenizer: Any, queries: int, passages: int) -> list[tuple[str, list[str]]]:
    """Questions, each with passages of about 130 tokens.

    Args:
        data: A folder with corpus.jsonl, queries.jsonl and qrels.tsv; a question's right passage is then among its
            passages. None for questions about the example corpus.
        tokenizer: What counts the tokens (`tokenizers.Tokenizer`).
        queries: How many questions.
        passages: How many passages each.
    """
    choice = random.Random(4)
    if data is None:
        texts = [
            prose[start:] for prose in [_prose()] for start in range(0, len(prose) - 2000, len(prose) // (3 * passages))
        ]
        return [
            (query, [_cut(text, tokenizer, choice) for text in choice.sample(texts, passages)])
            for query in short_queries(queries, 5)
        ]
    corpus = {row["id"]: row["text"] for row in _rows(data / "corpus.jsonl")}
    asked = {row["id"]: row["text"] for row in _rows(data / "queries.jsonl")}
    judged = [line.split("\t") for line in (data / "qrels.tsv").read_text(encoding="utf-8").splitlines()]
    long_enough = sorted(key for key, text in corpus.items() if len(text) > _PASSAGE_CHARACTERS)
    questions = []
    for query_id, right, _ in judged[:: max(1, len(judged) // queries)][:queries]:
        others = [key for key in choice.sample(long_enough, passages) if key != right]
        chosen = [right, *others[: passages - 1]]
        choice.shuffle(chosen)
        questions.append((asked[query_id], [_cut(corpus[key], tokenizer, choice) for key in chosen]))
    return questions


def _pieces(count: int, choice: random.Random, tokens: Any) -> list[str]:
    words = _prose().split()
    texts = []
    for number in range(count):
        length = max(3, int(tokens(choice) * _WORDS_PER_TOKEN))
        start = choice.randrange(len(words) - length)
        texts.append(f"{number} " + " ".join(words[start : start + length]))  # the number keeps any cache out of it
    return texts


def _prose() -> str:
    prose = " ".join(path.read_text(encoding="utf-8") for path in sorted(CORPUS.glob("*.md")) if path.name.isascii())
    return re.sub(r"[`|#*]+", " ", prose)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _cut(text: str, tokenizer: Any, choice: random.Random) -> str:
    mean, deviation = _PASSAGE_TOKENS
    wanted = int(min(220.0, max(60.0, choice.gauss(mean, deviation))))
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets[:wanted]
    return text[offsets[0][0] : offsets[-1][1]]
