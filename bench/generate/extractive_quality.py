"""How often extractive answers hold the gold answer, with the gold passage among five.

    python bench/generate/extractive_quality.py DATA [--questions 1000] [--embed-target 127.0.0.1:50051]

DATA is a folder with `corpus.jsonl` {id, title, text}, `queries.jsonl` {id, text, answers} and `qrels.tsv` (question,
passage, grade), in English or Chinese. The five passages of a question are the gold one and the four others nearest to
it by the vectors of the embedding service, in the order of their similarity. Four ways of answering are compared: with
vectors, by words alone, and the first passage's first sentences, as many as each of them chose. `at once` is how often
the first sentence alone holds it. With an empty `--embed-target` there are no vectors: the nearest passages are found
by words, and answers are by words alone. `table_facts.py` writes a folder of tables.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1 import embed_service_pb2_grpc
from trivium_evidence.sentences import split_passages
from trivium_evidence.terms import inverse_frequencies, terms
from trivium_generate.answer import AnswerRequest, Passage
from trivium_generate.clients import EmbedClient
from trivium_generate.extractive.answering import ExtractiveAnswerer
from trivium_serving.channels import open_channel

PASSAGES = 5
CANDIDATES = 12


@dataclass(frozen=True, slots=True)
class Case:
    """A question, its five passages and its gold answers."""

    request: AnswerRequest
    answers: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What one way of answering did."""

    hits: list[bool]
    hits_at_once: list[bool]
    hits_of_first_sentences: list[bool]
    sentences: list[int]
    milliseconds: list[float]


async def main() -> int:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--embed-target", default="127.0.0.1:50051")
    arguments = parser.parse_args()
    if not (arguments.data / "corpus.jsonl").exists():
        print(f"skipped: there is no {arguments.data}/corpus.jsonl", file=sys.stderr)
        return 0
    cases = await load_cases(arguments.data, arguments.questions, arguments.embed_target)
    vectors = EmbedClient(arguments.embed_target, timeout_seconds=10) if arguments.embed_target else None
    print(f"{len(cases)} questions, gold passage among {PASSAGES}")
    heads = ("holds gold", "at once", "sentences", "first ones", "p50 ms", "p99 ms")
    print(f"{'answered by':24} {' '.join(f'{head:>10}' for head in heads)}")
    for name, source in (("words and vectors", vectors), ("words", None)):
        if name != "words" and source is None:
            continue
        outcome = await measure(ExtractiveAnswerer(source, CANDIDATES), cases)
        times = np.percentile(outcome.milliseconds, (50, 99))
        print(
            f"{name:24} {statistics.mean(outcome.hits):10.1%} {statistics.mean(outcome.hits_at_once):10.1%} "
            f"{statistics.mean(outcome.sentences):10.2f} "
            f"{statistics.mean(outcome.hits_of_first_sentences):10.1%} {times[0]:10.1f} {times[1]:10.1f}"
        )
    if vectors is not None:
        await vectors.close()
    return 0


async def measure(answerer: ExtractiveAnswerer, cases: list[Case]) -> Outcome:
    """Answers each question, one after the other."""
    outcome = Outcome([], [], [], [], [])
    for case in cases:
        begin = time.perf_counter()
        answer = await answerer.answer(case.request)
        if answer.degradation is not None:
            raise SystemExit(f"the embedding service is {answer.degradation.reason}; the numbers would mean nothing")
        outcome.milliseconds.append((time.perf_counter() - begin) * 1e3)
        first = [s.text for s in split_passages([case.request.passages[0].text])][: len(answer.parts)]
        outcome.hits.append(holds("".join(answer.parts), case.answers))
        outcome.hits_at_once.append(holds("".join(answer.parts[: 1 + _is_short(answer.parts)]), case.answers))
        outcome.hits_of_first_sentences.append(holds(" ".join(first), case.answers))
        outcome.sentences.append(len(answer.parts) - _is_short(answer.parts))
    return outcome


def _is_short(parts: tuple[str, ...]) -> bool:
    """Whether the first part is the few words that answer, with their sentence behind them."""
    return len(parts) > 1 and re.sub(r"[.。]? ?\[\d+\]$", "", parts[0]) in parts[1]


def holds(text: str, answers: tuple[str, ...]) -> bool:
    """Whether a text contains one of the answers, punctuation and case aside."""
    return any(normalized(answer) in normalized(re.sub(r"\[\d+\]", "", text)) for answer in answers)


def normalized(text: str) -> str:
    """A text without punctuation and case."""
    return re.sub(r"\W+", " ", text.lower()).strip()


async def load_cases(folder: Path, count: int, embed_target: str) -> list[Case]:
    """Some questions of a data set, the same at each run, with their passages."""
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    gold = dict(line.split("\t")[:2] for line in (folder / "qrels.tsv").open(encoding="utf-8"))
    queries = [json.loads(line) for line in (folder / "queries.jsonl").open(encoding="utf-8")]
    queries = [q for q in queries if q["text"].strip() and q.get("answers") and q["id"] in gold]
    queries = random.Random(0).sample(queries, min(count, len(queries)))
    row_of = {document["id"]: row for row, document in enumerate(corpus)}
    texts = [f"{document['title']}\n{document['text']}" for document in corpus]
    asked = [query["text"] for query in queries]
    if embed_target:
        documents = await embed(embed_target, texts, pb.EMBED_ROLE_DOCUMENT)
        all_similarities = await embed(embed_target, asked, pb.EMBED_ROLE_QUERY) @ documents.T
    else:
        all_similarities = shared_words(asked, texts)
    cases = []
    for query, similarities in zip(queries, all_similarities, strict=True):
        gold_row = row_of[gold[query["id"]]]
        nearest = [row for row in np.argsort(-similarities)[:PASSAGES] if row != gold_row][: PASSAGES - 1]
        rows = sorted([gold_row, *nearest], key=lambda row: -similarities[row])
        passages = tuple(
            Passage(corpus[row]["text"], corpus[row]["title"], float(np.clip(similarities[row], 0, 1))) for row in rows
        )
        cases.append(Case(AnswerRequest(query["text"], passages), tuple(query["answers"])))
    return cases


def shared_words(questions: list[str], texts: list[str]) -> np.ndarray:
    """The share of each question's terms, by their rarity, that each text has."""
    documents = [frozenset(terms(text)) for text in texts]
    weights = inverse_frequencies((term for question in questions for term in terms(question)), documents)
    shares = np.zeros((len(questions), len(texts)))
    for row, question in enumerate(questions):
        asked = {term: weights.get(term, 0.0) for term in terms(question)}
        total = sum(asked.values()) or 1.0
        for column, document in enumerate(documents):
            shares[row, column] = sum(weight for term, weight in asked.items() if term in document) / total
    return shares


async def embed(target: str, texts: list[str], role: pb.EmbedRole.ValueType) -> np.ndarray:
    """Vectors of texts, cut to the model's length."""
    rows = []
    async with open_channel(target) as channel:
        stub = embed_service_pb2_grpc.EmbedServiceStub(channel)
        for start in range(0, len(texts), 64):
            request = pb.EmbedRequest(texts=texts[start : start + 64], role=role, truncate=True)
            response = await stub.Embed(request, timeout=120)
            rows.append(np.frombuffer(response.vectors_f32, dtype="<f4").reshape(-1, response.dimension))
    return np.concatenate(rows)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
