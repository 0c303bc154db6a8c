"""What the dashboards show. Thresholds are those of the alerts in deploy/prometheus/rules."""

from __future__ import annotations

from dataclasses import dataclass

Query = tuple[str, str]


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        title: What it shows.
        unit: Grafana's name of the unit.
        description: What a reader needs to know of it.
        queries: Expressions, each with the text of its legend.
        kind: `timeseries`, `stat` or `heatmap`.
        thresholds: From which value on it has which colour.
        width: In columns, of 24.
        most: Highest value of a scale with fixed ends.
    """

    title: str
    unit: str
    description: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    thresholds: tuple[tuple[float, str], ...] = ()
    width: int = 8
    most: float | None = None


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: `name` is its file's and address's."""

    name: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def stat(title: str, unit: str, description: str, expr: str, *thresholds: tuple[float, str], legend: str = "") -> Panel:
    """One number."""
    return Panel(title, unit, description, ((expr, legend),), "stat", thresholds, width=4)


def lines(
    title: str,
    unit: str,
    description: str,
    *queries: Query,
    thresholds: tuple[tuple[float, str], ...] = (),
    most: float | None = None,
) -> Panel:
    """Lines over time."""
    return Panel(title, unit, description, queries, thresholds=thresholds, most=most)


def quantiles(title: str, metric: str, description: str, by: str = "", unit: str = "s", where: str = "") -> Panel:
    """Median and 95th percentile of a histogram."""
    labels = f"le, {by}" if by else "le"
    prefix = f"{{{{{by}}}}} " if by else ""
    return Panel(
        title,
        unit,
        description,
        tuple(
            (
                f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))",
                f"{prefix}{name}",
            )
            for share, name in ((0.5, "median"), (0.95, "95%"))
        ),
    )


def heat(title: str, metric: str, unit: str, description: str) -> Panel:
    """A histogram over time."""
    query = f"sum by (le) (increase({metric}_bucket[$__rate_interval]))"
    return Panel(title, unit, description, ((query, "{{le}}"),), "heatmap", width=12)


def rate(title: str, metric: str, description: str, by: str = "", unit: str = "reqps", where: str = "") -> Panel:
    """How fast a counter grows."""
    grouping = f" by ({by})" if by else ""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",")) if by else "all"
    return lines(title, unit, description, (f"sum{grouping} (rate({metric}{where}[$__rate_interval]))", legend))


def process(job: str) -> tuple[Panel, ...]:
    """What the processes of a service take of their machines."""
    where = f'{{job=~"(.*/)?(trivium-)?{job}"}}'
    return (
        lines("Memory", "bytes", "Resident memory.", (f"process_resident_memory_bytes{where}", "{{instance}}")),
        rate("Processor", "process_cpu_seconds_total", "Cores in use.", "instance", "short", where),
        lines(
            "Open files and connections",
            "percentunit",
            "Share of what the process may have open.",
            (f"process_open_fds{where} / process_max_fds{where}", "{{instance}}"),
            thresholds=((0.8, "orange"),),
            most=1,
        ),
    )


def rpcs(service: str) -> tuple[Panel, ...]:
    """Rate, errors and duration of a service's RPCs."""
    where = '{code!="OK"}'
    failed = f"sum by (code) (rate(trivium_{service}_requests_total{where}[$__rate_interval])) or vector(0)"
    return (
        rate("RPCs", f"trivium_{service}_requests_total", "RPCs that ended, a second.", "method"),
        lines("RPCs that did not end well", "reqps", "By gRPC status code, a second.", (failed, "{{code}}")),
        quantiles("Duration of RPCs", f"trivium_{service}_request_duration_seconds", "From arrival to end.", "method"),
    )


def admission(service: str, title: str = "") -> tuple[Panel, ...]:
    """What a service has accepted and refused."""
    of = f" ({title})" if title else ""
    work = (
        (f"sum(trivium_{service}_in_flight_requests)", "requests"),
        (f"sum(trivium_{service}_in_flight_tokens)", "tokens"),
    )
    return (
        lines(f"In work{of}", "short", "Requests accepted and not ended, and their estimated tokens.", *work),
        lines(
            f"Refused{of}",
            "reqps",
            "Requests refused for want of capacity, a second.",
            (f"sum(rate(trivium_{service}_refused_total[$__rate_interval]))", "refused"),
            thresholds=((0.1, "orange"),),
        ),
    )


