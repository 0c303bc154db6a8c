"""Tries a learned reader: does a small network over the token vectors that are there anyway tell what is stated?

    .venv/bin/python bench/evidence/reader.py --data DIR [--folds 5] [--epochs 5] [--seeds 1] [--bits 1] [--own]

`DIR` is `fit.py`'s; only squad-v2.0-dev is read. The network sees what the gateway has when it answers: a question's
token codes of 8 bits and a passage's of 1 bit, with the tokens' ids; --bits 8 gives it more than that, to see whether
precision is what it lacks. It aligns them both ways (Parikh et al. 2016, Seo et al. 2017), looks for the answer's
place, and compares the question with what stands around it. For each fold of the articles one is trained on all the
questions of the others, with their own paragraphs; it then reads the first passages that are found for the fold's
questions, or with --own their own paragraphs, and its score is one more sign beside those of `fit.py`; with --seeds
the mean of so many readers.

Prints AUROCs of whether the answer is stated, on articles that neither the network nor the regression has seen. Of
each fold *both* is the sum of the reader's score and the regression's, each by its deviation: nothing is fitted to the
reader. The regression at the end is fitted to scores of readers of other folds, which have seen the tested questions.
Needs PyTorch, which the development environment has. The network is not part of the product.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from fit import SQUAD, DataSet, Index, auroc, fit, held_out_statements, matrix, read, text_of
from prometheus_client import CollectorRegistry
from torch import Tensor, nn
from torch.nn import functional
from trivium_encoders import CodeForm, EncoderOptions, Role, TextEncoder, TokenMatrix, code_vectors, decode_codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_DIMENSION, _HIDDEN, _BATCH = 384, 32, 40
_WINDOWS = (1, 9, 31)
_FEATURES = 2 * len(_WINDOWS) + 2
_FAR = -1e4
_SPAN_WEIGHT = 0.3
_UNKNOWN = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text: `[tokens]` ids and `[tokens, 384]` vectors of unit length."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage by their rows, whether it is answered, and the passage's tokens that answer."""

    question: int
    passage: int
    stated: float
    answer: NDArray[np.float32]


