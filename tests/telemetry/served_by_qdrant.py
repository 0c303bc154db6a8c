"""What a Qdrant server serves, by a list that was taken from one."""

from __future__ import annotations

import re
from pathlib import Path

from telemetry.declared_metrics import Declared

_LINES = Path(__file__).with_name("qdrant_metrics.txt").read_text(encoding="utf-8").splitlines()
_LINE = re.compile(r"(?P<name>\w+) (?P<kind>counter|gauge|histogram) {(?P<labels>[\w,]*)}(?: \[c\])?")
_FAMILIES = re.compile(r"(?<![\w:])(?:app|cluster|collections?|grpc|rest|memory|snapshot|system)_\w+")


def _served() -> dict[str, Declared]:
    found = {}
    for line in _LINES:
        if not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            labels: dict[str, frozenset[str] | None] = dict.fromkeys(filter(None, match["labels"].split(",")))
            found[match["name"]] = Declared(match["kind"], labels)
    return found


QDRANT = _served()
"""Each metric of a Qdrant server by its name."""


def in_qdrants_families(text: str) -> set[str]:
    """The names in a text that only a metric of Qdrant can have, what histograms append to theirs left out."""
    return {base_name(name) for name in _FAMILIES.findall(text)}


def base_name(series: str) -> str:
    """A metric's name, without what a histogram appends to it."""
    name = re.sub(r"_(bucket|sum|count)$", "", series)
    return name if name in QDRANT and QDRANT[name].kind == "histogram" else series