def encoder(service: str) -> tuple[Panel, ...]:
    """The queue and the workers in front of an encoder."""
    name = f"trivium_{service}"
    waits = f"sum by (le, priority) (rate({name}_queue_seconds_bucket[$__rate_interval]))"
    return (
        Panel(
            "Wait in the queue",
            "s",
            "Until the first of a call's texts is computed; 95th percentile.",
            ((f"histogram_quantile(0.95, {waits})", "{{priority}}"),),
            thresholds=((1, "orange"),),
        ),
        lines(
            "Queue", "short", "Texts or pairs that wait.", (f"sum by (priority) ({name}_queue_texts)", "{{priority}}")
        ),
        quantiles("Texts in a batch", f"{name}_batch_texts", "Texts or pairs computed together.", unit="short"),
        lines(
            "Padding",
            "percentunit",
            "Share of computed tokens that only fill a batch up.",
            (f'trivium:padding:ratio5m{{service="{service}"}}', "padding"),
            most=1,
        ),
        quantiles("Time to compute a batch", f"{name}_batch_compute_seconds", "By the model alone."),
        quantiles("Time to tokenise", f"{name}_tokenize_seconds", "A call's texts."),
        rate("Tokens computed", f"{name}_batch_tokens_total", "A second, padding left out.", unit="short"),
        lines(
            "Found in the cache",
            "percentunit",
            "Share of lookups that need no computation.",
            (f'trivium:cache_hits:ratio5m{{service="{service}"}}', "{{role}}"),
            most=1,
        ),
        lines("Memory of the cache", "bytes", "Of all processes.", (f"sum({name}_cache_bytes)", "cache")),
        rate("Rejected", f"{name}_rejected_total", "Requests that break a limit, a second.", "reason"),
        lines(
            "Trouble",
            "short",
            "Texts dropped because nobody waits for them, texts that failed, and workers that died, in 5 minutes.",
            (f"sum by (reason) (increase({name}_dropped_texts_total[5m]))", "dropped: {{reason}}"),
            (f"sum(increase({name}_failed_texts_total[5m]))", "failed"),
            (f"sum(increase({name}_worker_deaths_total[5m]))", "workers died"),
        ),
        lines("Workers", "short", "That take batches.", (f"sum({name}_workers_alive)", "alive")),
        lines(
            "Free disk",
            "percentunit",
            "Of the disk with the data folder.",
            (f"{name}_disk_free_bytes / {name}_disk_size_bytes", "{{instance}}"),
            most=1,
        ),
        lines(
            "Model",
            "short",
            "1 for the loaded model.",
            (f"sum by (model, runtime, precision) ({name}_model_info)", "{{model}} {{runtime}} {{precision}}"),
        ),
    )


OVERVIEW = Dashboard(
    "overview",
    "overview",
    "Whether questions are answered, how fast, how well, and by what.",
    (
        stat(
            "Failed",
            "percentunit",
            "Questions and queries that failed in the last hour, without callers' mistakes. Objective: 0.1%.",
            "trivium:failed:ratio1h",
            (0.001, "orange"),
            (0.0144, "red"),
        ),
        stat(
            "Late",
            "percentunit",
            "Answers of the last hour without text after 5 s. Objective: 5%.",
            "trivium:slow:ratio1h",
            (0.05, "orange"),
            (0.72, "red"),
        ),
        stat(
            "Degraded",
            "percentunit",
            "Answers of the last hour by the next best means. Objective: 1%.",
            "trivium:degraded:ratio1h",
            (0.01, "orange"),
            (0.144, "red"),
        ),
        stat("Questions", "reqps", "Questions and queries a second.", "sum(rate(trivium_gateway_questions_total[5m]))"),
        stat("Documents' chunks", "short", "Points in Qdrant, copies not counted.", "sum(trivium:qdrant_points:sum)"),
        Panel(
            "Processes",
            "short",
            "Those that answer, of those that Prometheus asks.",
            (("sum(trivium:up)", "up"), ("count(trivium:up)", "of")),
            "stat",
            width=4,
        ),
        rate("Questions by how they end", "trivium_gateway_questions_total", "A second.", "operation, outcome"),
        quantiles("Time to the first text", "trivium_gateway_time_to_first_text_seconds", "Of an answer."),
        quantiles("Time of a question", "trivium_gateway_question_duration_seconds", "To its end.", "operation"),
        quantiles("Time per stage", "trivium_gateway_stage_duration_seconds", "Of a question.", "stage"),
        rate("Degraded", "trivium_gateway_degraded_total", "Stages replaced, a second.", "stage, reason"),
        lines(
            "Stages that can be used",
            "short",
            "1 if any gateway can use the stage.",
            ("max by (stage) (trivium_gateway_stage_ready)", "{{stage}}"),
        ),
        lines(
            "Refused for want of capacity",
            "reqps",
            "By service, a second.",
            ("trivium:refused:rate5m", "{{service}}"),
            thresholds=((0.1, "orange"),),
        ),
        lines(
            "Wait in queues",
            "s",
            "95th percentile, until the first of a call's texts is computed.",
            ('trivium:queue_seconds:p95_5m{priority="interactive"}', "{{service}}"),
            thresholds=((1, "orange"),),
        ),
        lines(
            "Processes",
            "short",
            "1 for each that answers.",
            ("trivium:up", "{{service}} {{instance}}"),
        ),
        lines(
            "Tokens by tenant",
            "short",
            "Read and written by models in an hour.",
            ("sum by (tenant, kind) (trivium:tenant_tokens:rate1h)", "{{tenant}} {{kind}}"),
        ),
        lines(
            "Cost by tenant",
            "short",
            "In an hour, in the currency of rules/prices.yml.",
            ("trivium:tenant_cost:rate1h", "{{tenant}}"),
        ),
        lines(
            "Free disk",
            "percentunit",
            "Of disks with data.",
            ("trivium:disk_free:ratio", "{{service}} {{instance}}"),
            most=1,
        ),
    ),
)

