"""Changes a number, a name or a denial of true sentences, and counts how many of each are flagged, by data set.

    .venv/bin/python tests/quality/changed.py DIR [DIR ...]

Each DIR has `corpus.jsonl` {id, title, text}. Of up to 1,000 documents, drawn at random, the same ones in each run, one
sentence each is taken, as it is and changed, and held to its document.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import time
from pathlib import Path

from trivium_evidence.pieces import pieces
from trivium_evidence.support import Evidence, Verdict

KINDS = ("number", "name", "denial")
_DOCUMENTS = 1000
_SHORTEST = 40
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b")
_OTHER_NAMES = ("Nairobi", "Kowalski", "Zanzibar", "Umbriel")
_AUXILIARY = re.compile(r"\b(?:is|are|was|were|can|has|have|will|would|may|must|should|does|did|do)\b(?! not)")
_DENIAL = re.compile(r"\b(?:not|never) ")


def changed(sentence: str, kind: str, choice: random.Random) -> str | None:
    """A sentence that says something else; None if it has nothing of the kind to change."""
    if kind == "number":
        if not (found := re.search(r"(?<![\w.])\d+(?![\w.]*[a-z])", sentence)):
            return None
        return sentence[: found.start()] + str(int(found.group()) + choice.choice((1, 7, 40))) + sentence[found.end() :]
    if kind == "name":
        if not (found := _NAME.search(sentence)):
            return None
        return sentence[: found.start()] + choice.choice(_OTHER_NAMES) + sentence[found.end() :]
    if found := _DENIAL.search(sentence):
        return sentence[: found.start()] + sentence[found.end() :]
    if not (found := _AUXILIARY.search(sentence)):
        return None
    return f"{sentence[: found.end()]} not{sentence[found.end() :]}"


def _sentences(folder: Path) -> list[tuple[str, str]]:
    """A sentence of each document, and the document."""
    choice = random.Random(5)
    texts = [json.loads(line)["text"] for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    some = choice.sample(texts, min(_DOCUMENTS, len(texts)))
    long = [[one.text for one in pieces(text) if len(one.text) >= _SHORTEST] for text in some]
    return [(choice.choice(own), text) for own, text in zip(long, some, strict=True) if own]


def main() -> None:
    """Prints a line for each data set."""
    for folder in map(Path, sys.argv[1:]):
        choice, took = random.Random(1), []
        flagged: dict[str, list[bool]] = {kind: [] for kind in ("untouched", *KINDS)}
        for sentence, text in _sentences(folder):
            for kind, said in (("untouched", sentence), *((kind, changed(sentence, kind, choice)) for kind in KINDS)):
                if said is not None:
                    begin = time.process_time()
                    verdict = Evidence(text).support(said).verdict
                    took.append(time.process_time() - begin)
                    flagged[kind].append(verdict is not Verdict.SUPPORTED)
        shares = (f"{kind} {statistics.mean(some):.3f} of {len(some)}" for kind, some in flagged.items() if some)
        print(f"{folder.name}: {'; '.join(shares)}; {1e3 * statistics.median(took):.2f} ms")


if __name__ == "__main__":
    main()
