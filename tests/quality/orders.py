"""How the shipped defaults order the pairs of `contrast.jsonl`, and what they find of `examples/corpus`.

Everything is computed in this process by the product's own code: vectors, words, fusion, late interaction over signs.

    .venv/bin/python tests/quality/orders.py            the tables of docs/quality.md
    .venv/bin/python tests/quality/orders.py --write    and new reference values for the gate
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_encoders import CodeForm, EncoderOptions, Role, TextEncoder, TokenEncoder, TokenMatrix, decode_codes
from trivium_gateway.domain.fusion import LegScores, fuse, reading_weight
from trivium_gateway.ingestion.chunking import ChunkingSettings, chunk_spans
from trivium_gateway.models.ranking import final_scores
from trivium_lexical import document_vector, query_vector
from trivium_rerank.maxsim import score_passages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from trivium_encoders import TokenCodes

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "examples" / "corpus"
CACHE = HERE.parents[1] / ".data" / "cache"
REFERENCE = HERE / "reference.json"
LEGS = ("dense", "words", "fused", "late interaction", "final")
_DEPTH = 100

Scores = dict[str, "Mapping[int, float]"]
"""By leg, the scores of the passages that it found."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the models read it."""

    text: str
    vector: NDArray[np.float32]
    tokens: TokenMatrix
    read_share: float


@dataclass(frozen=True, slots=True)
class Stored:
    """Passages as they are indexed."""

    texts: Sequence[str]
    vectors: NDArray[np.float32]
    codes: Sequence[TokenCodes]


@dataclass(frozen=True, slots=True)
class Material:
    """Both sets, encoded.

    Attributes:
        pairs: The lines of `contrast.jsonl`; of pair n, the right passage is number 2n and the wrong one 2n + 1.
        questions: The lines of `questions.jsonl`.
        page_of: The file that each chunk of the corpus is from.
    """

    pairs: list[dict[str, str]]
    contrast: Stored
    contrast_asked: list[Asked]
    questions: list[dict[str, str]]
    corpus: Stored
    corpus_asked: list[Asked]
    page_of: list[str]


class Search:
    """Searches passages as the gateway does with its defaults."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._postings: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for number, text in enumerate(stored.texts):
            words = document_vector(text)
            for term, weight in zip(words.indices, words.values, strict=True):
                self._postings[term].append((number, weight))

    def ask(self, question: Asked) -> Scores:
        """What each leg says of the passages."""
        cosines = self._stored.vectors @ question.vector
        near = {int(row): float(cosines[row]) for row in np.argsort(-cosines, kind="stable")[:_DEPTH]}
        words = self._by_words(question.text)
        found = dict(sorted(words.items(), key=lambda one: -one[1])[:_DEPTH])
        weight = reading_weight(question.read_share)
        legs = [
            LegScores({str(row): score for row, score in near.items()}, min(near.values()), weight),
            LegScores(
                {str(row): score for row, score in found.items()},
                min(found.values()) if len(found) == _DEPTH else 0.0,
                from_zero=True,
            ),
        ]
        fused = {int(row): score for row, score in list(fuse(legs).items())[:_DEPTH]}
        judged = score_passages(question.tokens, [self._stored.codes[row] for row in fused]).tolist()
        final = final_scores(list(fused.values()), judged, weight=(1 + weight) / 2)
        return {
            "dense": dict(enumerate(cosines.tolist())),
            "words": words,
            "fused": fused,
            "late interaction": dict(zip(fused, judged, strict=True)),
            "final": dict(zip(fused, final, strict=True)),
        }

    def _by_words(self, text: str) -> dict[int, float]:
        scores: dict[int, float] = defaultdict(float)
        query, total = query_vector(text), len(self._stored.texts)
        for term, asked in zip(query.indices, query.values, strict=True):
            holding = self._postings.get(term, ())
            rarity = math.log((total - len(holding) + 0.5) / (len(holding) + 0.5) + 1)
            for number, weight in holding:
                scores[number] += asked * rarity * weight
        return dict(scores)


def read_lines(name: str) -> list[dict[str, str]]:
    """The objects of one of this folder's files."""
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


