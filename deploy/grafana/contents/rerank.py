"""The dashboard of rerank."""

from __future__ import annotations

from panels import Dashboard, admission, encoder, process, rate, rpcs

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
    job="rerank",
)