RETRIEVAL = Dashboard(
    "retrieval",
    "retrieval quality",
    "What can be seen of retrieval without knowing the right answers.",
    (
        heat(
            "Similarity of the nearest",
            "trivium_gateway_best_dense_score",
            "short",
            "Cosine of each query and the nearest of what it found. If it sinks, questions leave the documents.",
        ),
        heat(
            "Place of the best passage in the search's order",
            "trivium_gateway_best_passage_position",
            "short",
            "1: the reranker agrees with the search. Much weight near the number of candidates: raise `candidates`.",
        ),
        lines(
            "Drift of the embeddings",
            "short",
            "Mean similarity of a day, and the same a week before.",
            ("trivium:best_dense_score:mean1d", "today"),
            ("trivium:best_dense_score:mean1d offset 7d", "a week ago"),
        ),
        lines(
            "Questions that find nothing",
            "percentunit",
            "Share of refusals, of a day.",
            ("trivium:refusals:ratio1d", "today"),
            ("trivium:refusals:ratio1d offset 7d", "a week ago"),
            thresholds=((0.2, "orange"),),
            most=1,
        ),
        rate("Answers", "trivium_gateway_answers_total", "A second.", "outcome"),
        heat(
            "Citations in an answer",
            "trivium_gateway_answer_citations",
            "short",
            "An answer without any is not proven.",
        ),
        heat("Candidates", "trivium_gateway_search_candidates", "short", "What a search found."),
        lines(
            "Age of the index",
            "s",
            "Since the last document was written or found unchanged.",
            ("time() - trivium:last_ingestion:timestamp_seconds", "{{collection}}"),
            thresholds=((86400, "orange"),),
        ),
        rate("Documents", "trivium_gateway_documents_total", "Received, by outcome, a second.", "outcome", "short"),
        lines(
            "Documents that wait",
            "short",
            "Received and not yet written.",
            ("sum(trivium_gateway_ingest_pending_documents)", "documents"),
        ),
        rate(
            "Citations removed",
            "trivium_generate_removed_citations_total",
            "Of passages that do not exist.",
            unit="short",
        ),
        rate(
            "Passages left out",
            "trivium_generate_dropped_passages_total",
            "That did not fit the context.",
            unit="short",
        ),
    ),
)

GATEWAY = Dashboard(
    "gateway",
    "gateway",
    "The gateway's surfaces, stages and ingestion.",
    (
        *rpcs("gateway"),
        rate("HTTP requests", "trivium_gateway_http_requests_total", "By route, a second.", "method, route"),
        rate("HTTP responses", "trivium_gateway_http_requests_total", "By status, a second.", "status"),
        quantiles(
            "Duration of HTTP requests",
            "trivium_gateway_http_request_duration_seconds",
            "To the end of the response.",
            "route",
        ),
        quantiles("Time per stage", "trivium_gateway_stage_duration_seconds", "Of a question.", "stage"),
        rate("Degraded", "trivium_gateway_degraded_total", "Stages replaced, a second.", "stage, reason"),
        lines(
            "Questions in work",
            "short",
            "Of 256 that it accepts.",
            ("trivium_gateway_questions_in_flight", "{{instance}}"),
            thresholds=((200, "orange"),),
        ),
        rate("Questions refused", "trivium_gateway_questions_refused_total", "For want of capacity, a second."),
        quantiles(
            "Time per step of ingestion", "trivium_gateway_ingest_stage_duration_seconds", "Of a batch.", "stage"
        ),
        rate("Chunks", "trivium_gateway_ingest_chunks_total", "Embedded and written, a second.", unit="short"),
        rate("Documents deleted", "trivium_gateway_documents_deleted_total", "A second.", unit="short"),
        *process("gateway"),
    ),
)

