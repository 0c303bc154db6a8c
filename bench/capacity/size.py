"""What collections of some sizes need: memory, disk, shards, machines, hours, money. From what was measured.

    .venv/bin/python bench/capacity/size.py [--chunks 1e6,1e8,1e9] [--dimension 384] [--copies 2] ...

Prints a table in Markdown; docs/operations.md has it for the defaults.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

INGESTION_MS = 22.0
"""Processor time of a piece from its file to the index, default models: docs/operations.md, "What work costs"."""
QUESTION_MS = 99.0
"""Of a question with 100 candidates and their token codes: the same place."""
TEXT_BYTES = 10_000
"""Disk of a piece with its text, vectors, words and index: docs/operations.md, "What pieces take"."""
CODE_BYTES = 50 * 4 / 3
"""Disk of a token's code in the payload: the same place."""
MEMORY_FACTOR = 1.5
"""Qdrant's own rule for vectors and their graph, times the bytes of the vectors."""
BUSY = 0.6
"""How much of a core may be used in the busiest minute."""
FREE_DISK = 1.5
"""A snapshot beside the data would double them; half of it is room for merging segments, snapshots go elsewhere."""
USABLE_MEMORY = 0.75
LEAST_GIB, GIB_A_CORE = 4, 4
"""The smallest node, and what clouds sell beside a core."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is not measured but chosen."""

    dimension: int = 384
    tokens: int = 120
    copies: int = 2
    node_gib: int = 64
    ingestion_cores: int = 64
    rate: float = 5.0
    core_hour: float = 0.04
    gib_hour: float = 0.005
    gb_month: float = 0.10


@dataclass(frozen=True, slots=True)
class Need:
    """Of one size of collection."""

    chunks: float
    memory_gb: float
    quantised_gb: float
    disk_gb: float
    nodes: int
    node_gib: int
    shards: int
    ingestion_hours: float
    question_cores: int
    month: float


def need(chunks: float, assumed: Assumed) -> Need:
    """What so many pieces need; nodes are those of vectors quantised to a byte a number, with the originals on disk."""
    plain = chunks * assumed.dimension * 4 * MEMORY_FACTOR * assumed.copies
    quantised = plain / 4
    disk = chunks * (TEXT_BYTES + assumed.tokens * CODE_BYTES) * assumed.copies * FREE_DISK
    gib = LEAST_GIB  # the smallest of which one can hold each copy, else the largest, and more of them
    while gib < assumed.node_gib and _held(gib) * assumed.copies < quantised:
        gib *= 2
    nodes = max(assumed.copies, math.ceil(quantised / _held(gib)))
    cores = math.ceil(assumed.rate * QUESTION_MS / 1e3 / BUSY)
    hour = nodes * gib * (assumed.core_hour / GIB_A_CORE + assumed.gib_hour)
    month = 730 * (hour + cores * assumed.core_hour) + disk / 1e9 * assumed.gb_month
    return Need(
        chunks=chunks,
        memory_gb=plain / 1e9,
        quantised_gb=quantised / 1e9,
        disk_gb=disk / 1e9,
        nodes=nodes,
        node_gib=gib,
        shards=2 * nodes,
        ingestion_hours=chunks * INGESTION_MS / 1e3 / assumed.ingestion_cores / 3600,
        question_cores=cores,
        month=month,
    )


def _held(gib: float) -> float:
    """Bytes of vectors that a node of this memory holds."""
    return gib * (1 << 30) * USABLE_MEMORY


def _number(value: float) -> str:
    """Two digits, with commas."""
    return f"{float(f'{value:.2g}'):,.10g}"


def table(needs: list[Need], assumed: Assumed) -> str:
    """Markdown, a column each size."""
    rows = [
        ("Memory for vectors as they are, GB", [_number(one.memory_gb) for one in needs]),
        ("Memory for vectors of a byte a number, GB", [_number(one.quantised_gb) for one in needs]),
        ("Disk, with room for merging, TB", [_number(one.disk_gb / 1e3) for one in needs]),
        ("Nodes of Qdrant", [f"{one.nodes} of {one.node_gib} GiB" for one in needs]),
        ("Shards, two a node, so that it can grow twofold", [f"{one.shards}" for one in needs]),
        (f"Hours to ingest with {assumed.ingestion_cores} cores", [_number(one.ingestion_hours) for one in needs]),
        (f"Cores for {assumed.rate:.3g} questions a second", [f"{one.question_cores}" for one in needs]),
        ("Money a month", [_number(one.month) for one in needs]),
    ]
    head = "| Pieces | " + " | ".join(f"{one.chunks:,.0f}" for one in needs) + " |"
    return "\n".join(
        [head, "|---" * (len(needs) + 1) + "|", *(f"| {name} | {' | '.join(row)} |" for name, row in rows)]
    )


def main() -> None:
    """Prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", default="1e6,1e8,1e9", help="pieces, several separated by commas")
    usual = Assumed()
    for name, default, about in (
        ("dimension", usual.dimension, "numbers of a vector"),
        ("tokens", usual.tokens, "of a piece"),
        ("copies", usual.copies, "of each shard"),
        ("node-gib", usual.node_gib, "memory of the largest node of Qdrant; each has a core for 4 GiB"),
        ("ingestion-cores", usual.ingestion_cores, "for embed while the collection is filled"),
        ("rate", usual.rate, "questions a second in the busiest minute"),
        ("core-hour", usual.core_hour, "price of a core for an hour"),
        ("gib-hour", usual.gib_hour, "of a GiB of memory for an hour"),
        ("gb-month", usual.gb_month, "of a GB of disk for a month"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{about} (default: {default})")
    options = vars(parser.parse_args())
    sizes = [float(size) for size in options.pop("chunks").split(",")]
    assumed = Assumed(**options)
    print(table([need(size, assumed) for size in sizes], assumed))


if __name__ == "__main__":
    main()
