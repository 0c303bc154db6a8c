"""Long documents and questions about places in them, of the data sets that `chunking.py` compares on."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    Span = tuple[int, int]

__all__ = ["Asked", "Long", "data_set"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where its answer stands in a document.

    Attributes:
        text: The question.
        document: The document's id.
        places: Ranges of its text: of answers, or of the short documents that are relevant.
        has_answers: Whether the places are answers, which a passage must have; else it must stand in one of them.
    """

    text: str
    document: str
    places: Sequence[Span]
    has_answers: bool = True


@dataclass(frozen=True, slots=True)
class Long:
    """A long document."""

    id: str
    title: str
    text: str


def data_set(folder: Path, count: int, document_count: int, together: int) -> tuple[dict[str, Long], list[Asked]]:
    """Make long documents of short ones, and draw some questions, the same ones in each run.

    Args:
        folder: A data set as `run.py` has it.
        count: Most questions.
        document_count: Most long documents.
        together: How many short documents become one, where no two of them share a title.

    Returns:
        The documents by id, and the questions.
    """
    rows = list(_rows(folder / "corpus.jsonl"))
    judged: dict[str, list[str]] = defaultdict(list)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, short = line.split("\t")[:2]
        judged[query].append(short)
    by_title = len({row["title"] for row in rows}) < len(rows) / 2
    if not by_title:  # those that somebody asks about go first, for a few long documents should have questions enough
        wanted = {short for shorts in judged.values() for short in shorts}
        rows.sort(key=lambda row: row["id"] not in wanted)
    parts: dict[str, list[str]] = defaultdict(list)
    place: dict[str, tuple[str, int, int]] = {}
    for number, row in enumerate(rows):
        # Titles stay with their texts where these are strangers to each other.
        text = " ".join(row["text"].split()) if by_title else f"{row['title']}\n\n{' '.join(row['text'].split())}"
        long = row["title"] if by_title else f"volume {number // together + 1}"
        start = sum(len(part) + 2 for part in parts[long])
        place[row["id"]] = (long, start, start + len(text))
        parts[long].append(text)
    documents = {long: Long(long, long, "\n\n".join(texts)) for long, texts in list(parts.items())[:document_count]}
    asked = list(_asked(_rows(folder / "queries.jsonl"), judged, place, documents))
    random.Random(7).shuffle(asked)
    return documents, asked[:count]


def _asked(
    queries: Iterable[dict[str, Any]],
    judged: dict[str, list[str]],
    place: dict[str, tuple[str, int, int]],
    documents: dict[str, Long],
) -> Iterator[Asked]:
    for row in queries:
        found = [place[short] for short in judged.get(row["id"], ())]
        longs = {long for long, _, _ in found}
        if len(longs) != 1 or not longs <= documents.keys() or row.get("is_impossible"):
            continue
        [long] = longs
        spans = [(start, end) for _, start, end in found]
        if "answers" not in row:
            yield Asked(row["text"], long, spans, has_answers=False)
            continue
        text = documents[long].text
        answers = [
            span for start, end in spans for answer in set(row["answers"]) for span in _all(text, answer, start, end)
        ]
        if answers:
            yield Asked(row["text"], long, answers)


def _all(text: str, answer: str, start: int, end: int) -> Iterator[Span]:
    at = text.find(answer, start, end)
    while at >= 0:
        yield at, at + len(answer)
        at = text.find(answer, at + 1, end)


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
