"""What the integrations attach to a passage: the document's own metadata, and where the passage comes from."""

from typing import Any

from trivium_client._json import to_json
from trivium_client._passages import Passage, Retrieval

PROVENANCE_KEYS = ("document_id", "title", "uri", "source", "span", "score", "scores", "degraded")
"""The keys that are Trivium's; a document's own metadata stand beside them."""


def passage_metadata(passage: Passage, retrieval: Retrieval) -> dict[str, Any]:
    """Returns plain values, fit for JSON.

    `source` is what to cite: the document's uri, or its id if it has none. `span` is where the passage stands in the
    document's stored text, in code points. `duplicates` is there only if other documents say the same, `degraded` only
    if a stage was replaced by the next best means.
    """
    metadata = {
        **passage.metadata,
        "document_id": passage.document_id,
        "title": passage.title,
        "uri": passage.uri,
        "source": passage.uri or passage.document_id,
        "span": to_json(passage.span),
        "score": passage.score,
        "scores": to_json(passage.scores),
    }
    if passage.duplicates:
        metadata["duplicates"] = list(passage.duplicates)
    if retrieval.degraded:
        metadata["degraded"] = to_json(retrieval.degraded)
    return metadata
