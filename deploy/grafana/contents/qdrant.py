"""The dashboard of Qdrant."""

from __future__ import annotations

from panels import Dashboard, Row, admission, lines, quantiles, rate, stat

QDRANT = Dashboard(
    "qdrant",
    "Qdrant",
    "The first row is of a server and of the embedded engine alike; the others are empty where the other one runs.",
    (
        Row("A server's, and the embedded engine's, too"),
        stat("Collections", "short", "Each once, however many nodes have it.", "trivium:qdrant_collections:max"),
        stat("Points", "short", "Each once; see points by collection.", "sum(trivium:qdrant_points:sum)"),
        stat("Version", "short", "Of each node.", "app_info", legend="{{name}} {{version}}"),
        lines(
            "Points by collection",
            "short",
            "Of all nodes, over the most copies that a shard has: approximate while a node is away, too low for a "
            "collection with fewer copies than another.",
            ("trivium:qdrant_points:sum", "{{id}}"),
        ),
        rate("gRPC calls", "grpc_responses_total", "Of points, a second.", "endpoint"),
        lines(
            "gRPC calls that fail",
            "reqps",
            "A second, by number of the gRPC code; without 1, 5 and 6, which the gateway brings about in normal work.",
            ("trivium:qdrant_failures:rate5m or vector(0)", "{{endpoint}} {{status}}"),
        ),
        quantiles("Duration of gRPC calls", "grpc_responses_duration_seconds", "By endpoint.", "endpoint"),
        lines(
            "Optimisations",
            "short",
            "Being run, by collection.",
            ("sum by (id) (collection_running_optimizations)", "{{id}}"),
        ),
        lines(
            "Memory",
            "bytes",
            "Resident, and allocated by a server.",
            ("memory_resident_bytes", "resident {{instance}}"),
            ("memory_allocated_bytes", "allocated {{instance}}"),
        ),
        lines(
            "Free disk",
            "percentunit",
            "Of the disk with Qdrant's data. On a full one a server takes neither writes nor deletions, nor starts.",
            ("trivium:qdrant_disk_free:ratio", "{{persistentvolumeclaim}}{{instance}}"),
            most=1,
        ),
        Row("Only on a server: copies of shards, and the cluster"),
        lines(
            "Replicas that are not active",
            "short",
            "In a cluster.",
            ("collection_dead_replicas", "{{instance}}"),
            thresholds=((1, "orange"),),
        ),
        lines(
            "Active copies of a shard",
            "short",
            "Of the shards with the most and the fewest; 1 without copies.",
            ("max(collection_active_replicas_max)", "most"),
            ("min(collection_active_replicas_min)", "fewest"),
        ),
        lines(
            "Cluster",
            "short",
            "Peers, and operations that consensus has yet to apply.",
            ("cluster_peers_total", "peers {{instance}}"),
            ("cluster_pending_operations_total", "pending {{instance}}"),
        ),
        Row("Only of the embedded engine"),
        rate("RPCs", "trivium_qdrant_edge_requests_total", "A second.", "method"),
        quantiles("Duration of RPCs", "trivium_qdrant_edge_request_duration_seconds", "By method.", "method"),
        *admission("qdrant_edge"),
        lines(
            "Damaged or set aside",
            "short",
            "Collections that cannot be opened, and files or folders that no collection names.",
            ("trivium_qdrant_edge_damaged_collections", "damaged {{instance}}"),
            ("trivium_qdrant_edge_set_aside_count", "set aside {{instance}}"),
            thresholds=((1, "orange"),),
        ),
        quantiles("Flush", "trivium_qdrant_edge_flush_duration_seconds", "Forcing changes to the disk."),
        rate("Indexes built", "trivium_qdrant_edge_optimizations_total", "A second.", "outcome", "short"),
        quantiles(
            "Time to build an index",
            "trivium_qdrant_edge_optimization_duration_seconds",
            "In the background.",
        ),
    ),
)