EMBED = Dashboard(
    "embed",
    "embed",
    "Texts to vectors.",
    (
        *rpcs("embed"),
        rate("Texts", "trivium_embed_texts_total", "Embedded, a second.", "role", "short"),
        rate("Tokens", "trivium_embed_tokens_total", "Read, a second.", "role", "short"),
        *admission("embed"),
        *encoder("embed"),
        *process("embed"),
    ),
)

RERANK = Dashboard(
    "rerank",
    "rerank",
    "Query and passages to scores.",
    (
        *rpcs("rerank"),
        rate("Passages", "trivium_rerank_passages_total", "Judged, a second.", unit="short"),
        rate("Tokens", "trivium_rerank_tokens_total", "Judged, a second.", unit="short"),
        *admission("rerank"),
        *encoder("rerank"),
        *process("rerank"),
    ),
)

GENERATE = Dashboard(
    "generate",
    "generate",
    "Question and passages to an answer.",
    (
        *rpcs("generate"),
        quantiles(
            "Time to the first token", "trivium_generate_time_to_first_token_seconds", "From the request.", "backend"
        ),
        quantiles("Time between tokens", "trivium_generate_time_between_tokens_seconds", "Of a language model."),
        lines(
            "Answers being written",
            "short",
            "Now.",
            ("sum by (backend) (trivium_generate_running_requests)", "{{backend}}"),
        ),
        lines(
            "Tokens",
            "short",
            "Read and written by the language model, a second.",
            ("sum(rate(trivium_generate_prompt_tokens_total[$__rate_interval]))", "read"),
            ("sum(rate(trivium_generate_completion_tokens_total[$__rate_interval]))", "written"),
        ),
        rate(
            "Fallbacks",
            "trivium_generate_fallbacks_total",
            "Answers by the next best means, a second.",
            "fallback, reason",
        ),
        lines(
            "State of the language model",
            "short",
            "1 for the state it is in; `none` if there is none.",
            ("sum by (state) (trivium_generate_model_state)", "{{state}}"),
        ),
        lines(
            "Loading",
            "s",
            "How long the model has been loading, and how long the last load took.",
            ("trivium_generate_model_loading_seconds", "loading {{instance}}"),
            ("trivium_generate_model_load_seconds", "loaded {{instance}}"),
            thresholds=((1800, "orange"),),
        ),
        rate("Restarts of the model", "trivium_generate_model_restarts_total", "A second.", unit="short"),
        *admission("generate_extractive", "extractive"),
        *admission("generate_model", "model"),
        rate(
            "Calls of the API",
            "trivium_generate_api_attempts_total",
            "Attempts a second; with an API as backend.",
            "result",
        ),
        quantiles(
            "Time of a call of the API",
            "trivium_generate_api_attempt_seconds",
            "Until its first text; with an API as backend.",
        ),
        *process("generate"),
    ),
)