class Reader(nn.Module):
    """Whether a passage states the answer to a question; 34,597 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.question, self.passage = nn.Linear(_DIMENSION, _HIDDEN), nn.Linear(_DIMENSION, _HIDDEN)
        self.importance = nn.Linear(_DIMENSION, 2)
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.place, self.place_out = nn.Linear(3 * _HIDDEN + _FEATURES, _HIDDEN), nn.Linear(_HIDDEN, 1)
        self.compare = nn.Linear(3 * _HIDDEN + 4, _HIDDEN)
        self.judge, self.judge_out = nn.Linear(2 * _HIDDEN + _FEATURES + 6, _HIDDEN), nn.Linear(_HIDDEN, 1)
        self.drop_input, self.drop = nn.Dropout(0.2), nn.Dropout(0.3)

    def forward(self, q: Tensor, q_ids: Tensor, p: Tensor, p_ids: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of the answer's place, `[pairs, passage tokens]`, and of its being stated, `[pairs]`.

        Args:
            q: `[pairs, question tokens, 384]`.
            q_ids: Their ids, -1 where there is no token.
            p: `[passages, passage tokens, 384]`.
            p_ids: Their ids, -2 where there is no token.
            row: `[pairs]`, each pair's passage.
        """
        of_question, of_passage = (q_ids >= 0).float(), (p_ids >= 0).float()[row]
        no_question, no_passage = (1 - of_question) * _FAR, (1 - of_passage) * _FAR
        same = (q_ids[:, :, None] == p_ids[row][:, None]).float()
        near = torch.bmm(q, p[row].transpose(1, 2)) * 1.25
        asked, stated = self.drop_input(q) * 5, self.drop_input(p) * 5
        importance = self.importance(asked) + no_question[:, :, None]
        weight, kind = torch.softmax(importance, 1).unbind(-1)
        asked, stated = torch.tanh(self.question(asked)), torch.tanh(self.passage(stated))[row]
        aligned = self.scale * (near + 0.3 * same) + torch.bmm(asked, stated.transpose(1, 2)) / _HIDDEN**0.5
        context = torch.bmm(torch.softmax(aligned + no_question[:, :, None], 1).transpose(1, 2), asked)
        whole = torch.einsum("bm,bmd->bd", kind, asked)

        near = near.masked_fill(of_passage[:, None] < 0.5, -1)
        around = [functional.max_pool1d(near, width, 1, width // 2) for width in _WINDOWS]
        words = [functional.max_pool1d(same, width, 1, width // 2) for width in _WINDOWS]
        beyond = (1 - of_question)[:, :, None] * 2
        covered = [torch.einsum("bm,bmn->bn", weight, one) for both in zip(around, words, strict=True) for one in both]
        features = torch.stack([*covered, near.amax(1), (around[-1] + beyond).amin(1)], -1)
        inputs = torch.cat([stated, stated * context * 2, stated * whole[:, None] * 2, features * 2], -1)
        place = self.place_out(self.drop(functional.relu(self.place(inputs))))[..., 0] + no_passage

        here = torch.softmax(place, 1)
        beside = functional.avg_pool1d(functional.pad(here[:, None], (12, 12)), 25, 1)
        found = torch.bmm(torch.softmax(2 * aligned + no_passage[:, None] + torch.log(beside + 1e-3), 2), stated)
        local, middle, word = (torch.einsum("bn,bmn->bm", here, one) for one in (around[2], around[1], words[2]))
        best = near.amax(2)
        met = torch.stack([local, middle, best, word], -1)
        inputs = torch.cat([asked, (asked - found).abs(), asked * found, met * 2], -1)
        compared = self.drop(functional.relu(self.compare(inputs))) * of_question[:, :, None]
        least = [(one + beyond[..., 0]).amin(1) * 2 for one in (local, best)]
        means = [(weight * one).sum(1) * 2 for one in (local, best)]
        scalars = torch.stack([torch.logsumexp(place, 1), place.amax(1), *least, *means], -1)
        at_place = torch.einsum("bn,bnf->bf", here, features) * 2
        pooled = torch.cat([(compared * weight[:, :, None]).sum(1), compared.amax(1), at_place, scalars], -1)
        return place, self.judge_out(self.drop(functional.relu(self.judge(pooled))))[:, 0]


class Texts:
    """The tokens of all questions and passages, and batches of pairs over them."""

    def __init__(self, questions: Sequence[Tokens], passages: Sequence[Tokens]) -> None:
        self.questions, self.passages = questions, passages

    def batches(self, pairs: Sequence[Pair], shuffler: random.Random | None = None) -> Iterator[list[Pair]]:
        """Pairs of the same passage together, so that it is projected once."""
        of_passage: dict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            of_passage[pair.passage].append(pair)
        groups = list(of_passage.values())
        if shuffler:
            shuffler.shuffle(groups)
        batch: list[Pair] = []
        for group in groups:
            batch += group
            if len(batch) >= _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def tensors(self, pairs: Sequence[Pair]) -> list[Tensor]:
        """What `Reader` takes."""
        rows = {one: number for number, one in enumerate(dict.fromkeys(one.passage for one in pairs))}
        q, q_ids = _padded([self.questions[one.question] for one in pairs], -1)
        p, p_ids = _padded([self.passages[one] for one in rows], -2)
        return [q, q_ids, p, p_ids, torch.tensor([rows[one.passage] for one in pairs])]


def _padded(texts: Sequence[Tokens], filler: int) -> tuple[Tensor, Tensor]:
    longest = max(len(one.ids) for one in texts)
    vectors = np.zeros((len(texts), longest, _DIMENSION), np.float32)
    ids = np.full((len(texts), longest), filler, np.int64)
    for row, one in enumerate(texts):
        vectors[row, : len(one.ids)], ids[row, : len(one.ids)] = one.vectors, one.ids
    return torch.from_numpy(vectors), torch.from_numpy(ids)


def train(texts: Texts, pairs: Sequence[Pair], epochs: int, seed: int = 0) -> Reader:
    """A reader of some pairs; the same one in each run on one machine."""
    torch.manual_seed(seed)
    reader, shuffler = Reader(), random.Random(seed)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=0.05)
    steps = epochs * (len(list(texts.batches(pairs))) + 3)  # the order of passages makes a few more or fewer
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.15)
    for _ in range(epochs):
        for batch in texts.batches(pairs, shuffler):
            place, stated = reader(*texts.tensors(batch))
            wanted = torch.tensor([one.stated for one in batch])
            loss = functional.binary_cross_entropy_with_logits(stated, wanted)
            marks = torch.zeros_like(place)
            for row, one in enumerate(batch):
                marks[row, : len(one.answer)] = torch.from_numpy(one.answer)
            known = marks.sum(1) > 0
            if known.any():
                spans = torch.logsumexp(torch.log_softmax(place[known], 1) + torch.log(marks[known] + 1e-9), 1)
                loss = loss - _SPAN_WEIGHT * spans.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimizer.step()
            pace.step()
    return reader.eval()


@torch.no_grad()
def scores(reader: Reader, texts: Texts, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """The log-odds of each pair."""
    found = {}
    for some in texts.batches(pairs):
        found |= dict(zip(map(id, some), reader(*texts.tensors(some))[1].tolist(), strict=True))
    return np.array([found[id(one)] for one in pairs])


def answer_marks(ids: NDArray[np.int64], answers: Sequence[list[int]]) -> NDArray[np.float32]:
    """Which tokens of a passage are of an answer, wherever it stands."""
    marks = np.zeros(len(ids), np.float32)
    for answer in filter(None, answers):
        for start in range(len(ids) - len(answer) + 1):
            if ids[start : start + len(answer)].tolist() == answer:
                marks[start : start + len(answer)] = 1
    return marks


async def encode(data: DataSet, options: EncoderOptions, form: CodeForm) -> tuple[Texts, list[list[list[int]]]]:
    """Adds vectors and tokens; returns the tokens and each question's answers in ids."""
    encoder = await TextEncoder.load(options, registry=CollectorRegistry(), service="bench")
    asked = [one["text"] for one in data.questions]
    queries = await encoder.encode(asked, role=Role.QUERY, truncate=True, codes=CodeForm.BYTES)
    passages = await encoder.encode([text_of(one) for one in data.documents], truncate=True, codes=form)
    wanted = [list(dict.fromkeys(one.get("answers") or ())) for one in data.questions]
    coded = await encoder.encode([one for some in wanted for one in some], truncate=True, codes=CodeForm.SIGNS)
    answers = iter(decode_codes(one).token_ids.tolist() for one in coded.token_codes or ())
    data.vectors, data.codes = passages.vectors, list(map(decode_codes, passages.token_codes or ()))
    codes = list(map(decode_codes, queries.token_codes or ()))
    matrices = [TokenMatrix(one.token_ids.astype(np.int32), code_vectors(one)) for one in codes]
    data.asked = list(zip(queries.vectors, matrices, await encoder.read_shares(asked), strict=True))
    await encoder.close()
    tokens = ([Tokens(one.token_ids.astype(np.int64), code_vectors(one)) for one in of] for of in (codes, data.codes))
    return Texts(*tokens), [[next(answers) for _ in some] for some in wanted]


def tried(data: DataSet, texts: Texts, answers: Sequence[list[list[int]]], arguments: argparse.Namespace) -> None:
    """Trains a reader for each fold, and prints what it tells alone and beside the other signs."""
    rows = {one["id"]: row for row, one in enumerate(data.documents)}
    numbers = {one["id"]: number for number, one in enumerate(data.questions)}
    own = [min(data.right[one["id"]]) for one in data.questions]
    fold_of = {one: n % arguments.folds for n, one in enumerate(sorted({name.split("#")[0] for name in own}))}
    folds = np.array([fold_of[name.split("#")[0]] for name in own])
    pairs = []
    for number, one in enumerate(data.questions):
        row = rows[own[number]]
        marks = answer_marks(texts.passages[row].ids, answers[number])
        pairs.append(Pair(number, row, float(not one["is_impossible"]), marks))

    index, found = Index(data), []
    for stated in (True, False):
        some = [number for number, pair in enumerate(pairs) if bool(pair.stated) is stated][: arguments.questions]
        asked = [(data.questions[n], data.asked[n]) for n in some]
        for one, vectors in asked:
            right = data.right[one["id"]]
            of_own = Index(data, lambda it, right=right: it["id"] == min(right)) if arguments.own else index
            found.append(of_own.ask(one, vectors, right))
    found = [one for one in found if one.signs]
    stated_of = np.array([pairs[numbers[one.question]].stated for one in found])
    names = sorted(found[0].signs)
    print(f"without: AUROC {held_out_statements(found, stated_of, names, data):.3f}", flush=True)

    for fold in range(arguments.folds):
        others = [pair for pair, of in zip(pairs, folds, strict=True) if of != fold]
        readers = [train(texts, others, arguments.epochs, seed) for seed in range(arguments.seeds)]
        held_out = [one for one in found if folds[numbers[one.question]] == fold]
        first = [Pair(numbers[one.question], rows[one.first[0]], 0.0, _UNKNOWN) for one in held_out]
        means = np.mean([scores(reader, texts, first) for reader in readers], axis=0)
        for one, score in zip(held_out, means, strict=True):
            one.signs["reader"] = float(score)
        here = np.array([folds[numbers[one.question]] == fold for one in found])
        weights = fit(matrix(found, names)[~here], stated_of[~here], rising=False)[1]
        before, alone = matrix(held_out, names) @ weights, np.array([one.signs["reader"] for one in held_out])
        ways = (before, alone, before / before.std() + alone / alone.std())
        told = [auroc(way[stated_of[here] == 1], way[stated_of[here] == 0]) for way in ways]
        print(f"fold {fold}: the signs {told[0]:.3f}, the reader {told[1]:.3f}, both {told[2]:.3f}", flush=True)
    print(f"with: AUROC {held_out_statements(found, stated_of, [*names, 'reader'], data):.3f}")


async def main() -> None:
    """Encodes and tries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--questions", type=int, default=1200, help="how many of a kind to ask; all are trained with")
    parser.add_argument("--folds", type=int, default=5, help="parts that the articles are divided into")
    parser.add_argument("--epochs", type=int, default=5, help="how often each question is trained with")
    parser.add_argument("--seeds", type=int, default=1, help="readers of each fold, whose mean is taken")
    parser.add_argument("--bits", type=int, choices=(1, 4, 8), default=1, help="of the passages' codes")
    parser.add_argument("--own", action="store_true", help="ask each question of its own paragraph alone")
    parser.add_argument("--model-cache", type=Path, default=Path(".data/cache"), help="cache of converted models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = read(arguments.data / SQUAD, 10**6)
    texts, answers = await encode(data, EncoderOptions(cache_dir=arguments.model_cache), CodeForm(arguments.bits))
    tried(data, texts, answers, arguments)


if __name__ == "__main__":
    asyncio.run(main())
