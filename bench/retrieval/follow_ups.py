"""How often a question that leans on the one before finds its passage: as it stands, behind that question, by the rule.

Needs a running stack (`make up`) without a language model, and a data set as that of run.py, whose documents
are paragraphs of articles: the title is the article's.

    .venv/bin/python bench/retrieval/follow_ups.py --data squad-v2.0-dev [--pairs 200]

A follow-up is made of two judged questions about the same article: what both name, a run of words that has a capital or
is of the title, becomes "it" or "its" in the second. The question before asks about another paragraph or, with
`--same-paragraph`, about the same one. Its answer in the history is the sentence that holds the right one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium_client import AsyncTrivium, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trivium_client import Retrieval

COLLECTION = "bench-follow-ups"
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of in on at by for from to with and or as is are was were be been it its that this these those do does
        did has have had can could will would what which who whom whose when where why how many much
        """,
    )
)
_TRIES = 25


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question and the one before it.

    Attributes:
        before: The question before.
        answer: What was answered to it.
        complete: The question as its author wrote it.
        leaning: The same with a pronoun in the place of what both name.
        document: The paragraph that answers it.
        title: Its article.
    """

    before: str
    answer: str
    complete: str
    leaning: str
    document: str
    title: str

    @property
    def history(self) -> tuple[Message, ...]:
        """The conversation before it."""
        return Message("user", self.before), Message("assistant", self.answer)


def leaning(before: str, question: str, title: str) -> str | None:
    """A question with a pronoun for what it and the one before both name; None if there is nothing such."""
    spans = list(_WORD.finditer(question))
    words = [match[0].lower() for match in spans]
    said = " ".join(["", *(match[0].lower() for match in _WORD.finditer(before)), ""])
    of_title = {match[0].lower() for match in _WORD.finditer(title)} - _FUNCTION_WORDS
    best: tuple[int, int, int] | None = None
    for first in range(1, len(words)):
        for last in range(first, len(words)):
            run = range(first, last + 1)
            if f" {' '.join(words[first : last + 1])} " not in said:
                break
            telling = [at for at in run if words[at] not in _FUNCTION_WORDS]
            names = any(spans[at][0][0].isupper() or words[at] in of_title for at in telling)
            if names and first in telling and last in telling and (best is None or len(telling) > best[0]):
                best = (len(telling), first, last)
    if best is None:
        return None
    _, first, last = best
    start, rest = spans[first].start(), question[spans[last].end() :]
    head = question[:start].removesuffix("the ").removesuffix("The ")
    has = re.match(r"['\u2019]s\b", rest)
    rest = rest[has.end() :] if has else rest
    follows = _WORD.match(rest.lstrip())
    is_whole = (
        bool(has)
        or re.match(r"\s*[?,;.]", rest)
        or (follows and (follows[0].lower() in _FUNCTION_WORDS - {"of"} or follows[0].endswith(("ed", "ing"))))
    )
    if not head or words[first - 1] not in _FUNCTION_WORDS or not is_whole:
        return None  # a part of a longer name
    made = f"{head}{'its' if has else 'it'}{rest}"
    return made if any(match[0].lower() not in _FUNCTION_WORDS for match in _WORD.finditer(made)) else None


def follow_ups(folder: Path, count: int, *, same_paragraph: bool) -> list[FollowUp]:
    """The same ones in each run, spread over the whole data set."""
    documents = {row["id"]: row for row in _rows(folder / "corpus.jsonl")}
    judged = dict(line.split("\t")[:2] for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines())
    questions = [row for row in _rows(folder / "queries.jsonl") if row["id"] in judged]
    by_title: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in questions:
        by_title[documents[judged[row["id"]]]["title"]].append(row)
    chance = random.Random(7)
    made = []
    for row in questions:
        document = documents[judged[row["id"]]]
        others = [
            one
            for one in by_title[document["title"]]
            if one is not row and (judged[one["id"]] == document["id"]) == same_paragraph
        ]
        for other in chance.sample(others, min(_TRIES, len(others))):
            if short := leaning(other["text"], row["text"], document["title"]):
                answer = _sentence(documents[judged[other["id"]]]["text"], other["answers"][0])
                made.append(FollowUp(other["text"], answer, row["text"], short, document["id"], document["title"]))
                break
    return made[:: max(1, len(made) // count)][:count]


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _sentence(text: str, answer: str) -> str:
    return next((one for one in _SENTENCE_END.split(text) if answer in one), text[:200]) + " [1]"


async def ask_all(
    trivium: AsyncTrivium, asked: Sequence[FollowUp], ask: Callable[[FollowUp], dict[str, Any]], *, rerank: bool
) -> list[Retrieval]:
    """Retrieves for each, two at a time."""
    places = asyncio.Semaphore(2)

    async def one(follow_up: FollowUp) -> Retrieval:
        async with places:
            return await trivium.retrieve(**ask(follow_up), collection=COLLECTION, rerank=rerank, timeout_seconds=120)

    return await asyncio.gather(*map(one, asked))


def report(name: str, asked: Sequence[FollowUp], found: Sequence[Retrieval]) -> None:
    """Prints one row."""
    on_topic = sum(sum(p.title == one.title for p in got.passages) for one, got in zip(asked, found, strict=True))
    places = [[p.document_id for p in got.passages] for got in found]
    first = sum(ids[:1] == [one.document] for one, ids in zip(asked, places, strict=True))
    in_five = sum(one.document in ids for one, ids in zip(asked, places, strict=True))
    count = len(asked)
    print(f"{name:34} {on_topic / count:8.2f} {first / count:8.3f} {in_five / count:8.3f}", flush=True)


async def measure(arguments: argparse.Namespace) -> None:
    """Ingests, asks in each way, and deletes."""
    asked = follow_ups(arguments.data, arguments.pairs, same_paragraph=arguments.same_paragraph)
    ways: dict[str, Callable[[FollowUp], dict[str, Any]]] = {
        "as it stands": lambda one: {"query": one.leaning},
        "behind the question before": lambda one: {"query": f"{one.before} {one.leaning}"},
        "by the rule": lambda one: {"query": one.leaning, "history": one.history},
        "complete, as its author wrote it": lambda one: {"query": one.complete},
        "complete, with the history": lambda one: {"query": one.complete, "history": one.history},
    }
    async with AsyncTrivium(arguments.gateway) as trivium:
        names = [one.name for one in await trivium.list_collections()]
        if COLLECTION not in names:
            await trivium.create_collection(COLLECTION)
            await trivium.ingest(_rows(arguments.data / "corpus.jsonl"), collection=COLLECTION)
        print(f"{len(asked)} follow-ups, for example {asked[0].before!r}, then {asked[0].leaning!r}")
        print(f"{'':34} {'on topic':>8} {'first':>8} {'in five':>8}")
        for name, ask in ways.items():
            report(name, asked, await ask_all(trivium, asked, ask, rerank=arguments.rerank))
        if not arguments.keep:
            await trivium.delete_collection(COLLECTION)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--pairs", type=int, default=200, help="how many follow-ups to ask")
    parser.add_argument("--same-paragraph", action="store_true", help="the question before is about the same paragraph")
    parser.add_argument("--rerank", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--gateway", default=None, help="HOST:PORT of the gateway's gRPC")
    parser.add_argument("--keep", action="store_true", help="keep the collection for the next run")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
