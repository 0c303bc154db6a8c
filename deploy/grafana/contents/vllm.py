"""The dashboard of vLLM."""

from __future__ import annotations

from panels import Dashboard, lines, quantiles, rate

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