VLLM = Dashboard(
    "vllm",
    "vLLM",
    "The engine, by its own metrics, with backend `vllm`.",
    (
        lines(
            "Requests",
            "short",
            "In the engine, and waiting for it.",
            ("sum(vllm:num_requests_running)", "running"),
            ("sum(vllm:num_requests_waiting)", "waiting"),
        ),
        lines(
            "KV cache",
            "percentunit",
            "Share in use.",
            ("vllm:kv_cache_usage_perc", "{{instance}} {{engine}}"),
            thresholds=((0.95, "orange"),),
            most=1,
        ),
        lines(
            "Prefix cache",
            "percentunit",
            "Share of prompt tokens that were not computed again.",
            (
                "sum(rate(vllm:prefix_cache_hits_total[$__rate_interval]))"
                " / sum(rate(vllm:prefix_cache_queries_total[$__rate_interval]))",
                "hits",
            ),
            most=1,
        ),
        quantiles("Time to the first token", "vllm:time_to_first_token_seconds", "In the engine."),
        quantiles("Time between tokens", "vllm:inter_token_latency_seconds", "In the engine."),
        quantiles("Time of a request", "vllm:e2e_request_latency_seconds", "In the engine."),
        quantiles("Wait", "vllm:request_queue_time_seconds", "Until the engine takes a request up."),
        quantiles("Prefill", "vllm:request_prefill_time_seconds", "Reading the prompt."),
        quantiles("Decode", "vllm:request_decode_time_seconds", "Writing the answer."),
        lines(
            "Tokens",
            "short",
            "A second.",
            ("sum(rate(vllm:prompt_tokens_total[$__rate_interval]))", "read"),
            ("sum(rate(vllm:generation_tokens_total[$__rate_interval]))", "written"),
        ),
        quantiles("Length of prompts", "vllm:request_prompt_tokens", "In tokens.", unit="short"),
        quantiles("Length of answers", "vllm:request_generation_tokens", "In tokens.", unit="short"),
        rate("Ended", "vllm:request_success_total", "Requests, a second.", "finished_reason"),
        rate(
            "Preemptions",
            "vllm:num_preemptions_total",
            "Sequences put back for want of memory, a second.",
            unit="short",
        ),
        quantiles("Tokens in a step", "vllm:iteration_tokens_total", "Read and written together.", unit="short"),
    ),
)

QDRANT = Dashboard(
    "qdrant",
    "Qdrant",
    "What is not of a cluster holds for the embedded engine, too. Panels that are named so are its own.",
    (
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
            "Memory",
            "bytes",
            "Resident, and allocated by a server.",
            ("memory_resident_bytes", "resident {{instance}}"),
            ("memory_allocated_bytes", "allocated {{instance}}"),
        ),
        lines(
            "Cluster",
            "short",
            "Peers, and operations that consensus has yet to apply.",
            ("cluster_peers_total", "peers {{instance}}"),
            ("cluster_pending_operations_total", "pending {{instance}}"),
        ),
        rate("Embedded: RPCs", "trivium_qdrant_edge_requests_total", "A second.", "method"),
        quantiles("Embedded: duration of RPCs", "trivium_qdrant_edge_request_duration_seconds", "By method.", "method"),
        lines(
            "Free disk",
            "percentunit",
            "Of the disk with Qdrant's data. On a full one a server takes neither writes nor deletions, nor starts.",
            ("trivium:qdrant_disk_free:ratio", "{{persistentvolumeclaim}}{{instance}}"),
            most=1,
        ),
        *(
            Panel(f"Embedded: {one.title.lower()}", one.unit, one.description, one.queries, thresholds=one.thresholds)
            for one in admission("qdrant_edge")
        ),
        quantiles("Embedded: flush", "trivium_qdrant_edge_flush_duration_seconds", "Forcing changes to the disk."),
        rate("Embedded: indexes built", "trivium_qdrant_edge_optimizations_total", "A second.", "outcome", "short"),
        quantiles(
            "Embedded: time to build an index",
            "trivium_qdrant_edge_optimization_duration_seconds",
            "In the background.",
        ),
    ),
)

GPU = Dashboard(
    "gpu",
    "GPUs",
    "By NVIDIA's dcgm-exporter, where there is one.",
    (
        lines("Busy", "percent", "Share of time.", ("DCGM_FI_DEV_GPU_UTIL", "{{Hostname}} {{gpu}}"), most=100),
        lines(
            "Memory",
            "percentunit",
            "Share in use; vLLM takes its part at the start.",
            (
                "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
                "{{Hostname}} {{gpu}}",
            ),
            most=1,
        ),
        lines("Temperature", "celsius", "Of the chip.", ("DCGM_FI_DEV_GPU_TEMP", "{{Hostname}} {{gpu}}")),
        lines("Power", "watt", "Drawn.", ("DCGM_FI_DEV_POWER_USAGE", "{{Hostname}} {{gpu}}")),
        lines("Clock", "suffix: MHz", "Of the multiprocessors.", ("DCGM_FI_DEV_SM_CLOCK", "{{Hostname}} {{gpu}}")),
        lines(
            "XID errors",
            "short",
            "Number of the last one; 0 is none.",
            ("DCGM_FI_DEV_XID_ERRORS", "{{Hostname}} {{gpu}}"),
            thresholds=((1, "red"),),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, RETRIEVAL, GATEWAY, EMBED, RERANK, GENERATE, VLLM, QDRANT, GPU)
