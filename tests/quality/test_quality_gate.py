"""No shipped default orders passages worse than its reference, beyond what is noise."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from quality.gate import Change, change
from quality.orders import LEGS, REFERENCE, Material, encode, measure, order_pairs, read_lines

KINDS = {"negation", "word order", "numbers", "dates", "roles", "scope", "noise"}
HOW = "If the loss is meant, say why in docs/quality.md and run tests/quality/orders.py --write."


@pytest.fixture(scope="module")
def material() -> Material:
    """Both sets as the default model reads them; it is loaded once."""
    return asyncio.run(encode())


@pytest.fixture(scope="module")
def measured(material: Material) -> dict[str, dict[str, str]]:
    """How the defaults order them."""
    return measure(material)


@pytest.fixture(scope="module")
def reference() -> dict[str, dict[str, str]]:
    """How they did when that was last written down."""
    found: dict[str, dict[str, str]] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("name", ["contrast", "corpus"])
def test_quality_shipped_default_loses_no_more_than_noise(
    name: str, leg: str, measured: dict[str, dict[str, str]], reference: dict[str, dict[str, str]]
) -> None:
    before, now = reference[name][leg], measured[name][leg]
    assert len(before) == len(now), f"{name} has changed: run tests/quality/orders.py --write."
    found = change(before, now)
    assert not found.is_loss, f"{leg} lost {found.lost} and won {found.won} of {len(now)} in {name}. {HOW}"


def test_quality_vectors_of_few_dimensions_fail_the_gate(
    material: Material, reference: dict[str, dict[str, str]]
) -> None:
    few = slice(0, 24)
    worse = dataclasses.replace(
        material,
        contrast=dataclasses.replace(
            material.contrast, vectors=np.ascontiguousarray(material.contrast.vectors[:, few])
        ),
        contrast_asked=[dataclasses.replace(one, vector=one.vector[few]) for one in material.contrast_asked],
    )
    assert change(reference["contrast"]["dense"], order_pairs(worse)["dense"]).is_loss


@pytest.mark.parametrize(
    ("lost", "won", "is_loss"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (6, 1, False), (7, 1, True), (12, 8, False), (26, 14, True)],
)
def test_quality_change_is_a_loss_when_chance_hardly_makes_it(lost: int, won: int, is_loss: bool) -> None:
    assert Change(lost, won).is_loss is is_loss


def test_quality_change_of_a_level_pair_counts_by_its_direction() -> None:
    assert change("+=-=+", "=+=-+") == Change(lost=2, won=2)


def test_quality_contrast_set_has_enough_different_pairs_of_each_kind() -> None:
    pairs = read_lines("contrast.jsonl")
    counts = Counter(pair["kind"] for pair in pairs)
    passages = [pair[side] for pair in pairs for side in ("right", "wrong")]

    assert set(counts) == KINDS
    assert min(counts.values()) >= 30
    assert len(set(passages)) == len(passages)
    assert len({pair["question"] for pair in pairs}) == len(pairs)
