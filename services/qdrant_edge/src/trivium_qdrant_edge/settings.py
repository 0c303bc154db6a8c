"""What can be configured, and how far each request may go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting


@dataclass(frozen=True, slots=True)
class QdrantEdgeSettings:
    """Every setting is a flag and an environment variable; `--help` lists both."""

    listen: str = setting(
        "127.0.0.1:6334", "Address to serve Qdrant's gRPC API on, HOST:PORT.", address=AddressKind.LISTEN
    )
    http_listen: str = setting(
        "127.0.0.1:6333",
        "Address to serve /, /readyz, /healthz, /livez and /metrics on, HOST:PORT.",
        address=AddressKind.LISTEN,
    )
    data_dir: Path = setting(
        Path(".data"), "Folder of all of Trivium's state; the database is in its folder qdrant.", env="TRIVIUM_DATA_DIR"
    )
    max_collections: int = setting(256, "Most collections.", minimum=1, maximum=10_000)
    max_points_per_call: int = setting(10_000, "Most points or point ids in one call.", minimum=1, maximum=1_000_000)
    max_query_limit: int = setting(
        10_000, "Most results of one query, its offset included, of one prefetch and of one page.",
        minimum=1, maximum=1_000_000,
    )  # fmt: skip
    max_queries_per_batch: int = setting(64, "Most queries in one batch.", minimum=1, maximum=10_000)
    max_filter_conditions: int = setting(
        10_000, "Most conditions of one filter, each listed value or id counted.", minimum=1, maximum=1_000_000
    )
    max_in_flight_calls: int = setting(
        256, "Most calls in work or waiting; more are refused with RESOURCE_EXHAUSTED.", minimum=1
    )
    max_in_flight_mib: int = setting(256, "Most MiB of messages in work or waiting, likewise.", minimum=1)
    reserve_mib: int = setting(
        64,
        "How many MiB of the disk stay free for deletions, flushes and the next start: below it new data is refused "
        "with STORAGE_FULL. At most an eighth of the disk; half of it is the file qdrant/reserve.",
        minimum=1, maximum=1 << 20,
    )  # fmt: skip
    flush_interval_seconds: float = setting(
        5.0,
        "How often changes are forced to the disk. They survive the end of the process at once, but the loss of "
        "power only from then on.",
        minimum=0.1, maximum=3600,
    )  # fmt: skip
    optimize_from_points: int = setting(
        20_000,
        "Build a search index (HNSW) once this many points of a collection have none, in a process of low priority; "
        "0 for never. Below, every vector is compared: exact, and slower the more there are.",
        minimum=0,
    )
    optimize_quiet_seconds: float = setting(
        10.0,
        "How long a collection must not have changed to be taken for settled. Then half as many points without an "
        "index are enough to build it anew; before, it takes an eighth of all points, if that is more.",
        minimum=0,
        maximum=3600,
    )
    drain_seconds: float = setting(10.0, "How long running calls may take to end at SIGTERM.", minimum=0, maximum=600)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for; the settings of the same names say what each is."""

    points_per_call: int
    query_limit: int
    queries_per_batch: int
    filter_conditions: int


def limits_of(settings: QdrantEdgeSettings) -> Limits:
    """The limits that the settings set."""
    return Limits(
        points_per_call=settings.max_points_per_call,
        query_limit=settings.max_query_limit,
        queries_per_batch=settings.max_queries_per_batch,
        filter_conditions=settings.max_filter_conditions,
    )
