"""Fits `calibrations.json`: from labelled questions, what signs say of whether passages answer them.

    .venv/bin/python bench/evidence/fit.py --data DIR [--questions 1200] [--out FILE]

`DIR` has the folders squad-v2.0-dev, scifact-train, condaqa-dev and cmrc2018-trial-zh, each with `corpus.jsonl`
{id, title, text}, `queries.jsonl` {id, text} and `qrels.tsv`; SQuAD's unanswerable questions have their paragraphs in
`unanswerable_source.tsv`. Needs no running stack: passages are found here by the product's own vectors, words, fusion
and late interaction. Questions about what is not there are those of other sets, and those whose article or document
was taken out.

Prints how well signs that were fitted on one half of the sets tell on the other, how true the probabilities are, and
what becomes of each set's questions at the operating point. Needs scikit-learn and SciPy, which the development
environment has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score
from trivium_encoders import CodeForm, EncoderOptions, Role, TextEncoder, TokenEncoder, best_matches, decode_codes
from trivium_evidence.absent_names import share_of_absent_names, without_names
from trivium_evidence.calibration import WORDS, WORDS_CHINESE, search_only
from trivium_evidence.signs import Nearness, Read, coverages, signs_of, signs_of_passage, signs_of_vectors
from trivium_evidence.terms import words_apart
from trivium_gateway.domain.fusion import LegScores, fuse, reading_weight
from trivium_gateway.models.ranking import descending_order, final_scores
from trivium_lexical import document_vector, query_vector
from trivium_rerank.maxsim import score_passages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SQUAD, SCIFACT, CONDAQA, CMRC = "squad-v2.0-dev", "scifact-train", "condaqa-dev", "cmrc2018-trial-zh"
_DEPTH, _TOP = 100, 5
_VECTORS = ("dense", "maxsim", "weighted_maxsim")
_COVERED = ["covered_near", "covered_by_sentence", "pairs_of_passage"]
# What is fitted for each calibration: signs of a passage, and of the topic; a statement has all of its kind.
_FITTED = {
    "": (["dense", "maxsim", "weighted_maxsim", "coverage"], [*_VECTORS, *_COVERED]),
    "/search": (["dense", "coverage"], ["dense", "covered_by_passage", *_COVERED]),
    WORDS: (["coverage"], ["covered_by_passage", "covered_by_all", *_COVERED]),
    WORDS_CHINESE: (["coverage"], ["covered_by_passage", "covered_by_all", *_COVERED]),
}
_BY_WORDS = (WORDS, WORDS_CHINESE)
_NAMES = {
    "": "all-MiniLM-L6-v2",
    "/search": "all-MiniLM-L6-v2, tokens not compared",
    WORDS: "words alone",
    WORDS_CHINESE: "words alone, Chinese",
}
_REFUSED, _WEAK, _MARKED = 0.025, 0.035, 0.0455
"""Most answerable questions of any set that are refused, that have weak evidence, and that are marked at all."""

# CMRC's questions repeat their documents' words; those that people ask of their own are marked sooner.
_SHARE_OF_MOST = {WORDS_CHINESE: 0.3}


@dataclass(slots=True)
class DataSet:
    """Documents and questions, and what a model makes of them."""

    documents: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    right: dict[str, set[str]]
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    codes: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What the first passages of a question are like."""

    question: str
    right: list[bool]
    signs: dict[str, float]
    of_passages: list[dict[str, float]]
    absent: float
    first: list[str]


