"""How long pieces should be, how much they should share, and whether what is read should be more than what is found.

Starts a stack of its own, and its gateway anew for each way to cut. Needs a data set as that of run.py. The paragraphs
of one title become one long document, in which the right paragraph has to be found; where no two share a title, so many
become one that are `--together`.

    .venv/bin/python bench/retrieval/chunking.py --data squad-v2.0-dev [--queries 300] [--documents 12]

A passage is right if it has the answer, in the paragraph that the question is about; where a data set has no answers,
if half of it stands in a relevant paragraph. `First` and `In five` count passages; `In N characters` reads the passages
in their order until so many characters are read, so that long and short ones compare. `Answered` are extractive answers
that have the answer's words, `ms` is the median time of an extractive answer.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from e2e.stack import Stack, wait_until
from long_documents import Asked, Long, data_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    Span = tuple[int, int]

_PARTS = ("qdrant_edge", "embed", "rerank", "generate", "gateway")
_TOP = 20
_TRIES = 5
_CHARACTERS = (1000, 2000, 4000)


def post(stack: Stack, path: str, body: dict[str, object]) -> httpx.Response:
    """Asks again where the machine stood still meanwhile."""
    for left in reversed(range(_TRIES)):
        try:
            response = stack.http.post(path, json=body, timeout=600)
            response.raise_for_status()
            if not left or not response.json().get("degraded"):
                return response
        except httpx.HTTPError:
            if not left:
                raise
    raise AssertionError


def search(stack: Stack, asked: Sequence[Asked], collection: str, characters: int) -> list[list[tuple[str, Span]]]:
    """For each question its passages in their order: the document and the range."""
    found = []
    for question in asked:
        settings = {"section_characters": characters}
        body = {"query": question.text, "collection": collection, "top_n": _TOP, "collapse": False}
        response = post(stack, "/v1/retrieve", body | {"settings": settings})
        found.append(
            [
                (passage["document_id"], (passage["span"]["start"], passage["span"]["end"]))
                for passage in response.json()["passages"]
            ]
        )
    return found


def answer(
    stack: Stack, asked: Sequence[Asked], collection: str, characters: int, documents: dict[str, Long]
) -> tuple[float, float]:
    """The share of extractive answers with the answer's words, and their median milliseconds."""
    right, times = 0, []
    for question in asked:
        settings = {"section_characters": characters}
        body = {"question": question.text, "collection": collection, "mode": "extractive", "refusal": "off"}
        response = post(stack, "/v1/answer", body | {"settings": settings})
        said, text = response.json(), documents[question.document].text
        right += any(text[start:end].casefold() in said["answer"].casefold() for start, end in question.places)
        times.append(said["timings"]["total"])
    return right / len(asked), statistics.median(times)


def judge(asked: Sequence[Asked], found: Sequence[Sequence[tuple[str, Span]]]) -> list[float]:
    """Shares of the questions: right first, within five, and within so many characters each."""
    firsts, fives, within = 0, 0, dict.fromkeys(_CHARACTERS, 0)
    for question, passages in zip(asked, found, strict=True):
        hits = [_is_right(question, passage) for passage in passages]
        firsts += hits[:1] == [True]
        fives += any(hits[:5])
        lengths = list(accumulate(end - start for _, (start, end) in passages))
        for most in _CHARACTERS:
            within[most] += any(hit for hit, length in zip(hits, lengths, strict=True) if length <= most)
    return [count / len(asked) for count in (firsts, fives, *within.values())]


def _is_right(question: Asked, passage: tuple[str, Span]) -> bool:
    document, (start, end) = passage
    if document != question.document:
        return False
    if question.has_answers:
        return any(start <= first and last <= end for first, last in question.places)
    return any(min(end, last) - max(start, first) >= (end - start) / 2 for first, last in question.places)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--documents", type=int, default=100, help="how many of the documents to take")
    parser.add_argument("--together", type=int, default=20, help="how many short documents become a long one")
    parser.add_argument(
        "--tokens", nargs="+", default=["100:15", "100:0", "200:30", "200:0", "200:50", "400:60", "400:0"]
    )
    parser.add_argument("--sections", nargs="*", type=int, default=[0, 1500, 3000], help="characters of a section")
    options = parser.parse_args()
    documents, asked = data_set(options.data, options.queries, options.documents, options.together)
    print(f"{len(documents)} documents, {len(asked)} questions")
    within = "".join(f" In {count} characters |" for count in _CHARACTERS)
    print(f"| Pieces | Read | Characters a passage | First | In five |{within} Answered | ms |")
    print("|---|---|---|---|---|" + "---|" * (len(_CHARACTERS) + 2))
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.start(*_PARTS[:-1])
        try:
            for way in options.tokens:
                measure(stack, documents, asked, way, options.sections)
        finally:
            stack.end()
            stack.http.close()


def measure(stack: Stack, documents: dict[str, Long], asked: Sequence[Asked], way: str, sizes: Sequence[int]) -> None:
    """Cuts, embeds and asks one way, and prints its rows."""
    tokens, overlap = way.split(":")
    stack.environ |= {"TRIVIUM_GATEWAY_CHUNK_TOKENS": tokens, "TRIVIUM_GATEWAY_CHUNK_OVERLAP_TOKENS": overlap}
    stack.start("gateway")
    wait_until(lambda: all(stack.stages().get(stage) for stage in ("embed", "search", "rerank")), "stages", 300)
    collection = f"cut-{tokens}-{overlap}"
    stack.http.post("/v1/collections", json={"name": collection}).raise_for_status()
    for document in documents.values():
        body = {"id": document.id, "title": document.title, "text": document.text}
        response = stack.http.post("/v1/documents", json={"documents": [body], "collection": collection}, timeout=600)
        [result] = response.json()["documents"]
        assert result["status"] == "indexed", result
    for size in sizes:
        found = search(stack, asked, collection, size)
        lengths = [end - start for passages in found for _, (start, end) in passages[:5]]
        shares = "".join(f" {share:.3f} |" for share in judge(asked, found))
        answered, milliseconds = answer(stack, asked, collection, size, documents)
        what = f"section, up to {size} characters" if size else "the piece"
        mean = sum(lengths) / max(1, len(lengths))
        share = f"{answered:.3f}" if asked[0].has_answers else ""
        row = f"| {tokens} tokens, {overlap} shared | {what} | {mean:.0f} |{shares} {share} |"
        print(f"{row} {milliseconds:.0f} |", flush=True)
    stack.end("gateway")


if __name__ == "__main__":
    main()
