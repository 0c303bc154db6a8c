"""Every limit on what the gateway accepts, in one place."""

from dataclasses import dataclass

__all__ = ["GatewayLimits"]


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """The limits. What crosses one is refused with an error that names the limit; nothing is cut silently."""

    max_query_characters: int = 8_000
    """Longest query or question, in code points."""
    max_filter_bytes: int = 65_536
    """Largest filter, as JSON in UTF-8."""
    max_filter_conditions: int = 32
    """Most fields in a filter."""
    max_filter_values: int = 1_000
    """Most values in one list of a filter."""
    max_top_n: int = 100
    """Most passages in an answer."""
    max_candidates: int = 1_000
    """Most candidates of a search."""
    max_page_size: int = 1_000
    """Most documents on a page."""
    max_documents_per_request: int = 1_000
    """Most documents in one HTTP request."""
    max_documents_per_stream: int = 100_000
    """Most documents in one gRPC stream."""
    max_document_bytes: int = 10 * 1024 * 1024
    """Largest document: a file's bytes, a text's UTF-8, and the text that comes out of a file."""
    max_chunks_per_document: int = 20_000
    """Most pieces of one document."""
    max_id_characters: int = 512
    """Longest document id, in code points."""
    max_title_characters: int = 500
    """Longest title, in code points. A longer one that a file brings along is cut."""
    max_uri_characters: int = 2_048
    """Longest uri, in code points."""
    max_metadata_keys: int = 64
    """Most metadata keys of one document."""
    max_metadata_key_characters: int = 64
    """Longest metadata key, in code points."""
    max_metadata_list_values: int = 256
    """Most values in one list of the metadata."""
    max_metadata_bytes: int = 16_384
    """Largest metadata of one document, as JSON in UTF-8."""
    max_collection_metadata_keys: int = 256
    """Most metadata keys of one collection, all documents together: each has an index of its own."""
    max_pdf_pages: int = 5_000
    """Most pages of a PDF."""
    max_parse_seconds: float = 60.0
    """Longest time to extract the text of one HTML or PDF file."""
    max_parse_memory_bytes: int = 1024 * 1024 * 1024
    """Most memory for that."""
