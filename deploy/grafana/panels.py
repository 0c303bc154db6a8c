"""The kinds of panels that dashboards are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        links: Names of the dashboards that tell more.
    """

    title: str
    unit: str
    description: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    thresholds: tuple[tuple[float, str], ...] = ()
    width: int = 8
    most: float | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A line across the dashboard, below which the panels have something in common."""

    title: str


@dataclass(frozen=True)
class Text:
    """What is to be read.

    Attributes:
        title: What it is about.
        markdown: The text.
        width: In columns, of 24.
    """

    title: str
    markdown: str
    width: int = 12

    @property
    def height(self) -> int:
        """In rows, as far as that can be known without a browser: a long text is scrolled in."""
        return 2 + sum(1 + len(line) // 110 for line in self.markdown.splitlines()) * 2 // 3


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        name: Its file's and address's.
        title: Its title.
        description: What it is for.
        panels: From left to right.
        job: The service whose processes a reader may choose from; empty where there is nothing to choose.
    """

    name: str
    title: str
    description: str
    panels: tuple[Panel | Row | Text, ...]
    job: str = ""


def of_job(job: str) -> str:
    """The label matcher for a service's processes, whether compose or the Prometheus operator names the job."""
    return f'job=~"(.*/)?(trivium-)?{job}"'


def of_stages(panel: Panel) -> Panel:
    """A panel about stages, with links to the dashboards of those that serve them."""
    return replace(panel, links=("gateway", "embed", "qdrant", "rerank", "generate"))


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
    """What the processes of a service take of their machines, and how they are."""
    where = f"{{{of_job(job)}}}"
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
        lines("Tasks", "short", "That have not ended.", (f"trivium_{job}_tasks", "{{instance}}")),
        lines("Running for", "s", "Since the start.", (f"time() - process_start_time_seconds{where}", "{{instance}}")),
        lines(
            "Background tasks that failed",
            "short",
            "In half an hour, with an error that nobody expected; they are started again.",
            (f"sum by (task) (increase(trivium_{job}_background_failures_total[30m])) or vector(0)", "{{task}}"),
        ),
        lines(
            "Certificate ends in",
            "s",
            "0 without TLS.",
            (
                f"(trivium_{job}_certificate_end_timestamp_seconds > 0) - time()"
                f" or trivium_{job}_certificate_end_timestamp_seconds * 0",
                "{{instance}}",
            ),
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
