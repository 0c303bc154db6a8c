"""The dashboard of overview."""

from __future__ import annotations

from panels import Dashboard, Panel, lines, of_stages, quantiles, rate, stat

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
        of_stages(quantiles("Time per stage", "trivium_gateway_stage_duration_seconds", "Of a question.", "stage")),
        of_stages(rate("Degraded", "trivium_gateway_degraded_total", "Stages replaced, a second.", "stage, reason")),
        of_stages(
            lines(
                "Stages that can be used",
                "short",
                "1 if any gateway can use the stage.",
                ("max by (stage) (trivium_gateway_stage_ready)", "{{stage}}"),
            )
        ),
        of_stages(
            lines(
                "Refused for want of capacity",
                "reqps",
                "By service, a second.",
                ("trivium:refused:rate5m", "{{service}}"),
                thresholds=((0.1, "orange"),),
            )
        ),
        of_stages(
            lines(
                "Wait in queues",
                "s",
                "95th percentile, until the first of a call's texts is computed.",
                ('trivium:queue_seconds:p95_5m{priority="interactive"}', "{{service}}"),
                thresholds=((1, "orange"),),
            )
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