def read(folder: Path, count: int) -> DataSet:
    """A data set, with some of its questions, the same ones in each run."""
    documents, questions = (
        [json.loads(line) for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
        for name in ("corpus", "queries")
    )
    right: dict[str, set[str]] = defaultdict(set)
    for path in (folder / "qrels.tsv", folder / "unanswerable_source.tsv"):
        for line in path.open(encoding="utf-8") if path.exists() else ():
            question, document = line.rstrip("\n").split("\t")[:2]
            right[question].add(document)
    kept = [one for one in questions if one["text"].strip() and right[one["id"]]]
    random.Random(7).shuffle(kept)
    sides: tuple[list[dict[str, Any]], ...] = [], []
    for one in kept:
        sides[bool(one.get("is_impossible"))].append(one)
    return DataSet(documents, sides[0][:count] + sides[1][:count], right)


def text_of(document: dict[str, Any]) -> str:
    """What is indexed of a document."""
    return f"{document['title']}\n{document['text']}" if document["title"] else document["text"]


async def encode(data: dict[str, DataSet], options: EncoderOptions) -> str:
    """Adds vectors and tokens; returns the model's fingerprint."""
    texts = await TextEncoder.load(options, registry=CollectorRegistry(), service="bench")
    tokens = await TokenEncoder.load(options, registry=CollectorRegistry(), service="bench_tokens")
    for one in data.values():
        found = await texts.encode(
            [text_of(document) for document in one.documents], truncate=True, codes=CodeForm.SIGNS
        )
        one.vectors, one.codes = found.vectors, list(map(decode_codes, found.token_codes or ()))
        asked = [question["text"] for question in one.questions]
        vectors = (await texts.encode(asked, role=Role.QUERY, truncate=True)).vectors
        matrices = (await tokens.encode(asked, role=Role.QUERY, truncate=True)).matrices
        shares = await texts.read_shares(asked)
        one.asked = list(zip(vectors, map(tokens.telling, matrices), shares, strict=True))
    fingerprint = texts.info.fingerprint
    await asyncio.gather(texts.close(), tokens.close())
    return fingerprint


class Index:
    """Searches some documents of a data set as the product does."""

    def __init__(self, data: DataSet, keeps: Callable[[dict[str, Any]], bool] = lambda document: True) -> None:
        rows = [row for row, document in enumerate(data.documents) if keeps(document)]
        self._documents = [data.documents[row] for row in rows]
        self._vectors, self._codes = data.vectors[rows], [data.codes[row] for row in rows]
        self._postings: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for number, document in enumerate(self._documents):
            words = document_vector(text_of(document))
            for term, weight in zip(words.indices, words.values, strict=True):
                self._postings[term].append((number, weight))

    def ask(self, question: dict[str, Any], asked: Any, right: set[str]) -> Found:
        """The signs of the first passages for a question."""
        vector, tokens, share = asked
        dense = self._vectors @ vector
        near = {int(row): float(dense[row]) for row in np.argsort(-dense, kind="stable")[:_DEPTH]}
        words = self._by_words(question["text"])
        weight = reading_weight(share)
        unfound = min(words.values()) if len(words) == _DEPTH else 0.0
        fused = fuse([LegScores(near, min(near.values()), weight), LegScores(words, unfound)])
        rows = list(fused)[:_DEPTH]
        codes = [self._codes[row] for row in rows]
        weighted = score_passages(tokens, codes)
        plain = best_matches(tokens.vectors, codes).mean(axis=1) if len(tokens.token_ids) else np.zeros(len(rows))
        final = final_scores([fused[row] for row in rows], weighted.tolist(), weight=(1 + weight) / 2)
        first = descending_order(final)[:_TOP]
        passages = [Read(self._documents[rows[one]]["text"], self._documents[rows[one]]["title"]) for one in first]
        nearness = [Nearness(near.get(rows[one]), float(plain[one]), 2 * float(weighted[one]) - 1) for one in first]
        covered = coverages(words_apart(question["text"]), passages)
        return Found(
            question["id"],
            [self._documents[rows[one]]["id"] in right for one in first],
            signs_of(question["text"], passages, words_apart(question["text"])) | signs_of_vectors(nearness),
            [signs_of_passage(*pair) for pair in zip(nearness, covered, strict=True)],
            share_of_absent_names(question["text"], [f"{one.title}\n{one.text}" for one in passages]),
            [self._documents[rows[one]]["id"] for one in first],
        )

    def _by_words(self, text: str) -> dict[int, float]:
        scores: dict[int, float] = defaultdict(float)
        query, total = query_vector(text), len(self._documents)
        for term, asked in zip(query.indices, query.values, strict=True):
            found = self._postings.get(term, ())
            rarity = math.log((total - len(found) + 0.5) / (len(found) + 0.5) + 1)
            for number, weight in found:
                scores[number] += asked * rarity * weight
        return dict(sorted(scores.items(), key=lambda one: -one[1])[:_DEPTH])


def ask_all(data: dict[str, DataSet]) -> dict[str, list[Found]]:
    """The questions of each kind: `in` are answered by what is there, `out` are about something else."""
    squad, scifact, condaqa, cmrc = data[SQUAD], data[SCIFACT], data[CONDAQA], data[CMRC]
    articles = sorted({document["id"].split("#")[0] for document in squad.documents})
    chinese = sorted(document["id"] for document in cmrc.documents)
    for some in (articles, chinese):
        random.Random(3).shuffle(some)
    half, half_chinese = set(articles[: len(articles) // 2]), set(chinese[: len(chinese) // 2])

    def asked(of: DataSet, index: Index, takes: Callable[[dict[str, Any]], bool], most: int = 10**6) -> list[Found]:
        some = [pair for pair in zip(of.questions, of.asked, strict=True) if takes(pair[0])][:most]
        found = [index.ask(question, vectors, of.right[question["id"]]) for question, vectors in some]
        return [one for one in found if one.signs]

    def article(question: dict[str, Any]) -> str:
        return next(iter(squad.right[question["id"]])).split("#")[0]

    def answerable(question: dict[str, Any]) -> bool:
        return not question.get("is_impossible") and question.get("answers") != ["DON'T KNOW"]

    whole, biology, edits = Index(squad), Index(scifact), Index(condaqa, lambda one: one["id"].endswith("e0"))
    halved = Index(squad, lambda one: one["id"].split("#")[0] in half)
    halved_chinese = Index(cmrc, lambda one: one["id"] in half_chinese)
    return {
        "squad in": asked(squad, whole, answerable),
        "squad unanswerable": asked(squad, whole, lambda one: bool(one.get("is_impossible"))),
        "squad out: article not there": asked(
            squad, halved, lambda one: answerable(one) and article(one) not in half, 500
        ),
        "squad out: condaqa": asked(condaqa, whole, answerable, 250),
        "squad out: scifact": asked(scifact, whole, answerable, 250),
        "scifact in": asked(scifact, biology, answerable, 400),
        "condaqa in": asked(condaqa, edits, answerable, 250),
        "scifact out: squad": asked(squad, biology, answerable, 250),
        "scifact out: condaqa": asked(condaqa, biology, answerable, 250),
        "condaqa out: squad": asked(squad, edits, answerable, 250),
        "cmrc in": asked(cmrc, Index(cmrc), answerable, 500),
        "cmrc out: document not there": asked(
            cmrc, halved_chinese, lambda one: not cmrc.right[one["id"]] & half_chinese
        ),
    }


Fit = tuple[float, "NDArray[np.float64]"]


def fit(
    x: NDArray[np.float64], y: NDArray[np.float64], *, rising: bool, weights: Any = None, penalty: float = 1.0
) -> Fit:
    """A logistic regression with a quadratic penalty over standardized signs; `rising` lets no weight be below 0."""
    mean, deviation = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / deviation
    share = np.full(len(y), 1 / len(y)) if weights is None else weights / weights.sum()

    def loss(p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = z @ p[1:] + p[0]
        slope = (1 / (1 + np.exp(-odds)) - y) * share * 100
        value = 100 * ((np.logaddexp(0, odds) - y * odds) * share).sum() + penalty * (p[1:] ** 2).sum() / 2
        return value, np.concatenate([[slope.sum()], z.T @ slope + penalty * p[1:]])

    bounds = [(None, None)] + [(0 if rising else None, None)] * x.shape[1]
    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    return float(found[0] - (found[1:] / deviation * mean).sum()), found[1:] / deviation


def chances(fitted: Fit, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely it is in each case."""
    return 1 / (1 + np.exp(-(x @ fitted[1] + fitted[0])))


def about_all(topic: Fit, names: Sequence[str], found: Sequence[Found]) -> NDArray[np.float64]:
    """How likely the passages of some questions are about them, with what they lack of what is named."""
    said = chances(topic, matrix(found, names))
    return np.array([without_names(float(one), of.absent) for one, of in zip(said, found, strict=True)])


def matrix(found: Sequence[Found], names: Sequence[str]) -> NDArray[np.float64]:
    """The signs of some questions."""
    return np.array([[one.signs.get(name, 0.0) for name in names] for one in found])


def topic_fit(kinds: dict[str, list[Found]], ins: Sequence[str], outs: Sequence[str], names: Sequence[str]) -> Fit:
    """What tells questions about what is there from others; each kind weighs the same on its side."""
    x = np.concatenate([matrix(kinds[kind], names) for kind in (*ins, *outs)])
    y = np.concatenate([np.full(len(kinds[kind]), float(kind in ins)) for kind in (*ins, *outs)])
    weights = np.concatenate(
        [np.full(len(kinds[kind]), 1 / len(kinds[kind]) / len(side)) for side in (ins, outs) for kind in side]
    )
    return fit(x, y, rising=True, weights=weights)


def auroc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """How often a good one scores above a bad one."""
    return float(roc_auc_score(np.r_[np.ones(len(good)), np.zeros(len(bad))], np.r_[good, bad]))


def held_out_statements(found: Sequence[Found], y: NDArray[np.float64], names: Sequence[str], data: DataSet) -> float:
    """AUROC of whether the answer is stated, each fifth of the articles by what was fitted on the others."""
    x = matrix(found, names)
    articles = [next(iter(data.right[one.question])).split("#")[0] for one in found]
    fold_of = {article: number % 5 for number, article in enumerate(sorted(set(articles)))}
    folds = np.array([fold_of[article] for article in articles])
    scores = np.zeros(len(y))
    for fold in range(5):
        scores[folds == fold] = chances(fit(x[folds != fold], y[folds != fold], rising=False), x[folds == fold])
    return auroc(scores[y == 1], scores[y == 0])


def calibrate(kinds: dict[str, list[Found]], kind: str, data: dict[str, DataSet]) -> dict[str, Any]:
    """Fits one calibration, and prints what it is worth."""
    of_passage, of_topic = _FITTED[kind]
    english_ins = ["squad in", "squad unanswerable", "scifact in", "condaqa in"]
    outs = [one for one in kinds if "out" in one and (kind in _BY_WORDS or "cmrc" not in one)]
    ins = english_ins + (["cmrc in"] if kind in _BY_WORDS else [])
    judged = ["cmrc in"] if kind == WORDS_CHINESE else ["squad in", "scifact in", "condaqa in"]

    squad_sides = english_ins[:2], [one for one in outs if one.startswith("squad")]
    other_sides = english_ins[2:], [one for one in outs if one.startswith(("scifact", "condaqa"))]
    for name, fitted_on, (test_ins, test_outs) in (
        ("fitted on SciFact and CondaQA, of SQuAD", other_sides, squad_sides),
        ("fitted on SQuAD, of SciFact and CondaQA", squad_sides, other_sides),
    ):
        topic = topic_fit(kinds, *fitted_on, of_topic)
        good, bad = (
            np.concatenate([chances(topic, matrix(kinds[k], of_topic)) for k in side]) for side in (test_ins, test_outs)
        )
        print(f"{kind or 'model':8} topic, {name}: AUROC {auroc(good, bad):.3f}")
    topic = topic_fit(kinds, ins, outs, of_topic)

    names = [one for one in sorted(kinds["squad in"][0].signs) if not _is_left_out(one, kind)]
    asked = kinds["squad in"] + kinds["squad unanswerable"]
    y = np.r_[np.ones(len(kinds["squad in"])), np.zeros(len(kinds["squad unanswerable"]))]
    print(
        f"{kind or 'model':8} stated, held-out articles: AUROC {held_out_statements(asked, y, names, data[SQUAD]):.3f}"
    )
    statement = fit(matrix(asked, names), y, rising=False, penalty=4.0)

    pairs = [
        (signs, right)
        for one in (*[k for k in ins if k != "squad unanswerable"], *outs)
        for found in kinds[one]
        for signs, right in zip(found.of_passages, found.right, strict=True)
    ]
    x = np.array([[signs[name] for name in of_passage] for signs, _ in pairs])
    right = np.array([float(one) for _, one in pairs])
    passage = fit(x, right, rising=True)
    said = chances(passage, x)
    bins = np.minimum((said * 10).astype(int), 9)
    error = sum(abs(said[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist()))
    told = auroc(said[right == 1], said[right == 0])
    print(f"{kind or 'model':8} passages: AUROC {told:.3f}, calibration error {error:.3f}")

    about = {one: about_all(topic, of_topic, kinds[one]) for one in kinds}
    whole = {one: about[one] * chances(statement, matrix(kinds[one], names)) for one in kinds}
    refused, weakened, at_all = (one * _SHARE_OF_MOST.get(kind, 1.0) for one in (_REFUSED, _WEAK, _MARKED))
    refuse, weak = (_floor(min(float(np.quantile(about[k], q)) for k in judged)) for q in (refused, weakened))
    marked = {k: np.where(about[k] < weak, -1.0, whole[k]) for k in judged}
    unstated = _floor(max(0.0, min(float(np.quantile(marked[k], at_all)) for k in judged)))
    for one in kinds:
        share = ((about[one] < weak) | (whole[one] < unstated)).mean()
        print(f"{kind or 'model':8}   {one:30} refused {(about[one] < refuse).mean():.3f}  marked {share:.3f}")
    return {
        "name": _NAMES[kind],
        "passage": _written(passage, of_passage),
        "topic": _written(topic, of_topic),
        "statement": _written(statement, names),
        "refuse_below": refuse,
        "weak_below": weak,
        "unstated_below": unstated,
    }


def _floor(point: float) -> float:
    """A point in four digits that no more questions are below of."""
    return math.floor(point * 1e4) / 1e4


def _is_left_out(name: str, kind: str) -> bool:
    vectors = name.removesuffix("_of_first") in _VECTORS
    return vectors and (kind in _BY_WORDS or (kind != "" and "maxsim" in name))


def _written(fitted: Fit, names: Sequence[str]) -> dict[str, Any]:
    weights = {name: round(float(one), 5) for name, one in zip(names, fitted[1], strict=True) if abs(one) > 1e-6}
    return {"intercept": round(fitted[0], 5), "weights": weights}


async def main() -> None:
    """Fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--questions", type=int, default=1200, help="how many of a kind to ask of each set")
    parser.add_argument("--model-cache", type=Path, default=Path(".data/cache"), help="cache of converted models")
    parser.add_argument("--out", type=Path, help="where to write the coefficients")
    arguments = parser.parse_args()
    data = {name: read(arguments.data / name, arguments.questions) for name in (SQUAD, SCIFACT, CONDAQA, CMRC)}
    fingerprint = await encode(data, EncoderOptions(cache_dir=arguments.model_cache))
    kinds = ask_all(data)
    keys = {"": fingerprint, "/search": search_only(fingerprint), WORDS: WORDS, WORDS_CHINESE: WORDS_CHINESE}
    calibrations = {keys[kind]: calibrate(kinds, kind, data) for kind in _FITTED}
    if arguments.out:
        arguments.out.write_text(json.dumps(calibrations, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
