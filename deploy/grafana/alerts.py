"""The alerts about what a panel shows: those that read a series that it reads, too, else a metric behind both."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

_RULES = Path(__file__).parents[1] / "prometheus/rules"
_NAME = re.compile(r"\b(?:[a-zA-Z]+[:_][\w:]+|up)\b(?!\()")
_PART = re.compile(r"_(?:bucket|count|sum|total)$|_(?:minor|major)_page_faults_total$|\d+[mhd]$")
"""What a series's name has more than its metric's: the part of a histogram, the window of what is recorded."""


def of_queries(expressions: list[str]) -> list[str]:
    """The alerts about what expressions show, as the rules have them.

    Args:
        expressions: Those of a panel.
    """
    for reads in (_names, _measured):
        shown = set[str]().union(*map(reads, expressions))
        found = [name for name, expression in every_alert().items() if reads(expression) & shown]
        if found:
            return found
    return []


@cache
def every_alert() -> dict[str, str]:
    """All alerts, with their expressions."""
    return {str(rule["alert"]): str(rule["expr"]) for rule in _rules() if "alert" in rule}


def _names(expression: str) -> set[str]:
    """What an expression reads, without what is in quotes."""
    return {_PART.sub("", name) for name in _NAME.findall(re.sub(r'"[^"]*"|\bby \([^)]*\)', "", expression))}


def _measured(expression: str) -> set[str]:
    """What an expression reads, and what the recorded series among it are made of."""
    names = _names(expression)
    return names.union(*(_measured(one) for name in names for one in _recorded().get(name, ())))


@cache
def _recorded() -> dict[str, list[str]]:
    """What is recorded, with the expressions of each."""
    found: dict[str, list[str]] = {}
    for rule in _rules():
        if "record" in rule:
            found.setdefault(_PART.sub("", str(rule["record"])), []).append(str(rule["expr"]))
    return found


@cache
def _rules() -> list[dict[str, object]]:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(_RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]
