"""How good the search by words is alone: Trivium's analyzer beside Qdrant's own tokenizer, over the same formula.

Needs no running stack. A data set is three files: `corpus.jsonl` with `{id, title, text}`, `queries.jsonl` with
`{id, text}`, `qrels.tsv` with query, document and grade separated by tabs.

    .venv/bin/python bench/retrieval/words.py DIR [DIR ...] [--queries 1500]
    .venv/bin/python bench/retrieval/words.py cmrc2018-trial-zh --traditional  # of texts in simplified characters
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import opencc
from trivium_lexical import document_vector, query_vector
from trivium_qdrant_edge.bm25 import bm25_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Analyze = Callable[[str], Any]

_DEPTH = 10


@dataclass(frozen=True, slots=True)
class DataSet:
    """Passages, questions, and which passages answer which question."""

    ids: list[str]
    texts: list[str]
    questions: list[tuple[str, str]]
    right: dict[str, set[str]]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON lines file."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def read(folder: Path, most_questions: int) -> DataSet:
    """Reads a data set; of its questions so many, spread over the whole file."""
    right: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            right.setdefault(query, set()).add(document)
    corpus = list(read_lines(folder / "corpus.jsonl"))
    questions = [(row["id"], row["text"]) for row in read_lines(folder / "queries.jsonl") if row["id"] in right]
    step = max(1, len(questions) // most_questions)
    texts = [f"{row['title']}\n{row['text']}" if row["title"] else row["text"] for row in corpus]
    return DataSet([row["id"] for row in corpus], texts, questions[::step][:most_questions], right)


def measure(data: DataSet, of_document: Analyze, of_query: Analyze) -> str:
    """Indexes and asks; the mean nDCG@10, the share that is first, and what a passage takes."""
    postings: dict[int, list[tuple[int, float]]] = defaultdict(list)
    begin, term_count = time.process_time(), 0
    for number, text in enumerate(data.texts):
        vector = of_document(text)
        term_count += len(vector.indices)
        for term, weight in zip(vector.indices, vector.values, strict=True):
            postings[term].append((number, weight))
    microseconds = (time.process_time() - begin) / len(data.texts) * 1e6
    gains, first = [], 0
    for query, text in data.questions:
        found = [data.ids[number] for number in ranked(postings, of_query(text), len(data.texts))]
        gains.append(ndcg(found, data.right[query]))
        first += bool(found) and found[0] in data.right[query]
    asked = len(data.questions)
    return (
        f"nDCG@10 {sum(gains) / asked:.4f}  first {first / asked:.4f}  "
        f"{term_count / len(data.texts):.0f} terms and {microseconds:.0f} us a passage"
    )


def ranked(postings: dict[int, list[tuple[int, float]]], query: Any, total: int) -> Sequence[int]:
    """The best passages, as Qdrant's modifier IDF weighs them."""
    scores: dict[int, float] = defaultdict(float)
    for term, asked in zip(query.indices, query.values, strict=True):
        found = postings.get(term, ())
        weight = asked * math.log((total - len(found) + 0.5) / (len(found) + 0.5) + 1)
        for number, value in found:
            scores[number] += weight * value
    return sorted(scores, key=lambda number: (-scores[number], number))[:_DEPTH]


def ndcg(found: Sequence[str], right: set[str]) -> float:
    """Discounted gain of a ranking over that of the best one; all right passages are equally right."""
    gain = sum(1 / math.log2(rank + 2) for rank, one in enumerate(found) if one in right)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(_DEPTH, len(right))))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="folders of data sets")
    parser.add_argument("--queries", type=int, default=1500, help="how many judged queries to ask of each")
    parser.add_argument("--traditional", action="store_true", help="ask in traditional Chinese characters")
    arguments = parser.parse_args()
    traditional = opencc.OpenCC("s2tw").convert
    theirs = bm25_model("qdrant/bm25", {"tokenizer": "multilingual"})
    for folder in arguments.data:
        data = read(folder, arguments.queries)
        if arguments.traditional:
            data = replace(data, questions=[(one, traditional(text)) for one, text in data.questions])
        print(f"{folder.name}: {len(data.texts)} passages, {len(data.questions)} questions")
        print(f"  Qdrant, multilingual  {measure(data, theirs.embed_document, theirs.embed_query)}")
        print(f"  Trivium               {measure(data, document_vector, query_vector)}")


if __name__ == "__main__":
    main()
