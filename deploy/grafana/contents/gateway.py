"""The dashboard of gateway."""

from __future__ import annotations

from panels import Dashboard, lines, process, quantiles, rate, rpcs

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
            "Usual time per stage",
            "s",
            "Within which nine of ten of the last runs ended; callers' time is divided by it.",
            ("trivium_gateway_stage_usual_seconds", "{{stage}} {{instance}}"),
        ),
        lines(
            "Ejected replicas",
            "short",
            "Slower than the others, or hanging; they get no calls for a while.",
            ("trivium_gateway_stage_ejected_replicas", "{{stage}} {{instance}}"),
        ),
        rate(
            "Too little time",
            "trivium_gateway_deadline_decisions_total",
            "Questions refused, stages left out or made smaller for their caller's deadline, a second.",
            "stage, decision",
        ),
        rate(
            "Caches",
            "trivium_gateway_cache_lookups_total",
            "What came of the looks into each, a second; stale has changed since and is made anew, as what is missed.",
            "cache, outcome",
        ),
        lines(
            "Memory of caches",
            "bytes",
            "Vectors of queries, and results.",
            ("trivium_gateway_cache_bytes", "{{content}} {{instance}}"),
        ),
        rate("Cache errors", "trivium_gateway_cache_errors_total", "Times that its Redis did not answer, a second."),
        lines(
            "Questions in work",
            "short",
            "Of 256 that it accepts.",
            ("trivium_gateway_questions_in_flight", "{{instance}}"),
            thresholds=((200, "orange"),),
        ),
        rate("Questions refused", "trivium_gateway_questions_refused_total", "For want of capacity, a second."),
        rate(
            "Questions refused by tenant",
            "trivium_gateway_tenant_questions_refused_total",
            "For want of capacity, a second: who floods, and whom nobody should see here beside them.",
            "tenant",
        ),
        rate(
            "Refused by quota",
            "trivium_gateway_quota_refused_total",
            "Calls of tenants, or of their keys, that had used what they may, a second.",
            "tenant, kind",
        ),
        rate("Usage", "trivium_gateway_usage_total", "By all tenants, a second.", "kind", "short"),
        lines(
            "Usage is kept",
            "short",
            "0 while a gateway cannot keep what is used, and holds quotas by itself.",
            ("trivium_gateway_quota_store_up", "{{instance}}"),
            most=1,
        ),
        lines(
            "Issuer of tokens",
            "short",
            "0 while the keys by which it signs cannot be fetched; those known hold.",
            ("trivium_gateway_issuer_up", "{{instance}}"),
            most=1,
        ),
        lines(
            "Stored by tenant",
            "bytes",
            "The text of its documents; counted once a minute.",
            ("max by (tenant) (trivium_gateway_stored_bytes)", "{{tenant}}"),
        ),
        lines(
            "Documents by tenant",
            "short",
            "That are stored; counted once a minute.",
            ("max by (tenant) (trivium_gateway_stored_documents)", "{{tenant}}"),
        ),
        quantiles(
            "Wait for a place by tenant",
            "trivium_gateway_tenant_wait_seconds",
            "Of questions, before they are searched for.",
            "tenant",
        ),
        quantiles(
            "Time per step of ingestion", "trivium_gateway_ingest_stage_duration_seconds", "Of a batch.", "stage"
        ),
        rate("Chunks", "trivium_gateway_ingest_chunks_total", "Embedded and written, a second.", unit="short"),
        lines(
            "Jobs",
            "short",
            "That have not ended; waiting are those that a service, or want of room, keeps.",
            ("sum by (state) (trivium_gateway_jobs)", "{{state}}"),
            ("sum(trivium_gateway_job_pending_documents)", "documents in them"),
        ),
        rate(
            "Documents of jobs",
            "trivium_gateway_job_documents_total",
            "That were tried, a second; waits are tried again.",
            "outcome",
            "short",
        ),
        lines(
            "Disk for jobs",
            "bytes",
            "Documents of jobs that are not in yet, or failed.",
            ("trivium_gateway_job_bytes", "{{instance}}"),
        ),
        rate("Documents deleted", "trivium_gateway_documents_deleted_total", "A second.", unit="short"),
        rate("Audit log", "trivium_gateway_audit_lines_total", "Lines that were written or lost, a second.", "outcome"),
        *process("gateway"),
    ),
    job="gateway",
)
