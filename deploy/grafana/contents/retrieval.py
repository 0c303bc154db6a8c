"""The dashboard of retrieval quality."""

from __future__ import annotations

from panels import Dashboard, heat, lines, rate

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
