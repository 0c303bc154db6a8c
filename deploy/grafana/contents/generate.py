"""The dashboard of generate."""

from __future__ import annotations

from panels import Dashboard, admission, lines, process, quantiles, rate, rpcs

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
    job="generate",
)
