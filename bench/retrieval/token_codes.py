"""What token vectors in few bytes cost in quality: nDCG@10 of the final order, against the same in full precision.

Needs a running stack (`make up`) and data sets in three files each: `corpus.jsonl` with `{id, title, text}`,
`queries.jsonl` with `{id, text}`, `qrels.tsv` with query, document and grade separated by tabs.

    .venv/bin/python bench/retrieval/token_codes.py --data DIR [DIR ...] [--queries 300]

The stack finds the candidates, without reranking; late interaction over them is computed here, once for each form, and
both are put together as the gateway does. Writes to a collection of its own and deletes it at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_client import Trivium
from trivium_encoders import CodeForm, EncoderOptions, Role, TokenCodes, TokenEncoder, TokenMatrix, decode_codes
from trivium_gateway.models.ranking import descending_order, final_scores
from trivium_rerank.maxsim import rarity, score_passages

if TYPE_CHECKING:
    from collections.abc import Sequence

COLLECTION = "bench-token-codes"
_READ_AT_A_TIME = 64
_FULL = "full precision"
_NONE = "no late interaction"
_PERMUTATIONS = 10_000


def read_set(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, int]]]]:
    """The documents, and some judged queries with the grades of documents; the same ones in each run."""
    documents, queries = (
        [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("corpus", "queries")
    )
    grades: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            grades.setdefault(query, {})[document] = int(grade)
    judged = [(row["text"], grades[row["id"]]) for row in queries if row["id"] in grades]
    random.Random(1).shuffle(judged)
    return documents, judged[:count]


def ndcg(order: Sequence[int], documents: Sequence[str], grades: dict[str, int]) -> float:
    """nDCG@10 of an order of chunks, in which each document counts once."""
    ranked = list(dict.fromkeys(documents[position] for position in order))[:10]
    gain = sum((2 ** grades.get(document, 0) - 1) / math.log2(place + 2) for place, document in enumerate(ranked))
    best = sorted(grades.values(), reverse=True)[:10]
    return gain / sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(best))


def exact_scores(query: TokenMatrix, passages: Sequence[TokenMatrix], ids: Sequence[TokenCodes]) -> list[float]:
    """What `score_passages` estimates, of vectors in full precision."""
    weights = rarity(query.token_ids, ids)
    weights /= weights.sum()
    return [float((query.vectors @ passage.vectors.T.astype(np.float32)).max(axis=1) @ weights) for passage in passages]


class Reader:
    """Reads each passage once, in all forms.

    Args:
        encoder: Gives token vectors.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder
        self._read: dict[str, tuple[TokenMatrix, dict[CodeForm, TokenCodes]]] = {}

    async def passages(self, texts: Sequence[str]) -> list[tuple[TokenMatrix, dict[CodeForm, TokenCodes]]]:
        """The tokens of passages: in half precision, which changes no score by a thousandth, and in each form."""
        new = [text for text in dict.fromkeys(texts) if text not in self._read]
        for start in range(0, len(new), _READ_AT_A_TIME):
            some = new[start : start + _READ_AT_A_TIME]
            encoded = await self._encoder.encode(some, truncate=True)
            for text, matrix in zip(some, encoded.matrices, strict=True):
                codes = {
                    form: decode_codes(self._encoder.coding(form).code(matrix.token_ids, matrix.vectors))
                    for form in CodeForm
                }
                told = self._encoder.telling(matrix)
                self._read[text] = (TokenMatrix(told.token_ids, told.vectors.astype(np.float16)), codes)
        return [self._read[text] for text in texts]

    async def query(self, text: str) -> TokenMatrix:
        """The tokens of a query."""
        encoded = await self._encoder.encode([text], role=Role.QUERY, truncate=True)
        return self._encoder.telling(encoded.matrices[0])


async def measure(trivium: Trivium, reader: Reader, judged: Sequence[tuple[str, dict[str, int]]]) -> None:
    """Prints the means over the queries, what they differ by, and how likely so much is by chance."""
    results: dict[str, list[float]] = {}
    for text, grades in judged:
        found = trivium.retrieve(text, collection=COLLECTION, top_n=100, candidates=100, rerank=False).passages
        if not found:
            continue
        documents = [one.document_id for one in found]
        # Of a search by one leg, the final score has the same order.
        searched = [one.score if one.scores.fused is None else one.scores.fused for one in found]
        texts = [f"{one.title}\n{one.text}" if one.title else one.text for one in found]
        query, read = await reader.query(text), await reader.passages(texts)
        matrices, codes = [one for one, _ in read], [one for _, one in read]
        scores: dict[str, Sequence[float] | None] = {_NONE: None}
        scores[_FULL] = exact_scores(query, matrices, [one[CodeForm.SIGNS] for one in codes])
        for form in CodeForm:
            scores[f"{form.value} bit"] = score_passages(query, [one[form] for one in codes]).tolist()
        for name, own in scores.items():
            order = descending_order(final_scores(searched, own))
            results.setdefault(name, []).append(ndcg(order, documents, grades))
    base = np.array(results[_FULL])
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_PERMUTATIONS, len(base)))
    for name, values in results.items():
        difference = np.array(values) - base
        chance = (np.abs(signs @ difference) >= abs(difference.sum()) - 1e-9).mean()
        print(f"  {name:20} {np.mean(values):.4f}  {difference.mean():+.4f}  p {chance:.2f}")


async def main() -> None:
    """Measures each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of data sets")
    parser.add_argument("--queries", type=int, default=300, help="how many judged queries to ask")
    parser.add_argument("--gateway", default=None, help="HOST:PORT of the gateway's gRPC")
    parser.add_argument("--model-cache", type=Path, default=Path(".data/cache"), help="cache of converted models")
    arguments = parser.parse_args()
    options = EncoderOptions(cache_dir=arguments.model_cache)
    encoder = await TokenEncoder.load(options, registry=CollectorRegistry(), service="bench")
    with Trivium(arguments.gateway) as trivium:
        for folder in arguments.data:
            documents, judged = read_set(folder, arguments.queries)
            trivium.create_collection(COLLECTION)
            try:
                trivium.ingest(documents, collection=COLLECTION)
                print(f"{folder.name}: {len(judged)} queries")
                await measure(trivium, Reader(encoder), judged)
            finally:
                trivium.delete_collection(COLLECTION)
    await encoder.close()


if __name__ == "__main__":
    asyncio.run(main())
