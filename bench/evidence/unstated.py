"""Counts the questions that the rules of `not_stated` and absent names take for unanswered.

    .venv/bin/python bench/evidence/unstated.py --data DIR [--questions 1200] [--show]

`DIR` has the folders that `fit.py` reads. Five passages each, found by words: of a set's own questions the one that is
right and the four nearest others, of other sets' questions the five nearest. Needs no stack and no model.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from trivium_evidence.absent_names import ANOTHER, share_of_absent_names
from trivium_evidence.signs import Read
from trivium_evidence.unstated import lacks_what_is_asked
from trivium_lexical import document_vector, query_vector

SQUAD, SCIFACT, CONDAQA, CMRC = SETS = "squad-v2.0-dev", "scifact-train", "condaqa-dev", "cmrc2018-trial-zh"
_TOP = 5


class Documents:
    """The documents of a data set, found by words."""

    def __init__(self, folder: Path) -> None:
        self._read: dict[str, Read] = {}
        self._postings: dict[int, list[tuple[str, float]]] = defaultdict(list)
        for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
            one = json.loads(line)
            self._read[one["id"]] = Read(one["text"], one["title"])
            words = document_vector(f"{one['title']}\n{one['text']}")
            for term, weight in zip(words.indices, words.values, strict=True):
                self._postings[term].append((one["id"], weight))

    def passages(self, question: str, right: set[str]) -> list[Read]:
        """Five of them, those that are right first."""
        scores: dict[str, float] = defaultdict(float)
        query = query_vector(question)
        for term, asked in zip(query.indices, query.values, strict=True):
            found = self._postings.get(term, ())
            rarity = math.log((len(self._read) - len(found) + 0.5) / (len(found) + 0.5) + 1)
            for document, weight in found:
                scores[document] += asked * rarity * weight
        ranked = sorted(scores, key=lambda one: -scores[one])
        first = sorted(one for one in right if one in self._read)
        return [self._read[one] for one in dict.fromkeys((*first, *ranked))][:_TOP]


def questions_of(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, set[str]]]:
    """Some questions with an answer, some without, the same ones in each run, and what is right for each."""
    right: dict[str, set[str]] = defaultdict(set)
    for path in (folder / "qrels.tsv", folder / "unanswerable_source.tsv"):
        for line in path.open(encoding="utf-8") if path.exists() else ():
            question, document = line.rstrip("\n").split("\t")[:2]
            right[question].add(document)
    kept = [json.loads(line) for line in (folder / "queries.jsonl").open(encoding="utf-8")]
    kept = [one for one in kept if one["text"].strip() and right[one["id"]]]
    random.Random(7).shuffle(kept)
    without = [one for one in kept if one.get("is_impossible") or one.get("answers") == ["DON'T KNOW"]]
    ids = {one["id"] for one in without}
    return [one for one in kept if one["id"] not in ids][:count], without[:count], right


def main() -> None:
    """Prints a line for each kind of questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=1200, metavar="N", help="of each kind of each set at most")
    parser.add_argument("--show", action="store_true", help="print those with an answer that are taken for unanswered")
    options = parser.parse_args()
    documents = {one: Documents(options.data / one) for one in SETS}
    asked = {one: questions_of(options.data / one, options.questions) for one in SETS}

    def count(name: str, some: list[dict[str, Any]], of: str, right: dict[str, set[str]], *, shows: bool) -> None:
        unstated = all_absent = another = 0
        for one in some:
            found = documents[of].passages(one["text"], right.get(one["id"], set()))
            lacks = lacks_what_is_asked(one["text"], found)
            absent = share_of_absent_names(one["text"], [f"{read.title}\n{read.text}" for read in found])
            unstated += lacks
            all_absent += absent == 1
            another += absent == ANOTHER
            if lacks and shows:
                print(f"    {one['text']}")
        print(f"{name}: {len(some)} questions, not stated {unstated}, all names absent {all_absent}, another {another}")

    for one in SETS:
        with_answer, without, right = asked[one]
        count(f"{one}, answered", with_answer, one, right, shows=options.show)
        if one == SQUAD:
            count(f"{one}, unanswerable", without, one, right, shows=False)
    for asked_of, of in ((SQUAD, SCIFACT), (SQUAD, CONDAQA), (SCIFACT, SQUAD), (SCIFACT, CONDAQA)):
        count(f"{of}'s questions, asked of {asked_of}", asked[of][0], asked_of, {}, shows=False)


if __name__ == "__main__":
    main()
