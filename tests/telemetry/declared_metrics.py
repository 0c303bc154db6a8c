"""What docs/metrics.md declares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
_ALL = ("gateway", "embed", "rerank", "generate", "qdrant_edge")

# Which `<service>` a section's names are for, and which process serves them, with the backends of the test's stack.
_SECTIONS: dict[str, dict[str, str]] = {
    "Every service": {service: service for service in _ALL},
    "Disk": {service: service for service in ("embed", "rerank", "qdrant_edge")},
    "Admission": {
        "embed": "embed",
        "rerank": "rerank",
        "generate_extractive": "generate",
        "generate_model": "generate",
        "qdrant_edge": "qdrant_edge",
    },
    "Gateway": {"gateway": "gateway"},
    "Models: embed and rerank": {"embed": "embed", "rerank": "rerank"},
    "Models behind an API": {"generate": "generate"},
    "Embed": {"embed": "embed"},
    "Rerank": {"rerank": "rerank"},
    "Generate": {"generate": "generate"},
    "The embedded Qdrant": {"qdrant_edge": "qdrant_edge"},
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric.

    Attributes:
        kind: `counter`, `gauge` or `histogram`.
        labels: Names of its labels; for each the values that it may have, None if the page does not list them.
    """

    kind: str
    labels: dict[str, frozenset[str] | None]


def _labels(cell: str) -> dict[str, frozenset[str] | None]:
    labels: dict[str, frozenset[str] | None] = {}
    for part in cell.split(";"):
        names = re.findall(r"`(\w+)`", part)
        _, colon, values = part.rpartition("`:")
        for name in names:
            listed = frozenset(value.strip() for value in values.split(",")) if colon and name == names[-1] else None
            labels[name] = listed
    return labels


def declared() -> dict[str, dict[str, Declared]]:
    """By process, each metric under the name that it is served by."""
    metrics: dict[str, dict[str, Declared]] = {service: {} for service in _ALL}
    section = ""
    for line in _PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("#").strip()
        if not line.startswith("| `"):
            continue
        name, kind, labels, _ = (cell.strip() for cell in line.strip("|").split("|", 3))
        for service, process in _SECTIONS[section].items():
            served = name.strip("`").replace("<service>", service)
            metrics[process][served] = Declared(kind, _labels(labels))
    return metrics