async def encode() -> Material:
    """Reads both sets with the default model, loaded once."""
    options = EncoderOptions(cache_dir=CACHE, workers=1)
    texts = await TextEncoder.load(options, registry=CollectorRegistry(), service="quality")
    tokens = await TokenEncoder.load(options, registry=CollectorRegistry(), service="quality_tokens")

    async def stored(passages: Sequence[str]) -> Stored:
        found = await texts.encode(passages, truncate=True, codes=CodeForm.SIGNS)
        return Stored(passages, found.vectors, list(map(decode_codes, found.token_codes or ())))

    async def asked(rows: Sequence[dict[str, str]]) -> list[Asked]:
        words = [row["question"] for row in rows]
        vectors = (await texts.encode(words, role=Role.QUERY, truncate=True)).vectors
        matrices = (await tokens.encode(words, role=Role.QUERY, truncate=True)).matrices
        shares = await texts.read_shares(words)
        return [Asked(*one) for one in zip(words, vectors, map(tokens.telling, matrices), shares, strict=True)]

    try:
        pairs, questions = read_lines("contrast.jsonl"), read_lines("questions.jsonl")
        chunks, page_of = await _chunks(texts)
        return Material(
            pairs,
            await stored([pair[side] for pair in pairs for side in ("right", "wrong")]),
            await asked(pairs),
            questions,
            await stored(chunks),
            await asked(questions),
            page_of,
        )
    finally:
        await asyncio.gather(texts.close(), tokens.close())


async def _chunks(encoder: TextEncoder) -> tuple[list[str], list[str]]:
    """The corpus' pages of plain text and Markdown, cut as in an ingestion, and the page of each chunk."""
    chunks, page_of = [], []
    for path in sorted(path for path in CORPUS.iterdir() if path.suffix in {".md", ".txt"}):
        text = path.read_text(encoding="utf-8")
        title = text.splitlines()[0].lstrip("# ")
        (starts,) = await encoder.tokenize([text])
        for span in chunk_spans(text, starts, ChunkingSettings()):
            chunks.append(f"{title}\n{text[span.start : span.end]}")
            page_of.append(path.name)
    return chunks, page_of


def order_pairs(material: Material) -> dict[str, str]:
    """By leg, a sign for each pair: `+` the right passage is before the wrong one, `-` behind it, `=` level with it."""
    search, signs = Search(material.contrast), dict.fromkeys(LEGS, "")
    for number, asked in enumerate(material.contrast_asked):
        for leg, scores in search.ask(asked).items():
            right, wrong = (scores.get(2 * number + side, -math.inf) for side in (0, 1))
            signs[leg] += "=" if right == wrong else "+" if right > wrong else "-"
    return signs


def find_pages(material: Material) -> dict[str, str]:
    """By leg, a sign for each question: `+` the first chunk is of the right page, `-` it is not."""
    search, signs = Search(material.corpus), dict.fromkeys(LEGS, "")
    for question, asked in zip(material.questions, material.corpus_asked, strict=True):
        for leg, scores in search.ask(asked).items():
            first = max(scores, key=lambda row: scores[row], default=None)
            found = first is not None and material.page_of[first] == question["document"]
            signs[leg] += "+" if found else "-"
    return signs


def measure(material: Material) -> dict[str, dict[str, str]]:
    """All signs, by set and leg: what the reference holds."""
    return {"contrast": order_pairs(material), "corpus": find_pages(material)}


def share(signs: str) -> float:
    """Which share is right; level ones count half, as if a coin were tossed."""
    return (signs.count("+") + signs.count("=") / 2) / len(signs)


def print_tables(material: Material, measured: dict[str, dict[str, str]]) -> None:
    """The tables of docs/quality.md."""
    kinds = [pair["kind"] for pair in material.pairs]
    rows: dict[str, list[int]] = {kind: [n for n, one in enumerate(kinds) if one == kind] for kind in kinds}
    rows["Chinese ones"] = [n for n, pair in enumerate(material.pairs) if not pair["right"].isascii() and _han(pair)]
    rows["all"] = list(range(len(kinds)))
    print(f"| | pairs | {' | '.join(LEGS)} |\n|{'---|' * (len(LEGS) + 2)}")
    for kind, numbers in rows.items():
        shares = (share("".join(measured["contrast"][leg][n] for n in numbers)) for leg in LEGS)
        print(f"| {kind} | {len(numbers)} | {' | '.join(f'{one:.2f}'.lstrip('0') for one in shares)} |")
    print(f"\n{len(material.questions)} questions over {len(material.corpus.texts)} chunks, right page first:")
    print(" ".join(f"{leg} {share(measured['corpus'][leg]):.3f}" for leg in LEGS))


def _han(pair: dict[str, Any]) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in pair["question"])


def main() -> None:
    """Measures, prints, and writes if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the reference values of the gate")
    arguments = parser.parse_args()
    material = asyncio.run(encode())
    measured = measure(material)
    print_tables(material, measured)
    if arguments.write:
        REFERENCE.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
